"""What TensorBoard reads of a run is what its record says, and no more than once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench.errors import EnvironmentFault
from bnbench.evidence.records import History, RunRecord, read_record
from bnbench.show import tensorboard
from tests.conftest import ROOT, record, tiny_settings
from tests.forge import Forge

pytest.importorskip("tensorboard")
pytestmark = pytest.mark.usefixtures(
    "keras"
)  # TensorBoard's reader takes TensorFlow as it finds it

START = 1_795_428_000  # 2026-11-23T10:00:00+00:00
HISTORY = History(
    loss=(0.9, 0.5, 0.4),
    accuracy=(0.6, 0.8, 0.85),
    val_loss=(0.7, 0.45, 0.5),
    val_accuracy=(0.7, 0.82, 0.81),
    epoch_seconds=(1.5, 1.25, 1.0),
)


def read(folder: Path, made: RunRecord) -> Any:
    """Return what TensorBoard makes of all event files in a run's folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = folder / f"{made.experiment}-{made.experiment_id}" / f"seed-{made.seed:04d}"
    found = EventAccumulator(str(run))
    found.Reload()
    return found


def scalars(found: Any) -> dict[str, list[tuple[int, float]]]:
    """Return step and value of each scalar."""
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def recorded(made: RunRecord) -> dict[str, list[tuple[int, float]]]:
    """Return the scalars that a record holds, as float32, which is what TensorBoard keeps."""
    series = {
        tag: list(enumerate(map(float, np.float32(values))))
        for tag, values in vars(made.history).items()
        if values
    }
    last = len(made.history.loss) - 1
    for tag in ("test_loss", "test_accuracy"):
        if getattr(made, tag) is not None:
            series[tag] = [(last, float(np.float32(getattr(made, tag))))]
    return series


def hyperparameters(found: Any) -> dict[str, Any]:
    """Return what the HParams plugin gets of a run."""
    from tensorboard.plugins.hparams import metadata

    content = found.PluginTagToContent(metadata.PLUGIN_NAME)[metadata.SESSION_START_INFO_TAG]
    started = metadata.parse_session_start_info_plugin_data(content)
    return {
        name: getattr(value, value.WhichOneof("kind")) for name, value in started.hparams.items()
    }


def test_every_scalar_is_the_records(tmp_path: Path) -> None:
    """Each epoch's five values, and the two test values at the last epoch."""
    made = record("pre_act", seed=3, history=HISTORY)
    tensorboard.write_run(tmp_path, made)
    found = scalars(read(tmp_path, made))
    assert found == recorded(made)
    assert found["val_accuracy"] == [
        (0, np.float32(0.7)),
        (1, np.float32(0.82)),
        (2, np.float32(0.81)),
    ]
    assert found["test_accuracy"] == [(2, np.float32(0.88))]


def test_wall_times_are_those_of_training(tmp_path: Path) -> None:
    """An epoch's time is the start of the run and the epochs up to its end."""
    made = record(history=HISTORY)
    tensorboard.write_run(tmp_path, made)
    times = [event.wall_time for event in read(tmp_path, made).Scalars("loss")]
    assert times == [START + 1.5, START + 2.75, START + 3.75]


def test_hyperparameters_are_seed_status_and_settings(tmp_path: Path) -> None:
    """Numbers, truth values and text stay such; lists become text."""
    made = record("notebook/post_act", seed=3)
    tensorboard.write_run(tmp_path, made)
    assert hyperparameters(read(tmp_path, made)) == {
        "experiment": "notebook_post_act",
        "seed": 3,
        "status": "completed",
        "data.dataset": "fashion_mnist",
        "data.validation_size": 5000,
        "data.standardize": False,
        "data.test_size": 0.2,
        "model.hidden_units": "300, 100",
        "model.activation": "elu, relu",
        "model.kernel_initializer": "he_normal",
        "model.use_bias": "auto",
        "model.batch_norm.placement": "after_activation",
        "model.batch_norm.input": True,
        "model.batch_norm.momentum": 0.99,
        "model.batch_norm.epsilon": 0.001,
        "training.optimizer": "sgd",
        "training.learning_rate": 0.01,
        "training.momentum": 0,
        "training.epochs": 10,
        "training.batch_size": 32,
    }


def test_a_run_written_again_is_replaced(tmp_path: Path) -> None:
    """Nothing of what was there before is read beside the new values."""
    tensorboard.write_run(tmp_path, record(accuracy=0.5))
    made = record(history=HISTORY)
    for _ in range(2):
        tensorboard.write_run(tmp_path, made)
    assert scalars(read(tmp_path, made)) == recorded(made)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_diverged_run_has_the_epochs_before(tmp_path: Path, epochs: int) -> None:
    """It has no test values, and its status says why."""
    history = History(**{name: values[:epochs] for name, values in vars(HISTORY).items()})
    made = record(accuracy=None, history=history)
    tensorboard.write_run(tmp_path, made)
    found = read(tmp_path, made)
    assert scalars(found) == recorded(made)
    assert "test_loss" not in scalars(found)
    assert hyperparameters(found)["status"] == "diverged"


def test_what_a_killed_process_leaves_is_not_read(tmp_path: Path) -> None:
    """Killed just before the file is in its place, it leaves what TensorBoard takes for no run."""
    from tensorboard.backend.event_processing.io_wrapper import GetLogdirSubdirectories

    done = python("os.replace = lambda *paths: os._exit(9)\n" + WRITE, tmp_path)
    assert done.returncode == 9, done.stderr
    (left,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert left.stat().st_size > 500
    assert list(GetLogdirSubdirectories(str(tmp_path))) == []
    tensorboard.write_run(tmp_path, record())
    assert scalars(read(tmp_path, record())) == recorded(record())


def test_writing_imports_no_tensorflow(tmp_path: Path) -> None:
    """A finished `run` writes what is recorded without waiting for TensorFlow."""
    done = python(WRITE + "print('tensorflow' in sys.modules, 'keras' in sys.modules)", tmp_path)
    assert done.stdout == "False False\n", done.stderr


WRITE = """
tensorboard.check()
tensorboard.write_run(Path(sys.argv[1]), record())
"""


def python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program on a folder in a process of its own."""
    imports = """
import os, sys
from pathlib import Path
from bnbench.show import tensorboard
from tests.conftest import record
"""
    return subprocess.run(
        [sys.executable, "-c", imports + program, str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )


def test_a_missing_package_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written, and by `check` alone too."""
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.setitem(sys.modules, name, None)
    cure = r"runs for TensorBoard need the extra tensorboard: pip install 'bnbench\[tensorboard\]'"
    with pytest.raises(EnvironmentFault, match=cure):
        tensorboard.check()
    with pytest.raises(EnvironmentFault, match=cure):
        tensorboard.write_run(tmp_path / "new", record())
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file in the place of the folder: the fault names the path."""
    (tmp_path / "logs").write_text("")
    with pytest.raises(EnvironmentFault, match=r"logs.*cannot be written: .*"):
        tensorboard.write_run(tmp_path / "logs", record())


def test_run_writes_its_runs(forge: Forge, data_path: Path, tmp_path: Path) -> None:
    """`bnbench run --tensorboard` writes what it makes and what was recorded before alike."""
    config, runs, folder = (tmp_path / name for name in ("tiny.yaml", "runs", "events"))
    config.write_text("name: tiny\n")
    settings = [word for s in tiny_settings(data_path) for word in ("--set", s)]
    command = ("run", config, *settings, "--runs-dir", runs)
    assert forge.run(*command, "--seeds", 1).returncode == 0
    done = forge.run(*command, "--tensorboard", folder)
    assert done.returncode == 0, done.stderr
    assert "1 recorded, 1 to make" in done.stderr
    for path in runs.glob("*/seed-*.json"):
        made = read_record(path)
        assert scalars(read(folder, made)) == recorded(made)
    assert len(list(folder.glob("*/*"))) == 2
    refused = forge.run(*command, "--tensorboard", runs)
    assert (refused.returncode, refused.stderr) == (
        2,
        "bnbench: tensorboard: expected another folder than that of the records\n",
    )
