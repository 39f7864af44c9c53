"""Files that are put in their place in one step, on disk when the writer returns."""

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.text import visible

# Who writes is part of the name: the machine, as far as process ids have a meaning there, and the
# process id.
_TEMPORARY = re.compile(r"\.tmp-bnbench-([0-9a-f]{8})-([0-9]{1,7})-[0-9a-f]{8}-.+", re.DOTALL)
_DEAD_WRITER_AFTER_SECONDS = 60.0
_UNKNOWN_WRITER_AFTER_SECONDS = 24 * 3600.0

_TOO_LARGE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DISK_FAULTS = _TOO_LARGE | {errno.EIO, errno.EROFS}


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, on disk when this returns.

    Raises `EnvironmentFault`, with the old file still in its place, where that fails.
    """
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode()))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file with the same ending, then put it at ``path``.

    Makes the folder. Raises `EnvironmentFault`, with the old file in its place, where that fails.
    """
    with staged(path, write) as temporary:
        put(temporary, path)


@contextmanager
def staged(path: Path, write: Callable[[Path], object]) -> Iterator[Path]:
    """Give a temporary file that ``write`` filled, on disk and beside ``path``, for `put`.

    Makes the folder. At the end the file is gone, unless it was put in its place. Raises
    `EnvironmentFault`.
    """
    with faults_named(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_path(path)
        try:
            _fill(temporary, write)
            _flush(temporary)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def put(temporary: Path, path: Path) -> None:
    """Move a staged file to ``path``, over what is there; raises `EnvironmentFault`."""
    with faults_named(path, "written"):
        os.replace(temporary, path)
        _flush(path.parent)


def remove(path: Path) -> None:
    """Remove a file, on disk when this returns, if there is one; raises `EnvironmentFault`."""
    with faults_named(path, "removed"):
        if os.path.lexists(path):
            path.unlink(missing_ok=True)
            _flush(path.parent)


def check_writable(path: Path) -> None:
    """Raise `EnvironmentFault` unless a file can be put at ``path``."""
    with faults_named(path, "written"):
        if os.path.lexists(path) and not path.is_file():
            raise FileExistsError(errno.EEXIST, "it is there and is no file")
        probe = temporary_path(path)
        probe.touch()
        probe.unlink()


def temporary_path(path: Path) -> Path:
    """Return a name beside ``path`` that no other writer has and that tells who writes it."""
    ending = path.name[-50:]  # together no longer than a file's name may be
    writer = f"{_machine()}-{os.getpid()}"
    return path.with_name(f".tmp-bnbench-{writer}-{secrets.token_hex(4)}-{ending}")


def is_abandoned(path: Path, now: float) -> bool:
    """Whether this is a temporary file, not a link or a folder, whose writer is gone.

    A writer that lives on this machine never lost its file. ``now`` is the time on the clock of
    the file system, whose machine may be another.
    """
    name = _TEMPORARY.fullmatch(path.name)
    try:
        state = path.lstat()
    except OSError:
        return False
    if name is None or not stat.S_ISREG(state.st_mode):
        return False
    age = now - state.st_mtime
    machine, process = name.groups()
    if machine != _machine() or os.name == "nt":  # Windows has no way to ask for a process
        return age > _UNKNOWN_WRITER_AFTER_SECONDS
    return age > _DEAD_WRITER_AFTER_SECONDS and not _lives(int(process))


@cache
def _machine() -> str:
    """Return 8 hex digits for the machine, or for the container that has process ids of its own."""
    try:
        ids = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        ids = 0
    return hashlib.sha256(f"{platform.node()} {ids}".encode()).hexdigest()[:8]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _fill(temporary: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill the file; where the disk makes that fail, an OSError says so.

    A library that is cut off ends in errors of its own, such as zlib's. Other errors are its bugs.
    """
    try:
        write(temporary)
    except (OSError, BnbenchError):
        raise
    except Exception as error:
        if fault := _disk_fault(error, temporary.parent):
            raise fault from error
        raise


def _disk_fault(error: Exception, folder: Path) -> OSError | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _DISK_FAULTS:
            return OSError(cause.errno, cause.strerror)
        cause = cause.__cause__ or cause.__context__
    if shutil.disk_usage(folder).free == 0:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return None


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def faults_named(path: Path, done: str) -> Iterator[None]:
    """Turn an OSError into an `EnvironmentFault` that names the path, the reason and a cure."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = f"{visible(path)}: cannot be {done}"
        raise EnvironmentFault(f"{where}: {reason}; {_cure(error)}") from error


def _cure(error: OSError) -> str:
    if error.errno in _TOO_LARGE:
        return "free some space, then run the same command again"
    return "make it accessible, or choose another place"
