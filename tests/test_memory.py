"""How much memory is there to take: read from folders made to look like several machines."""

import subprocess
import sys
from pathlib import Path

import pytest

from bnbench import memory
from tests.conftest import ROOT

MIB = 1 << 20


def machine(folder: Path, **files: str) -> Path:
    """Lay out ``proc`` and ``sys`` below a folder: 8,000 MiB are free, and what is given holds."""
    laid = {"proc/meminfo": f"MemTotal: 9999999 kB\nMemAvailable: {8000 * 1024} kB\n"}
    for path, text in (laid | files).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def group(path: str, limit: object, usage: int, cache: int = 0) -> dict[str, str]:
    """Return the files of a cgroup of version 2, its limit and usage in MiB."""
    most = f"{limit * MIB}" if isinstance(limit, int) else str(limit)
    return {
        f"{path}/memory.max": f"{most}\n",
        f"{path}/memory.current": f"{usage * MIB}\n",
        f"{path}/memory.stat": f"anon 5\ninactive_file {cache * MIB}\n",
    }


OWN = {"proc/self/cgroup": "4:memory:/other\n0::/user/job\n"}


@pytest.mark.parametrize(
    ("files", "mebibytes"),
    [
        ({}, 8000),
        (OWN | group("sys/fs/cgroup/user/job", 2000, 500), 1500),
        (OWN | group("sys/fs/cgroup/user/job", 2000, 500, cache=100), 1600),
        (OWN | group("sys/fs/cgroup/user/job", "max", 500), 8000),
        (OWN | group("sys/fs/cgroup/user", 700, 500), 200),
        (OWN | group("sys/fs/cgroup", 600, 500), 100),
        (OWN | group("sys/fs/cgroup/user/job", 2000, 2600), 0),
        (OWN | group("sys/fs/cgroup/other", 100, 50), 8000),
        ({"proc/self/cgroup": "4:memory:/job\n"}, 8000),
    ],
)
def test_what_machine_and_cgroups_leave(
    files: dict[str, str], mebibytes: int, tmp_path: Path
) -> None:
    """The least counts: of the machine, of this process's cgroup and of every one above it."""
    assert memory.available(machine(tmp_path, **files)) == mebibytes * MIB


def test_where_nothing_can_be_read_the_machine_s_memory_counts(tmp_path: Path) -> None:
    """Other systems have no such files."""
    assert 1 << 28 < memory.available(tmp_path) <= 1 << 62


@pytest.mark.skipif(sys.platform != "linux", reason="limits are read on Linux")
@pytest.mark.parametrize("limit", ["v", "d"])
def test_a_limit_of_this_process_is_seen(limit: str) -> None:
    """`ulimit -v` and `ulimit -d` bind, as on shared machines; what is taken is subtracted."""
    command = f"ulimit -{limit} 1000000; {sys.executable} -c 'from bnbench import memory as m; "
    command += "print(m.available(), m.address_space())'"
    shell = ["bash", "-c", command]
    done = subprocess.run(shell, capture_output=True, text=True, check=True, cwd=ROOT)
    available, address_space = map(int, done.stdout.split())
    assert 500 * MIB < available < 1_000_000 * 1024
    assert (address_space < 1_000_000 * 1024) == (limit == "v")


def test_as_many_jobs_as_find_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker needs 0.2 GB; never more jobs than are asked for, and never less than one."""
    for left, jobs in ((0, 1), (0.3, 1), (0.5, 2), (1.5, 7), (64, 8)):
        monkeypatch.setattr(memory, "available", lambda left=left: int(left * 1e9))
        assert memory.affordable_jobs(8) == jobs
