"""How much memory is available, and what to do if it runs out."""

import os
import re
import resource
from pathlib import Path

CURE = "take fewer runs at once, fewer hidden units or smaller batches"

_UNLIMITED = 1 << 62
_WORKER_BYTES = 200_000_000  # of a worker that trains a small network


def affordable_jobs(jobs: int) -> int:
    """Return how many of ``jobs`` runs at once find the memory each needs at least; 1 or more."""
    return max(1, min(jobs, available() // _WORKER_BYTES))


def available(root: Path = Path("/")) -> int:
    """Return the bytes that this process can still take.

    That is the least of what the machine has free, what the cgroups (version 2) of this process
    leave, and what its own limits leave. ``root`` is the folder that holds ``proc`` and ``sys``.
    """
    limits = address_space(), _left_of(resource.RLIMIT_DATA, 5)
    return max(0, min(_free_on_machine(root), *limits, *_left_by_cgroups(root)))


def address_space() -> int:
    """Return the bytes of address space that this process may still map, libraries included."""
    return _left_of(resource.RLIMIT_AS, 0)


def _left_of(limit: int, column: int) -> int:
    most = resource.getrlimit(limit)[0]
    taken = _text(Path("/proc/self/statm")).split()  # pages, each column of another kind
    if most == resource.RLIM_INFINITY or not taken:
        return _UNLIMITED
    return max(0, most - int(taken[column]) * resource.getpagesize())


def _free_on_machine(root: Path) -> int:
    if found := re.search(r"MemAvailable: *(\d+)", _text(root / "proc/meminfo")):
        return int(found[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _left_by_cgroups(root: Path) -> list[int]:
    # In a container the path may be the host's: then only the top is there, and the container's.
    top = root / "sys/fs/cgroup"
    path = _text(root / "proc/self/cgroup").rpartition("0::/")[2].strip()
    groups = [top / path, *(top / path).parents]
    left = []
    for group in groups[: groups.index(top) + 1]:
        most, used = _text(group / "memory.max").strip(), _text(group / "memory.current")
        if most.isdecimal() and used:
            cache = _text(group / "memory.stat").partition("inactive_file ")[2].split()
            left.append(int(most) - int(used) + int(cache[0] if cache else 0))
    return left


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
