"""The record store: what counts where, what is cleared away, and how a run is replaced."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bnbench.errors import EnvironmentFault
from bnbench.evidence.records import DamagedRecord, RunRecord
from bnbench.evidence.store import RecordStore
from tests.conftest import ROOT, record

Write = Callable[..., Path]
HOUR = 3600


def home_of(folder: Path) -> Path:
    (home,) = (path for path in folder.iterdir() if path.is_dir())
    return home


@pytest.mark.parametrize(
    "place",
    [
        "no_bn-44136fa3/seed-0001.json",
        "no_bn-00000000/seed-0000.json",
        "another-44136fa3/seed-0000.json",
        "backup/seed-0000.json",
        "copy.json",
    ],
)
def test_a_copy_elsewhere_never_counts(runs: Write, place: str) -> None:
    """It is named with the place in which it would count, and is not taken for another run."""
    made = record()
    folder = runs(made)
    own = home_of(folder) / "seed-0000.json"
    copy = folder / place
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(own, copy)
    found, warnings = RecordStore(folder).read_all()
    assert found == [made]
    reason = f"a copy of no_bn seed 0, which counts only as {own}"
    assert warnings == [f"{copy}: skipped: {reason}"]


def test_files_of_another_experiment_are_not_taken_for_ones_own(runs: Write) -> None:
    """A folder that was renamed to another experiment's does not spare that its runs."""
    theirs, ours = record("pre_act"), record("post_act")
    folder = runs(theirs)
    home_of(folder).rename(folder / f"post_act-{ours.experiment_id}")
    store = RecordStore(folder)
    with pytest.raises(DamagedRecord, match="a copy of pre_act seed 0, which counts only as"):
        store.find(ours.config, 0)
    assert store.read_all()[0] == []


@pytest.mark.parametrize("folder", [".", "runs", "runs/"])
def test_records_are_found_however_the_folder_is_called(
    runs: Write, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path, with a slash at its end or not, is the same place."""
    made = record()
    here = runs(made)
    monkeypatch.chdir(here if folder == "." else here.parent)
    store = RecordStore(Path(folder))
    assert store.read_all() == ([made], [])
    assert store.find(made.config, 0) == made


def test_what_belongs_to_runs_is_no_damage(runs: Write) -> None:
    """Models, sidecars, notes and event files are passed over, and what is in other folders."""
    folder = runs(record())
    events = f"events.out.tfevents.{'0' * 42}.bnbench"
    for place in (
        *("README.md", ".gitkeep", "no_bn-44136fa3/README.md", "no_bn-44136fa3/.gitkeep"),
        *("no_bn-44136fa3/seed-0000.keras", "no_bn-44136fa3/seed-0000.npz"),
        f"no_bn-44136fa3/seed-0000/{events}",
        f"tb/no_bn-44136fa3/seed-0000/{events}",
        f"tb/deeper/no_bn-44136fa3/seed-0000/{events}",
        *("no_bn-44136fa3/seed-0001/.tmp-half", "tb/no_bn-44136fa3/seed-0000/seed-0000.json"),
        *("elsewhere/seed-0000.keras", "a/b/c.txt"),
    ):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).touch()
    assert RecordStore(folder).read_all() == ([record()], [])


FOREIGN = (
    *("model.keras", "no_bn-44136fa3/notes.txt", "no_bn-44136fa3/seed-0000.json.bak"),
    *("no_bn-44136fa3/deeper/inside", "settings.json", "elsewhere/package.json"),
)


@pytest.mark.parametrize("place", FOREIGN)
def test_a_file_of_others_is_named(runs: Write, place: str) -> None:
    """A warning has its path, or that of the folder around it, within the folder of records."""
    folder = runs(record())
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).touch()
    named = place.removesuffix("/inside")
    reason = f"what is no run record: {named}"
    assert RecordStore(folder).read_all() == ([record()], [f"{folder}: skipped: {reason}"])


def test_many_files_of_others_cost_one_warning(runs: Write) -> None:
    """The first few are named, the others counted."""
    folder = runs(record())
    for number in range(5):
        (folder / f"{number}.txt").touch()
    reason = "what is no run record: 0.txt, 1.txt, 2.txt and 2 more"
    assert RecordStore(folder).read_all() == ([record()], [f"{folder}: skipped: {reason}"])


@pytest.mark.parametrize("target", ["/proc/kmsg", "/dev/zero", "/dev/tty", "pipe", "/"])
def test_what_might_never_end_is_not_read(runs: Write, target: str) -> None:
    """A device, a pipe, a folder or a file of the kernel in a record's place is named at once."""
    folder = runs(record())
    os.mkfifo(folder / ".pipe")
    link = home_of(folder) / "seed-0001.json"
    link.symlink_to(folder / ".pipe" if target == "pipe" else target)
    (folder / "link.jsonl.gz").symlink_to("/proc/kmsg")
    found, warnings = RecordStore(folder).read_all()
    assert found == [record()]
    assert warnings[0].startswith(f"{link}: skipped: not a run record: it is ")
    assert warnings[1:] == [f"{folder / 'link.jsonl.gz'}:1: skipped: it is empty"]


def test_the_root_of_all_files_is_no_folder_of_records() -> None:
    """It is read no deeper than records lie, so that an answer comes at once."""
    assert RecordStore(Path("/")).read_all()[0] == []


def leftover(folder: Path, age: float, ending: str = "seed-0001.json") -> Path:
    """Make a temporary file, so many seconds old."""
    path = folder / f".tmp-bnbench-00000000-{ending}"
    path.touch()
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path


def test_preparing_clears_away_what_killed_processes_left(runs: Write) -> None:
    """Temporary files go after a day, in the folder and in those of runs."""
    folder = runs(record())
    gone = [leftover(folder, 25 * HOUR, "probe"), leftover(home_of(folder), 25 * HOUR)]
    kept = [leftover(folder, 23 * HOUR), leftover(home_of(folder), 1, "seed-0002.json")]
    RecordStore(folder).prepare()
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_preparing_touches_nothing_that_is_not_its_own(runs: Write, tmp_path: Path) -> None:
    """Other names, other folders, links and what lies behind them, folders and sockets stay."""
    folder = runs(record())
    home = home_of(folder)
    other = tmp_path / "other"
    for place in (other, folder / "mine", home / "deeper"):
        place.mkdir()
    kept = [leftover(place, 25 * HOUR) for place in (other, folder / "mine", home / "deeper")]
    for name in (".tmp-1", ".tmp-00000000-seed-0001.json", "tmp", ".tmp-bnbench-0-x"):
        path = home / name
        path.touch()
        os.utime(path, (0, 0))
        kept.append(path)
    (folder / "linked-00000000").symlink_to(other)
    (home / ".tmp-bnbench-00000000-link").symlink_to(other)
    (home / ".tmp-bnbench-00000000-folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        socket_path = home / ".tmp-bnbench-00000000-socket"
        here = os.getcwd()
        os.chdir(home)  # a socket's path may not be long
        try:
            listening.bind(socket_path.name)
        finally:
            os.chdir(here)
        for path in home.glob(".tmp-bnbench-00000000-*"):
            os.utime(path, (0, 0), follow_symlinks=False)
            kept.append(path)
        RecordStore(folder).prepare()
    assert len(kept) == 10
    assert all(os.path.lexists(path) for path in kept)


def test_a_file_in_the_place_of_the_folder_is_refused_by_name(tmp_path) -> None:
    """The message names the path and the cure."""
    place = tmp_path / "runs"
    place.touch()
    with pytest.raises(EnvironmentFault, match=f"{place}: cannot be written to: .*another place"):
        RecordStore(place).prepare()


@pytest.mark.parametrize(
    ("blocker", "is_folder"),
    [
        ("no_bn-44136fa3/seed-0000.json", True),
        ("no_bn-44136fa3/seed-0000.keras", True),
        ("no_bn-44136fa3", False),
    ],
)
def test_what_blocks_a_record_is_said_before_training(
    tmp_path: Path, blocker: str, is_folder: bool
) -> None:
    """A folder in a file's place, or a file in the folder's, is named with the cure."""
    path = tmp_path / blocker
    if is_folder:
        path.mkdir(parents=True)
    else:
        path.touch()
    with pytest.raises(EnvironmentFault, match=f"{path}: cannot be written: .*; move it away"):
        RecordStore(tmp_path).check_place(record().config, 0)
    RecordStore(tmp_path / "elsewhere").check_place(record().config, 0)


def test_a_run_is_replaced_with_its_model(tmp_path: Path) -> None:
    """The old model goes with the old record, whether a new one comes or not."""
    store, made = RecordStore(tmp_path), record()
    path = store.keep(made, b"first")
    model = store.model_path(made.config, 0)
    assert (path, model.read_bytes()) == (store.path(made.config, 0), b"first")
    store.keep(made, b"second")
    assert model.read_bytes() == b"second"
    store.keep(made)
    assert not model.exists()
    assert store.find(made.config, 0) == made


STEPS = {
    "write": (Path, "write_bytes"),
    "flush": (os, "fsync"),
    "rename": (os, "replace"),
    "unlink": (Path, "unlink"),
    "open": (os, "open"),
}
OLD, NEW = record(accuracy=0.5), record(accuracy=0.6)
MODELS = {OLD.test_accuracy: b"weights of 0.5", NEW.test_accuracy: b"weights of 0.6"}


def pair(store: RecordStore) -> tuple[RunRecord | None, bytes | None]:
    model = store.model_path(OLD.config, 0)
    return store.find(OLD.config, 0), model.read_bytes() if model.exists() else None


def assert_never_a_wrong_pair(store: RecordStore) -> None:
    found, model = pair(store)
    assert found in (OLD, NEW)
    assert model is None or model == MODELS[found.test_accuracy]


@pytest.mark.parametrize("model", [None, MODELS[NEW.test_accuracy]], ids=["record", "with model"])
@pytest.mark.parametrize("step", STEPS)
def test_a_fault_at_any_step_leaves_no_wrong_pair(
    step: str, model: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a record all along, and a model beside it only if it has that record's weights."""
    owner, name = STEPS[step]
    real = getattr(owner, name)
    for failing in range(20):
        store = RecordStore(tmp_path / str(failing))
        store.keep(OLD, MODELS[OLD.test_accuracy])
        calls = 0

        def fail(*given: Any, at: int = failing, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at + 1:
                raise OSError(5, "Input/output error")
            return real(*given, **options)

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, fail)
            with suppress(EnvironmentFault):
                store.keep(NEW, model)
        assert_never_a_wrong_pair(store)
        if calls <= failing:
            break
    assert failing > 0
    assert pair(store) == (NEW, model)


END_THERE = """
import os, sys
from pathlib import Path
from bnbench.evidence.store import RecordStore
from tests.evidence import test_store as t

ended = 0
for step, (owner, name) in t.STEPS.items():
    for model in (None, t.MODELS[t.NEW.test_accuracy]):
        for last in range(20):
            store = RecordStore(Path(sys.argv[1]) / f"{step} {model is None} {last}")
            store.keep(t.OLD, t.MODELS[t.OLD.test_accuracy])
            child = os.fork()
            if child == 0:
                real, calls = getattr(owner, name), 0

                def end(*given, **options):
                    global calls
                    calls += 1
                    if calls == last + 1:
                        os._exit(9)
                    return real(*given, **options)

                setattr(owner, name, end)
                store.keep(t.NEW, model)
                os._exit(0)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            t.assert_never_a_wrong_pair(store)
            if code == 0:
                break
            ended += 1
print(ended)
"""


def test_a_process_that_ends_at_any_step_leaves_no_wrong_pair(tmp_path: Path) -> None:
    """Killed wherever it may be while it replaces a run, it leaves the same."""
    command = [sys.executable, "-c", END_THERE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
