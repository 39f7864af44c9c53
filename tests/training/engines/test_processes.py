"""Runs made in worker processes: the same bits for any of them, and each dies alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from bnbench.training.engines.launch import Method

from bnbench.experiments.config import Config
from bnbench.training.engines.engine import EpochEnded, Event, RunEnded, RunFailed
from bnbench.training.engines.processes import Processes, next_trial
from bnbench.training.trial import Trial
from tests.conftest import ROOT, dataset_of, trials_of
from tests.faults.conftest import assert_comparable, untimed_records
from tests.forge import FAST, Forge

Make = Callable[..., Config]


@pytest.fixture
def quick(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make tiny configs; workers compile them without optimising."""
    for name, value in FAST.items():
        monkeypatch.setenv(name, value)
    return tiny


def events_of(engine: Processes, *configs: Config, **options: bool) -> Generator[Event, None, None]:
    data = {config: dataset_of(config) for config in configs}
    return engine.make(trials_of(*configs), data, **options)


def hashes(events: Iterable[Event]) -> dict[str, str]:
    """Return the hash of each run's weights, by the run's name."""
    return {str(e.trial): e.record.weights_sha256 for e in events if isinstance(e, RunEnded)}


def workers(but: list[psutil.Process]) -> list[psutil.Process]:
    """Return this process's grandchildren, as the nursery's children are, but the known ones."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if process.ppid() != os.getpid() and process not in but]


def eventually(true: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_weights_are_the_same_for_any_method_and_any_number_of_jobs(
    tiny: Make, method: Method, keras: object
) -> None:
    """Two workers at once give every run the bits that it has alone in this process."""
    from bnbench.training.program import DeviceData, TrainingProgram

    configs = [
        tiny(f"model.batch_norm.placement={placement}", "seeds=2", name=placement)
        for placement in ("none", "before_activation")
    ]
    data = DeviceData.place(dataset_of(configs[0]), "CPU:0")
    expected = {
        str(Trial(config, seed)): program.run(seed).weights_sha256
        for config in configs
        for program in [TrainingProgram(config, data, jobs=1)]
        for seed in config.seed_list
    }
    assert hashes(events_of(Processes("cpu", 2, method), *configs)) == expected
    assert len(set(expected.values())) == 4


@pytest.mark.slow
def test_a_killed_worker_loses_its_run_alone_and_the_run_is_repeated(quick: Make) -> None:
    """Of two runs under way one starts again, in a new process, and both end with their bits."""
    long = [quick("training.epochs=800", "seeds=1", name=name) for name in ("one", "other")]
    known, told, killed = workers([]), [], False
    for event in events_of(Processes("cpu", 2), *long):
        told.append(event)
        if not killed and {e.trial.config.name for e in told} == {"one", "other"}:
            workers(known)[0].kill()
            killed = True
    starts = [str(e.trial) for e in told if isinstance(e, EpochEnded) and e.epochs_done == 1]
    assert sorted(map(starts.count, set(starts))) == [1, 2]
    assert len(hashes(told)) == 2
    assert len(set(hashes(told).values())) == 1  # they differ in their names alone


@pytest.mark.slow
def test_a_run_whose_worker_dies_twice_has_failed(quick: Make) -> None:
    """It says what happened to its process; the run after it is made as if nothing had been."""
    deadly = quick("training.epochs=800", "seeds=1", name="deadly")
    after = quick("seeds=[1]", name="after")
    known, told = workers([]), []
    for event in events_of(Processes("cpu", 1), deadly, after):
        told.append(event)
        if event == EpochEnded(Trial(deadly, 0), 1):
            workers(known)[0].kill()
    failed = [event for event in told if isinstance(event, RunFailed)]
    assert [str(event.trial) for event in failed] == ["deadly seed 0"]
    assert failed[0].reason == (
        "its process was killed by SIGKILL (out of memory?), and so did another before"
    )
    assert isinstance(told[-1], RunEnded)


@pytest.mark.slow
def test_an_exception_is_the_failure_of_its_run_alone(quick: Make) -> None:
    """It is reported with its reason and its traceback, not repeated; the other runs end."""
    good, bad = (
        quick("seeds=2", name="good"),
        quick("seeds=2", "data.validation_size=20", name="bad"),
    )
    data = dataset_of(good)
    narrow = replace(dataset_of(bad), x_train=data.x_train[:, :-1].copy())
    made = Processes("cpu", 1).make(trials_of(bad, good), {good: data, bad: narrow})
    ended = [event for event in made if not isinstance(event, EpochEnded)]
    assert [type(event).__name__ for event in ended] == ["RunFailed", "RunEnded"] * 2
    failed = ended[0]
    assert isinstance(failed, RunFailed)
    assert failed.reason.startswith("ValueError: ")
    assert "\n" not in failed.reason
    assert failed.details.startswith("Traceback (most recent call last):")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_nothing_is_left_when_the_caller_stops_listening(quick: Make, method: Method) -> None:
    """Closed in the middle of two runs, the engine has ended all its processes when it returns."""
    known = psutil.Process().children(recursive=True)
    long = quick("training.epochs=100000", "seeds=2")
    with closing(events_of(Processes("cpu", 2, method), long)) as events:
        seen: set[int] = set()
        while len(seen) < 2:
            seen.add(next(events).trial.seed)
        assert len(psutil.Process().children(recursive=True)) > len(known)
    left = [p for p in psutil.Process().children(recursive=True) if p not in known]
    assert [p for p in left if "resource_tracker" not in " ".join(p.cmdline())] == []


@pytest.mark.endurance
@pytest.mark.slow
def test_memory_is_flat_over_a_hundred_runs_of_a_worker(quick: Make) -> None:
    """After a few runs, a hundred more of the same experiment leave the memory where it is."""
    config = quick("model.batch_norm.placement=before_activation", "model.hidden_units=[300, 100]")
    many = config.model_copy(update={"seeds": 110})
    known, sizes = workers([]), []
    for event in events_of(Processes("cpu", 1), many):
        if isinstance(event, RunEnded):
            with suppress(IndexError, psutil.NoSuchProcess):
                sizes.append(workers(known)[0].memory_info().rss)
    assert len(sizes) > 100
    assert sizes[-1] - sizes[10] < 20 * 2**20  # a new model for each run would leak 2,500 MB


SCRIPT = """
import json, sys
from pathlib import Path
from bnbench.datasets.dataset import load
from bnbench.experiments.config import load_config
from bnbench.training.engines.engine import RunEnded
from bnbench.training.engines.processes import Processes
from tests.conftest import trials_of

print("started", flush=True)
config = load_config(Path(sys.argv[1]))
data = load(config.data)
for event in Processes("cpu", 2).make(trials_of(config), {config: data}):
    print(type(event).__name__, "tensorflow" in sys.modules, flush=True)
"""


def script(path: Path | str, config: Path, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(path), str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | FAST | {"PYTHONPATH": str(ROOT)},
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.slow
def test_a_script_need_not_guard_its_main_module(
    tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """A file that trains at its top level is run once, and its process imports no TensorFlow."""
    path = tmp_path / "study.py"
    path.write_text(SCRIPT)
    with script(path, tiny_yaml(epochs=1, seeds=1)) as started:
        out, err = started.communicate(timeout=120)
    assert err == ""
    assert out.splitlines() == ["started", "EpochEnded False", "RunEnded False"]


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tiny_yaml: Callable[..., Path]) -> None:
    """SIGKILL leaves the parent no moment to end them; they notice."""
    with script("-", tiny_yaml(epochs=100_000, seeds=2), stdin=subprocess.PIPE) as started:
        assert started.stdin is not None
        assert started.stdout is not None
        started.stdin.write(SCRIPT)
        started.stdin.close()
        assert started.stdout.readline() == "started\n"
        assert started.stdout.readline() == "EpochEnded False\n"
        family = psutil.Process(started.pid).children(recursive=True)
        assert len(family) >= 3
        started.kill()
        started.stdout.close()
        assert psutil.wait_procs(family, timeout=20)[1] == []


@pytest.mark.slow
def test_a_parent_killed_while_tensorflow_is_imported(tiny_yaml: Callable[..., Path]) -> None:
    """The process that imports it for the workers ends too, without a word."""
    with script("-", tiny_yaml(), stdin=subprocess.PIPE) as started:
        assert started.stdin is not None
        assert started.stdout is not None
        started.stdin.write(SCRIPT)
        started.stdin.close()
        assert started.stdout.readline() == "started\n"
        parent = psutil.Process(started.pid)
        assert eventually(lambda: parent.children(recursive=True))
        time.sleep(0.5)
        family = parent.children(recursive=True)
        started.kill()
        started.stdout.close()
        assert psutil.wait_procs(family, timeout=20)[1] == []
        assert started.stderr is not None
        assert started.stderr.read() == ""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_of_a_terminal_end_every_process(
    number: signal.Signals, forge: Forge, tiny_yaml: Callable[..., Path]
) -> None:
    """Sent to the whole group, as a terminal does, none outlives the command, and none speaks."""
    config = tiny_yaml(epochs=100_000)
    started = forge.start("run", config, "--jobs", 2, "--runs-dir", config.parent / "runs")
    parent = psutil.Process(started.pid)
    assert eventually(lambda: len(parent.children(recursive=True)) >= 3)
    time.sleep(0.5)
    family = parent.children(recursive=True)
    os.killpg(started.pid, number)
    done = started.wait()
    assert psutil.wait_procs(family, timeout=20)[1] == []
    if number is signal.SIGHUP:
        assert done.returncode == -signal.SIGHUP
        return
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("bnbench: interrupted")


@pytest.mark.slow
def test_a_stopped_command_goes_on(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """Ctrl-Z stops every process, and after `fg` the records are those of an undisturbed run."""
    config = tiny_yaml(epochs=200, seeds=6)
    for folder in ("quiet", "stopped"):
        started = forge.start("run", config, "--jobs", 2, "--runs-dir", tmp_path / folder)
        if folder == "stopped":
            assert eventually(lambda: list(tmp_path.glob("stopped/*/seed-*")))
            os.killpg(started.pid, signal.SIGSTOP)
            before = untimed_records(tmp_path / folder)
            time.sleep(0.5)
            assert untimed_records(tmp_path / folder) == before
            os.killpg(started.pid, signal.SIGCONT)
        assert started.wait().returncode == 0
    assert untimed_records(tmp_path / "stopped") == untimed_records(tmp_path / "quiet")


@pytest.mark.endurance
@pytest.mark.slow
def test_workers_killed_again_and_again_lose_nothing(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """Whatever ended with a record has the right one, and the same command makes the rest."""
    config = tiny_yaml(epochs=200, seeds=12)
    command = ("run", config, "--jobs", 2, "--runs-dir")
    assert forge.run(*command, tmp_path / "quiet").returncode == 0
    started = forge.start(*command, tmp_path / "killed")
    parent, kills = psutil.Process(started.pid), 0
    while not started.ended and kills < 6:
        time.sleep(0.2)
        with suppress(psutil.NoSuchProcess):
            found = parent.children(recursive=True)
            for victim in [p for p in found if p.ppid() != started.pid][:1]:
                victim.kill()
                kills += 1
    done = started.wait()
    assert done.returncode in (0, 1), done.stderr
    expected = untimed_records(tmp_path / "quiet")
    assert untimed_records(tmp_path / "killed").items() <= expected.items()
    assert forge.run(*command, tmp_path / "killed").returncode == 0
    assert untimed_records(tmp_path / "killed") == expected
    assert_comparable(tmp_path / "killed")


def test_a_worker_stays_with_what_it_has_compiled(quick: Make) -> None:
    """Two workers share three experiments so that four programs are compiled, not six."""
    configs = [quick("seeds=4", name=name) for name in "abc"]
    waiting, order = trials_of(*configs), []
    compiled: list[set[Config]] = [set(), set()]
    while waiting:
        mine, others = compiled
        trial = next_trial(waiting, mine, others)
        waiting.remove(trial)
        mine.add(trial.config)
        order.append(f"{trial.config.name}{trial.seed}")
        compiled.reverse()
    assert sum(map(len, compiled)) == 4
    for earlier, later in pairwise(range(4)):
        assert order.index(f"a{earlier}") < order.index(f"c{later}")


def test_one_worker_keeps_the_order_of_the_seeds(quick: Make) -> None:
    """Alone, it has nothing to leave to others."""
    trials = trials_of(quick("seeds=3", name=name) for name in "ab")
    assert next_trial(trials, {trials[0].config}, set()) == trials[0]
    assert next_trial(trials[1:], {trials[0].config}, set()) == trials[1]
