"""Whatever operation of the record store fails or never ends, the old or the new state is there."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnbench.errors import EnvironmentFault
from bnbench.evidence.records import read_record
from bnbench.evidence.store import RecordStore
from bnbench.files import write_text
from tests.conftest import ROOT, bnbench, bnbench_process, record
from tests.faults.conftest import assert_comparable, assert_short, contents

# Every operation on files that the record store reaches, by the name under which it does.
OPERATIONS = {
    "open": (os, "open"),
    "write": (Path, "write_bytes"),
    "flush to disk": (os, "fsync"),
    "close": (os, "close"),
    "rename": (os, "replace"),
    "make folder": (Path, "mkdir"),
    "touch": (Path, "touch"),
    "unlink": (Path, "unlink"),
}
ERRORS = (errno.ENOSPC, errno.EACCES, errno.EIO)
Act = Callable[[RecordStore], object]


def new_run(store: RecordStore) -> None:
    store.keep(record(seed=1))


def repeated_run(store: RecordStore) -> None:
    store.keep(record(seed=0, accuracy=0.5))


def other_experiment(store: RecordStore) -> None:
    store.keep(record("pre_act"))


def preparation(store: RecordStore) -> None:
    store.prepare()


ACTS = (new_run, repeated_run, other_experiment, preparation)


def whole_states(tmp_path: Path, act: Act) -> tuple[RecordStore, list[dict[str, bytes | None]]]:
    """Return a store with one record, and what it holds before and after ``act``."""
    states = []
    for place in ("wanted", "runs"):
        store = RecordStore(tmp_path / place)
        store.prepare()
        store.keep(record())
        if place == "wanted":
            act(store)
        states.append(contents(store.folder))
    return store, states


def visible_state(folder: Path) -> dict[str, bytes | None]:
    """Return the folder's files; an empty folder and a temporary file are no state of a run."""
    found = contents(folder).items()
    return {path: content for path, content in found if content is not None and ".tmp-" not in path}


def only_files(state: dict[str, bytes | None]) -> dict[str, bytes | None]:
    return {path: content for path, content in state.items() if content is not None}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_nth_operation_fails(
    act: Act, operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in any call leaves the old or the new state, and a message with path and cure."""
    owner, name = OPERATIONS[operation]
    real = getattr(owner, name)
    for code in ERRORS:
        for failing in range(10):
            store, (wanted, before) = whole_states(tmp_path / f"{code}-{failing}", act)
            calls = 0

            def fail(*given: Any, at: int = failing, code: int = code, **options: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == at + 1:
                    if name == "close":
                        real(*given)
                    raise OSError(code, os.strerror(code))
                return real(*given, **options)

            with monkeypatch.context() as patched:
                patched.setattr(owner, name, fail)
                fault = _fault(act, store)
            if calls <= failing:
                break
            assert fault is not None, "the fault was passed over in silence"
            assert str(store.folder) in fault
            assert os.strerror(code) in fault
            assert "free some space" in fault or "choose another place" in fault
            assert visible_state(store.folder) in (only_files(before), only_files(wanted))
            assert store.read_all()[1] == []


def _fault(act: Act, store: RecordStore) -> str | None:
    try:
        act(store)
    except EnvironmentFault as fault:
        return str(fault)
    return None


END_THERE = """
import os, sys
from pathlib import Path
from bnbench.evidence.store import RecordStore
from tests.faults import test_writes

def end_at(operation, act, failing):
    owner, name = test_writes.OPERATIONS[operation]
    real, calls = getattr(owner, name), 0

    def end(*given, **options):
        nonlocal calls
        calls += 1
        if calls == failing + 1:
            os._exit(9)
        return real(*given, **options)

    folder = Path(sys.argv[1]) / f"{operation} {act.__name__} {failing}"
    store, states = test_writes.whole_states(folder, act)
    child = os.fork()
    if child == 0:
        setattr(owner, name, end)
        act(store)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    wanted, before = map(test_writes.only_files, states)
    assert test_writes.visible_state(store.folder) in (before, wanted), folder
    assert store.read_all()[1] == [], folder
    assert code in (0, 9), folder
    return code == 9

ended = 0
for operation in test_writes.OPERATIONS:
    for act in test_writes.ACTS:
        failing = 0
        while end_at(operation, act, failing):
            failing += 1
        ended += failing
print(ended)
"""


def test_the_process_ends_at_the_nth_operation(tmp_path: Path) -> None:
    """A process that ends at any call leaves the old or the new state."""
    done = subprocess.run(
        [sys.executable, "-c", END_THERE, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


WRITE_ALL = """
import sys
from pathlib import Path
from bnbench.errors import EnvironmentFault
from bnbench.evidence.store import RecordStore
from tests.conftest import record

store = RecordStore(Path(sys.argv[1]))
try:
    for seed in range(int(sys.argv[2])):
        store.keep(record(seed=seed))
except EnvironmentFault as fault:
    sys.exit(str(fault))
"""


def write_until_full(folder: Path, count: int, **options: Any) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WRITE_ALL, str(folder), str(count)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        **options,
    )
    assert done.returncode == 1, done.stderr
    assert_short(done.stderr)
    return done.stderr


def test_file_size_limit(runs: Callable[..., Path]) -> None:
    """A write that the system cuts off half way leaves what was there, and says what to do."""
    folder = runs(record(accuracy=0.5))
    before = contents(folder)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    message = write_until_full(folder, 1, preexec_fn=limit)
    assert "seed-0000.json: cannot be written: File too large; free some space" in message
    assert contents(folder) == before
    assert_comparable(folder)


@pytest.mark.parametrize("kibibytes", [1, 9, 15])
def test_a_plot_that_is_cut_off(kibibytes: int, runs: Callable[..., Path], tmp_path: Path) -> None:
    """Wherever a PDF is cut off, `bnbench plot` ends with 3 and one line."""
    pytest.importorskip("matplotlib")
    folder = runs(*(record(seed=seed) for seed in range(3)))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * kibibytes,) * 2)

    plot = ("plot", "--output", tmp_path / "plot.pdf", "--runs-dir", folder)
    assert bnbench(*plot, "--only", "curves").returncode == 0
    assert (tmp_path / "plot.pdf").stat().st_size > 1024 * kibibytes
    done = bnbench_process(*plot, "--only", "curves", preexec_fn=limit)
    assert done.returncode == 3, done.stderr
    assert_short(done.stderr)
    assert "plot.pdf: cannot be written: File too large; free some space" in done.stderr


@pytest.mark.slow
def test_a_model_that_cannot_be_saved_costs_no_record(
    tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """The run keeps its record and ends the command with 3 at once, before the next run."""
    folder = tmp_path / "runs"

    def limit() -> None:  # more than a record has, less than a model
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024,) * 2)

    arguments = ("run", tiny_yaml(seeds=5), "--jobs", 1, "--save-models", "--runs-dir", folder)
    done = bnbench_process(*arguments, preexec_fn=limit)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "model.keras: cannot be written: File too large; free some space" in last
    (path,) = folder.rglob("*seed-*")
    assert RecordStore(folder).read_all() == ([read_record(path)], [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_full_disk(tmp_path: Path) -> None:
    """On a disk that fills up, all records are whole and the one that did not fit is named."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        message = write_until_full(disk / "runs", 100)
        assert "cannot be written: No space left on device; free some space" in message
        records, warnings = RecordStore(disk / "runs").read_all()
        assert (bool(records), warnings) == (True, [])
        assert list(disk.rglob(".tmp-*")) == []
        assert_comparable(disk / "runs")
        output = bnbench("compare", "--runs-dir", disk / "runs", "--output", disk / "table.txt")
        assert output.returncode in (0, 3), output.stderr
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_output_that_cannot_be_written(runs: Callable[..., Path], tmp_path: Path) -> None:
    """`--output` in a missing folder ends with 3 and makes nothing; `--debug` says where."""
    folder, output = runs(record()), tmp_path / "missing" / "table.csv"
    done = bnbench("compare", "--runs-dir", folder, "--format", "csv", "--output", output)
    assert done.returncode == 3
    assert done.stderr == (
        f"bnbench: {output}: cannot be written: No such file or directory; "
        "make it accessible, or choose another place\n"
    )
    shown = bnbench("compare", "--runs-dir", folder, "--output", output, "--debug")
    assert "Traceback" in shown.stderr
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("format", ["table", "json"])
def test_standard_output_on_a_full_disk(format: str, runs: Callable[..., Path]) -> None:
    """A table that cannot be printed ends with 3 and one line."""
    command = [sys.executable, "-m", "bnbench", "compare", "--format", format]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "--runs-dir", str(runs(record()))],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3, done.stderr
    assert_short(done.stderr)
    assert "standard output: cannot be written: No space left on device" in done.stderr


def test_a_long_name_is_written(tmp_path: Path) -> None:
    """Even the longest name a file may have can be written, as its temporary name is shorter."""
    path = tmp_path / ("n" * 255)
    write_text(path, "text")
    assert path.read_text() == "text"
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]
