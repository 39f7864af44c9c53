"""Files that are put in their place in one step, on disk when the writer returns."""

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.text import visible

_TEMPORARY = re.compile(r"\.tmp-bnbench-[0-9a-f]{8}-.+", re.DOTALL)
_ABANDONED_AFTER_SECONDS = 24 * 3600.0  # no file takes that long to write

_TOO_LARGE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DISK_FAULTS = _TOO_LARGE | {errno.EIO, errno.EROFS}


def open_regular(path: Path | str) -> BinaryIO:
    """Open a file to read; raises OSError for a folder, a device, a pipe and an empty file.

    What the kernel shows as a file, such as ``/proc/kmsg``, may wait for ever and says that it is
    empty.
    """
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    if state.st_size == 0:
        raise OSError(errno.EINVAL, "it is empty")
    without_waiting = getattr(os, "O_NONBLOCK", 0)
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | without_waiting))


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


def check_writable(path: Path, beginning: bytes = b"") -> None:
    """Raise `EnvironmentFault` unless a file can be put at ``path``.

    A file that is there is replaced only if it begins like those that the command writes, or is
    empty.
    """
    with faults_named(path, "written"):
        if os.path.lexists(path):
            if not path.is_file():
                raise FileExistsError(errno.EEXIST, "it is there and is no file")
            if beginning and not beginning.startswith(path.read_bytes()[: len(beginning)]):
                raise FileExistsError(errno.EEXIST, "another kind of file is there")
        probe = temporary_path(path)
        probe.touch()
        probe.unlink()


def temporary_path(path: Path) -> Path:
    """Return a name beside ``path`` that no other writer has."""
    ending = path.name[-50:]  # together no longer than a file's name may be
    return path.with_name(f".tmp-bnbench-{secrets.token_hex(4)}-{ending}")


def is_abandoned(entry: os.DirEntry[str], now: float) -> bool:
    """Whether this is a temporary file, not a link or a folder, that nobody writes any more.

    ``now`` is the time on the clock of the file system, whose machine may be another.
    """
    if not _TEMPORARY.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
        return False
    return now - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_AFTER_SECONDS


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
