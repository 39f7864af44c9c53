"""Runs made in worker processes: the same bits for any of them, and each dies alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from itertools import pairwise, takewhile
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import psutil
import pytest

from bnbench.errors import EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines import child
from bnbench.training.engines.engine import EpochEnded, Event, RunEnded, RunFailed
from bnbench.training.engines.processes import (
    Processes,
    WorkerPool,
    next_trial,
)
from bnbench.training.trial import Trial
from tests.conftest import ROOT, dataset_of, trials_of
from tests.faults.conftest import assert_comparable, untimed_records
from tests.forge import FAST, Forge
from tests.training.engines.stub import NeverStarts, OnGpu, OnlyFirstStarts, Raises, StubRunner

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


def stub(jobs: int = 1, runner: type[StubRunner] = StubRunner, **options: Any) -> Processes:
    """Return an engine whose runs need no TensorFlow."""
    return Processes(options.pop("request", "cpu"), jobs, runner=runner, **options)


def hashes(events: Iterable[Event]) -> dict[str, str]:
    """Return the hash of each run's weights, by the run's name."""
    return {str(e.trial): e.record.weights_sha256 for e in events if isinstance(e, RunEnded)}


def drivers(known: list[psutil.Process]) -> list[psutil.Process]:
    """Return this process's children, except the known ones and multiprocessing's tracker."""
    found = [process for process in psutil.Process().children() if process not in known]
    return [process for process in found if "resource_tracker" not in " ".join(process.cmdline())]


def workers(known: list[psutil.Process]) -> list[psutil.Process]:
    """Return this process's grandchildren, which are the drivers' children, but the known ones."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if process.ppid() != os.getpid() and process not in known]


def eventually(true: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_weights_are_the_same_for_any_method_and_any_number_of_jobs(
    tiny: Make, method: child.Method, keras: object
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


def test_a_killed_worker_loses_only_its_run_and_the_run_is_repeated(tiny: Make) -> None:
    """Of two runs under way one starts again, in a new process, and both end."""
    long = [tiny("training.epochs=50", "seeds=1", name=name) for name in ("one", "other")]
    known, seen, killed = workers([]), [], False
    for event in events_of(stub(2), *long):
        seen.append(event)
        if not killed and {e.trial.config.name for e in seen} == {"one", "other"}:
            workers(known)[0].kill()
            killed = True
    starts = [str(e.trial) for e in seen if isinstance(e, EpochEnded) and e.epochs_done == 1]
    assert sorted(map(starts.count, set(starts))) == [1, 2]
    assert sum(isinstance(event, RunEnded) for event in seen) == 2


def test_a_run_whose_worker_dies_twice_has_failed(tiny: Make) -> None:
    """It says what happened to its process; the run after it is made as usual."""
    deadly = tiny("training.epochs=800", "seeds=1", name="deadly")
    after = tiny("seeds=[1]", name="after")
    known, seen = workers([]), []
    for event in events_of(stub(), deadly, after):
        seen.append(event)
        if event == EpochEnded(Trial(deadly, 0), 1):
            workers(known)[0].kill()
    failed = [event for event in seen if isinstance(event, RunFailed)]
    assert [str(event.trial) for event in failed] == ["deadly seed 0"]
    assert failed[0].reason == (
        "its process, and another before it, was killed by SIGKILL (out of memory? take fewer runs "
        "at once, fewer hidden units or smaller batches)"
    )
    assert isinstance(seen[-1], RunEnded)


def test_an_exception_is_the_failure_of_its_run_alone(tiny: Make) -> None:
    """It is reported with its reason and its traceback, not repeated; the other runs end."""
    good, bad = (tiny("seeds=2", name=name) for name in ("good", "bad"))
    ended = [e for e in events_of(stub(), bad, good) if not isinstance(e, EpochEnded)]
    assert [type(event).__name__ for event in ended] == ["RunFailed", "RunEnded"] * 2
    failed = ended[0]
    assert isinstance(failed, RunFailed)
    assert failed.reason == "ValueError: no such thing"
    assert failed.details.startswith("Traceback (most recent call last):")


@pytest.mark.parametrize(
    ("runner", "fault"),
    [
        (NeverStarts, "its process ended with exit code 3"),
        (Raises, "OSError: no such library"),
    ],
)
def test_workers_that_do_not_start(tiny: Make, runner: type[StubRunner], fault: str) -> None:
    """After two attempts, or at once if the reason is known, it is a fault and no run fails."""
    with pytest.raises(EnvironmentFault) as caught:
        list(events_of(stub(2, runner), tiny()))
    assert str(caught.value) == f"TensorFlow cannot be started: {fault}"


def test_a_system_that_allows_no_process(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a fault with the system's reason after two attempts."""

    def refuse(*arguments: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(child, "start", refuse)
    pool = WorkerPool(stub(2, method="spawn"), {}, False, trials_of(tiny()), most=2)
    with pytest.raises(EnvironmentFault, match=r"refused by the system \(Resource temporarily"):
        list(pool.events(Pipe()[0]))


def test_one_worker_makes_all_runs_if_no_other_starts(tiny: Make) -> None:
    """Two failed starts are enough to do with the workers that are there."""
    events = list(events_of(stub(3, OnlyFirstStarts), tiny("training.epochs=20", "seeds=4")))
    assert len({e.record for e in events if isinstance(e, RunEnded)}) == 1
    assert sum(isinstance(event, RunEnded) for event in events) == 4


def test_runs_on_a_gpu_are_made_one_after_another(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there may be a GPU the first worker looks; if there is none, others follow."""
    monkeypatch.setattr(device, "may_have_gpu", lambda: True)
    config = tiny("training.epochs=20", "seeds=4")
    for runner, count in ((OnGpu, 1), (StubRunner, 2)):
        events = events_of(stub(2, runner, request="auto"), config)
        assert len({e.record for e in events if isinstance(e, RunEnded)}) == count


def test_a_driver_that_dies_is_replaced_once(tiny: Make) -> None:
    """Runs that have not ended start again; a second death is a fault with its cause."""
    first, second = trials_of(config := tiny("training.epochs=50", "seeds=2"))
    known, events = drivers([]), events_of(stub(), config)
    assert EpochEnded(second, 1) in events  # it is read so far
    drivers(known)[0].kill()
    again = list(takewhile(lambda event: event != EpochEnded(second, 1), events))
    assert first not in {event.trial for event in again}
    drivers(known)[0].kill()
    with pytest.raises(EnvironmentFault, match=r"manages the runs was killed by SIGKILL"):
        list(events)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_nothing_is_left_when_the_caller_stops_listening(tiny: Make, method: child.Method) -> None:
    """Closed in the middle of two runs, the engine has ended all its processes when it returns."""
    known = psutil.Process().children(recursive=True)
    long = tiny("training.epochs=100000", "seeds=2")
    with closing(events_of(stub(2, method=method), long)) as events:
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
import sys
from pathlib import Path
from bnbench.experiments.config import load_config
from bnbench.datasets.dataset import load
from bnbench.training.engines.processes import Processes
from tests.conftest import trials_of
from tests.training.engines.stub import StubRunner

print("started", flush=True)
config = load_config(Path(sys.argv[1]))
data = {config: load(config.data)}
for event in Processes("cpu", 2, METHOD, StubRunner).make(trials_of(config), data):
    print(type(event).__name__, event.trial.seed, "tensorflow" in sys.modules, flush=True)
"""
METHODS: tuple[child.Method, ...] = ("fork", "spawn")


@pytest.fixture(params=METHODS)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a script that trains the experiment of a config file at its top level."""
    path = tmp_path / "scripts" / "study.py"
    path.parent.mkdir()
    path.write_text(SCRIPT.replace("METHOD", repr(request.param)))
    return path


def script(path: Path, config: Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(path), str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        **options,
    )


def test_a_script_need_not_guard_its_main_module(
    study: Path, tiny_yaml: Callable[..., Path]
) -> None:
    """A file that trains at its top level is run once, and its process imports no TensorFlow."""
    with script(study, tiny_yaml(epochs=1, seeds=1)) as started:
        out, err = started.communicate(timeout=120)
    assert err == ""
    assert out.splitlines() == ["started", "EpochEnded 0 False", "RunEnded 0 False"]


def test_no_process_imports_files_of_the_working_folder(
    study: Path, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """Files there that are named as modules of Python's library are not run."""
    folder = tmp_path / "working"
    folder.mkdir()
    for name in SHADOWED:
        (folder / f"{name}.py").write_text("open(__file__ + '.was_run', 'w')\nraise SystemExit\n")
    with script(study, tiny_yaml(epochs=1, seeds=1), cwd=folder) as started:
        out, err = started.communicate(timeout=120)
    assert err == ""
    assert out.splitlines()[-1] == "RunEnded 0 False"
    assert list(folder.glob("*.was_run")) == []


SHADOWED = (
    *("array", "copyreg", "multiprocessing", "pickle", "selectors", "signal", "socket", "struct"),
    *("threading", "types", "weakref"),
)


@pytest.mark.parametrize("stopped", ["none", "driver", "worker"])
def test_workers_end_with_a_parent_that_is_killed(
    study: Path, tiny_yaml: Callable[..., Path], stopped: str
) -> None:
    """SIGKILL leaves the parent no moment to end them; even one that is stopped ends."""
    with script(study, tiny_yaml(epochs=100_000, seeds=2)) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "started\n"
        while started.stdout.readline() != "EpochEnded 1 False\n":
            pass
        family = psutil.Process(started.pid).children(recursive=True)
        workers = [process for process in family if process.ppid() != started.pid]
        assert len(workers) == 2
        for process in {"none": [], "driver": [workers[0].parent()], "worker": workers}[stopped]:
            process.suspend()
        started.kill()
        started.stdout.close()
        assert psutil.wait_procs(family, timeout=20)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.05, 0.3, 1.5])
def test_a_parent_killed_while_tensorflow_is_imported(
    tiny_yaml: Callable[..., Path], tmp_path: Path, moment: float
) -> None:
    """The process that imports it for the workers ends too, and prints nothing."""
    study = tmp_path / "study.py"
    study.write_text(SCRIPT.replace(", METHOD, StubRunner", ""))
    with script(study, tiny_yaml()) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "started\n"
        parent = psutil.Process(started.pid)
        assert eventually(lambda: parent.children(recursive=True))
        time.sleep(moment)
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


@pytest.mark.endurance
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
    trials = trials_of(*(quick("seeds=3", name=name) for name in "ab"))
    assert next_trial(trials, {trials[0].config}, set()) == trials[0]
    assert next_trial(trials[1:], {trials[0].config}, set()) == trials[1]
