"""What the tests share: tiny configs and data, hand-made records, and the command line."""

import gc
import os
import pty
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO
from unittest import mock

import numpy as np
import pytest

from bnbench import __main__ as program
from bnbench.cli import options as command_options
from bnbench.datasets.dataset import Dataset, load
from bnbench.evidence import compare as comparing
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.question import Question
from bnbench.evidence.records import (
    DataSummary,
    Environment,
    History,
    Parameters,
    RunRecord,
    pack_bits,
)
from bnbench.evidence.store import RecordStore
from bnbench.experiments.architecture import build, count_parameters
from bnbench.experiments.config import Config, load_config, parse_config
from bnbench.training import TRAINING_VERSION
from bnbench.training.trial import Trial, interleave
from tests import watcher
from tests.forge import Forge

os.environ.pop("PYTHONUNBUFFERED", None)  # it would hide what a failed write leaves in a buffer

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
TEST_ROWS = 10_000
PLACEMENTS = ("none", "before_activation", "after_activation")


def pytest_configure() -> None:
    """Let no process that the tests start outlive them."""
    watcher.watch()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what needs TensorFlow, here or in the forge, first, so that one worker imports it.

    The first worker gets the first half. One that has nothing left takes from the end of another's.
    (Groups of xdist would say it in a mark, but xdist 3.8 ignores them with pytest 9.2.)
    """
    items.sort(key=lambda item: not {"keras", "forge"} & set(getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras on a TensorFlow that was set up as `bnbench run` sets it up."""
    from bnbench.training import device

    device.start("cpu")
    import keras

    return keras


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """Starts real `bnbench` processes without waiting for their imports."""
    made = Forge(tmp_path_factory.mktemp("forge"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz of 3 classes, 5 × 4 features, 110 training and 30 test rows, easy to learn."""
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    write_data(path, rows=110)
    return path


def write_data(path: Path, rows: int) -> None:
    """Write an .npz of so many training rows, each class with a pattern of its own."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 200, (3, 5, 4))

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(count) % 3
        noise = rng.integers(0, 56, (count, 5, 4))
        return (patterns[y] + noise).astype(np.uint8), y.astype(np.uint8)

    (x_train, y_train), (x_test, y_test) = part(rows), part(30)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


@pytest.fixture
def tiny(data_path: Path) -> Callable[..., Config]:
    """Make a config of a tiny network on the tiny data; arguments are overrides."""

    def make(*overrides: str, name: str = "tiny") -> Config:
        return parse_config(f"name: {name}", "tiny.yaml", [*tiny_settings(data_path), *overrides])

    return make


TINY_YAML = """\
name: {name}
data: {{dataset: {data}, validation_size: 10}}
model: {{hidden_units: [4], batch_norm: {{placement: {placement}}}}}
training: {{epochs: {epochs}}}
seeds: {seeds}
"""


@pytest.fixture
def tiny_yaml(tmp_path: Path, data_path: Path) -> Callable[..., Path]:
    """Write the config file of a tiny network and return its path."""

    def write(name: str = "tiny", **changes: object) -> Path:
        settings = {"epochs": 2, "seeds": 2, "placement": "before_activation"} | changes
        path = tmp_path / f"{name}.yaml"
        path.write_text(TINY_YAML.format(name=name, data=data_path, **settings))
        return path

    return write


def tiny_settings(data_path: Path) -> list[str]:
    """Return the overrides that make any config tiny: 100 rows in batches of 32."""
    return [
        f"data.dataset={data_path}",
        "data.validation_size=10",
        "model.hidden_units=[8, 6]",
        "training.epochs=2",
        "seeds=2",
    ]


def trials_of(*configs: Config) -> list[Trial]:
    """Return all runs of the configs, seed by seed."""
    return interleave({config: config.seed_list for config in configs})


def dataset_of(config: Config) -> Dataset:
    """Return the config's data."""
    return load(config.data)


PLAIN = {"COLUMNS": "100", "LINES": "40", "NO_COLOR": "1"}


class _Ended(BaseException):
    """Raised where the program would end its process."""


def bnbench(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program's `main` in this process and return what it printed and its exit code.

    It saves the start of an interpreter. What is about a process, its streams, its locale or its
    imports, and what trains, is for `bnbench_process`.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        mock.patch.dict(os.environ, PLAIN | dict(env or {})),
        chdir(cwd) if cwd else nullcontext(),
        _state_given_back(),
    ):
        command = ["bnbench", *map(str, arguments)]
        code = _exit_code(command, out, err)
        return subprocess.CompletedProcess(command, code, _written(out), _written(err))


def _written(stream: TextIO) -> str:
    stream.seek(0)
    return stream.read()


def _exit_code(command: list[str], out: TextIO, err: TextIO) -> int:
    def end(code: int) -> NoReturn:
        raise _Ended(code)

    with (
        mock.patch.object(sys, "argv", command),
        mock.patch.multiple(sys, stdout=out, stderr=err),
        mock.patch.object(os, "_exit", end),
    ):
        try:
            program.main()
        except _Ended as ended:
            return int(ended.args[0])
        except Exception:
            traceback.print_exc()
            return 1
    raise AssertionError("main returned")


@contextmanager
def _state_given_back() -> Iterator[None]:
    """Undo what a command changes in its process and would never undo, as the process ends."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hooks = {name: getattr(sys, name) for name in ("excepthook", "unraisablehook")}
    try:
        with warnings.catch_warnings(), mock.patch.object(command_options, "debugging", False):
            yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name, hook in hooks.items():
            setattr(sys, name, hook)
        gc.enable()


def bnbench_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own and return what it printed and its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "bnbench", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | PLAIN | options.pop("env", {}),
        timeout=120,
        **options,
    )


def on_terminal(*arguments: object, columns: int, **options: Any) -> str:
    """Run the program on a terminal that wide and return what a person would see there."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": str(columns), "LINES": "40"}
    command = [sys.executable, "-m", "bnbench", *map(str, arguments)]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
    with subprocess.Popen(command, env=environment, **streams, **options) as started:
        os.close(slave)
        received = b""
        with suppress(OSError):  # Linux ends a terminal so
            while part := os.read(master, 65536):
                received += part
    os.close(master)
    assert started.returncode == 0, received
    return received.decode().replace("\r\n", "\n")


SHIPPED = ("no_bn", "controls/input_bn", "post_act", "pre_act", "controls/pre_act_bias")


def record(
    config: str | Config = "no_bn",
    seed: int = 0,
    accuracy: float | None = 0.88,
    **changes: Any,
) -> RunRecord:
    """Make the record of a run by hand, of a shipped config's; no accuracy means that it diverged.

    ``changes`` replace fields of the record or, where it has none of the name, of its data and its
    environment. The accuracy is rounded to what so many test rows can make.
    """
    if isinstance(config, str):
        config = load_config(CONFIGS / f"{config}.yaml", changes.pop("overrides", ()))
    layers = build(config.model, (28, 28), 10)
    epochs = 0 if accuracy is None else config.training.epochs
    epoch_seconds = changes.pop("epoch_seconds", 1.0)
    results = _results(accuracy)
    environment = {
        "bnbench": "0.1.0",
        "tensorflow": "2.21.0",
        "keras": "3.15.1",
        "python": "3.11.7",
        "platform": "Linux",
        "processor": "A processor",
        "instruction_set": "avx2",
        "cores": 2,
        "engine": "processes",
        "device": "cpu",
        "jobs": 2,
        "numpy": "2.4.0",
        "variables": {},
    }
    environment |= {key: changes.pop(key) for key in list(changes) if key in environment}
    data = {
        "sha256": changes.pop("data_sha256", "d" * 64),
        "rows": (55_000, 5_000, TEST_ROWS),
        "classes": 10,
        "test_rows_by_class": (TEST_ROWS // 10,) * 10,
        "test_correct_by_class": results.pop("test_correct_by_class"),
        "feature_scales": (0.95, 1.0),
        "feature_reach": 1.0,
        "class_names": (),
    }
    data |= {key: changes.pop(key) for key in list(changes) if key in data}
    fields = {
        "seed": seed,
        "training_version": TRAINING_VERSION,
        "config": config,
        "parameters": Parameters(**count_parameters(layers)),
        "history": History(
            loss=(0.5,) * epochs,
            accuracy=(0.8,) * epochs,
            val_loss=(0.45,) * epochs,
            val_accuracy=(0.85,) * epochs,
            epoch_seconds=(epoch_seconds,) * epochs,
        ),
        "compile_seconds": 2.0,
        **results,
        "weights_sha256": "a" * 64,
        "started_at": "2026-11-23T10:00:00+00:00",
        "duration_seconds": 3.0,
        "data": DataSummary(**data),
        "environment": Environment(**environment),
    }
    return RunRecord.model_construct(**(fields | changes))


def _results(accuracy: float | None) -> dict[str, Any]:
    """Let the first test rows be the correct ones; every tenth row is of one class."""
    if accuracy is None:
        return dict.fromkeys(("test_loss", "test_correct", "test_correct_by_class"))
    correct = np.zeros(TEST_ROWS, bool)
    correct[: round(accuracy * TEST_ROWS)] = True
    by_class = tuple(int(correct[label::10].sum()) for label in range(10))
    return {
        "test_loss": 0.4,
        "test_correct": pack_bits(correct),
        "test_correct_by_class": by_class,
    }


def records(**accuracies: Sequence[float | None]) -> list[RunRecord]:
    """Make records of shipped configs, `no_bn=[0.88, None]` giving seeds 0 and 1 of no_bn.

    A control is named without its folder. The plain network's epochs take 1 s, the others' 1.3 s.
    """
    paths = {path.rpartition("/")[2]: path for path in SHIPPED}
    return [
        record(paths[name], seed, value, epoch_seconds=1.0 if name == "no_bn" else 1.3)
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]


def compare(records: Iterable[RunRecord], **question: Any) -> list[Comparison]:
    """Compare records, asking the question that the arguments make."""
    return comparing.compare(records, Question(**question))


@pytest.fixture
def runs(tmp_path: Path) -> Callable[..., Path]:
    """Write hand-made records into a folder and return it."""

    def write(*made: RunRecord) -> Path:
        store = RecordStore(tmp_path / "runs")
        store.prepare()
        for each in made:
            store.keep(each)
        return store.folder

    return write
