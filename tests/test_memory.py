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


V2 = {"proc/self/cgroup": "0::/user/job\n"}
V1 = {"proc/self/cgroup": "7:cpu,cpuacct:/job\n4:memory:/job\n0::/\n"}
V1_JOB = {
    "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{1000 * MIB}\n",
    "sys/fs/cgroup/memory/job/memory.usage_in_bytes": f"{300 * MIB}\n",
    "sys/fs/cgroup/memory/job/memory.stat": f"inactive_file 1\ntotal_inactive_file {50 * MIB}\n",
}
AT_TOP = {path.replace("job/", ""): text for path, text in V1_JOB.items()}
NONE = {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}


@pytest.mark.parametrize(
    ("files", "mebibytes"),
    [
        ({}, 8000),
        (V2 | group("sys/fs/cgroup/user/job", 2000, 500), 1500),
        (V2 | group("sys/fs/cgroup/user/job", 2000, 500, cache=100), 1600),
        (V2 | group("sys/fs/cgroup/user/job", "max", 500), 8000),
        (V2 | group("sys/fs/cgroup/user", 700, 500), 200),
        (V2 | group("sys/fs/cgroup", 600, 500), 100),
        (V2 | group("sys/fs/cgroup/user/job", 2000, 2600), 0),
        (V2 | group("sys/fs/cgroup/other", 100, 50), 8000),
        (V1 | V1_JOB, 750),
        (V1 | AT_TOP | NONE, 8000),
        (V1 | AT_TOP, 750),
        ({"proc/self/cgroup": "4:memory:/job\n"}, 8000),
    ],
)
def test_what_machine_and_cgroups_leave(
    files: dict[str, str], mebibytes: int, tmp_path: Path
) -> None:
    """The least counts: of the machine, of this process's cgroup and of every one above it."""
    root = machine(tmp_path, **files)
    assert memory.shared(root) == memory.available(root) == mebibytes * MIB


@pytest.mark.parametrize(
    ("limits", "mebibytes"),
    [
        ("Max address space unlimited unlimited bytes", 8000),
        (f"Max address space {900 * MIB} unlimited bytes", 800),
        (f"Max data size     {900 * MIB} {999 * MIB} bytes", 890),
        (f"Max address space {50 * MIB} unlimited bytes", 0),
        (f"Max stack size    {8 * MIB} unlimited bytes", 8000),
    ],
)
def test_limits_of_this_process_bind_it_alone(limits: str, mebibytes: int, tmp_path: Path) -> None:
    """What it has taken already is subtracted; other processes may take more."""
    files = {"proc/self/limits": f"Limit Soft Hard Units\n{limits}\n"}
    status = {"proc/self/status": "VmSize:\t  102400 kB\nVmData:\t   10240 kB\n"}
    root = machine(tmp_path, **files, **status)
    assert memory.available(root) == mebibytes * MIB
    assert memory.shared(root) == 8000 * MIB


def test_address_space_is_told_apart(tmp_path: Path) -> None:
    """Mapped libraries count against its limit, not against that of data."""
    files = {"proc/self/limits": f"Max data size {MIB} {MIB} bytes\n"}
    status = {"proc/self/status": "VmSize:\t  102400 kB\n"}
    root = machine(tmp_path, **files, **status)
    assert memory.address_space(root) == 1 << 62
    files = {"proc/self/limits": f"Max address space {900 * MIB} unlimited bytes\n"}
    assert memory.address_space(machine(tmp_path, **files, **status)) == 800 * MIB


def test_where_nothing_can_be_read_the_machine_s_memory_counts(tmp_path: Path) -> None:
    """Other systems have no such files."""
    assert 1 << 28 < memory.available(tmp_path) <= 1 << 62


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is read from /proc")
def test_a_real_limit_is_seen() -> None:
    """`ulimit -v` binds, as it does on shared machines."""
    command = f"ulimit -v 1000000; {sys.executable} -c 'from bnbench import memory as m; "
    command += "print(m.available(), m.shared())'"
    shell = ["bash", "-c", command]
    done = subprocess.run(shell, capture_output=True, text=True, check=True, cwd=ROOT)
    own, shared = map(int, done.stdout.split())
    assert 500 * MIB < own < 1_000_000 * 1024
    assert own < shared
