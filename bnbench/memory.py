"""How much memory there is to take: on the machine, in the cgroup, and for this process."""

import os
from collections.abc import Iterator
from pathlib import Path

_UNLIMITED = 1 << 62
_LIMITS = {"Max address space": "VmSize", "Max data size": "VmData"}  # with what is taken of each
_V2 = ("memory.max", "memory.current", "inactive_file")  # limit, usage, and what gives way at once
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available(root: Path = Path("/")) -> int:
    """Return the bytes that this process can still take.

    ``root`` is the folder that holds ``proc`` and ``sys``. A limit that cannot be read is none.
    """
    return min([shared(root), *_left_by_limits(root).values()])


def address_space(root: Path = Path("/")) -> int:
    """Return the bytes of address space that this process may still map, libraries included."""
    return _left_by_limits(root).get("Max address space", _UNLIMITED)


def shared(root: Path = Path("/")) -> int:
    """Return the bytes that all processes together can still take, whatever binds this one alone.

    That is the least of what the machine has free, caches that give way included, and what the
    cgroup of this process and those above it leave of their limits.
    """
    return max(0, min(_free_on_machine(root), *_left_by_cgroups(root)))


def _free_on_machine(root: Path) -> int:
    free = _values(root / "proc/meminfo", ":").get("MemAvailable")
    if free is not None:
        return free * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return _UNLIMITED


def _left_by_cgroups(root: Path) -> Iterator[int]:
    yield _UNLIMITED
    mounted = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield from _left_by_cgroup(mounted / "memory", path, *_V1)
        elif not controllers:
            yield from _left_by_cgroup(mounted, path, *_V2)


def _left_by_cgroup(top: Path, path: str, limit: str, usage: str, cache: str) -> Iterator[int]:
    # In a container the path may be the host's: then only the top is there, and is the container's.
    folder = top / path.strip("/")
    for group in (folder, *folder.parents):
        most, used = _number(group / limit), _number(group / usage)
        if most is not None and used is not None:
            yield most - used + _values(group / "memory.stat", " ").get(cache, 0)
        if group == top:
            return


def _left_by_limits(root: Path) -> dict[str, int]:
    taken = _values(root / "proc/self/status", ":")
    left = {}
    for line in _lines(root / "proc/self/limits"):
        for name, counter in _LIMITS.items():
            soft = line.removeprefix(name).split()[:1]
            if line.startswith(name) and soft[0].isdecimal():
                left[name] = max(0, int(soft[0]) - 1024 * taken.get(counter, 0))
    return left


def _number(path: Path) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None  # "max" is no limit


def _values(path: Path, separator: str) -> dict[str, int]:
    """Return the lines ``name<separator>number`` of a file, whatever follows the number."""
    values = {}
    for line in _lines(path):
        name, _, rest = line.partition(separator)
        number = rest.split()[:1]
        if number and number[0].isdecimal():
            values[name] = int(number[0])
    return values


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
