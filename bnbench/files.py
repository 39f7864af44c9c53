"""Files read without waiting, and written whole: on disk when the writer returns, or not at all."""

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bnbench.errors import EnvironmentFault, InputError
from bnbench.text import visible

_TEMPORARY = re.compile(r"\.tmp-bnbench-[0-9a-f]{8}-.+", re.DOTALL)
_ABANDONED_AFTER_SECONDS = 24 * 3600.0  # no file takes that long to write
_LARGEST_OUTPUT_BYTES = 2**26
_TOO_LARGE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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


def check_output(path: Path, is_own: Callable[[bytes], object]) -> None:
    """Check, before any work, that a command may write its output to ``path``.

    Raises `InputError` for what `check_replaceable` refuses, `EnvironmentFault` where no file can
    be written.
    """
    check_replaceable(path, is_own)
    check_writable(path)


def check_replaceable(path: Path, is_own: Callable[[bytes], object]) -> None:
    """Raise `InputError` unless nothing is lost by writing to ``path``: the rule of all commands.

    It must be free, or a file that is empty or whose content ``is_own``: made by this command. A
    link is never replaced, nor a file that may not be read.
    """
    if not os.path.lexists(path):
        return
    if path.is_file() and not path.is_symlink():
        with faults_named(path, "read"), path.open("rb") as file:
            content = file.read(_LARGEST_OUTPUT_BYTES)
        if not content or is_own(content):
            return
    raise InputError(
        f"{visible(path)}: is there already, and this command did not make it; move it away, or "
        "choose another name"
    )


def check_writable(path: Path) -> None:
    """Raise `EnvironmentFault` unless a file can be made beside ``path``."""
    with faults_named(path, "written"):
        probe = temporary_path(path)
        probe.touch()
        probe.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text as `write_atomically` does."""
    write_atomically(path, text.encode())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by the content in one step, on disk when this returns; makes the folder.

    Raises `EnvironmentFault`, with the old file still in its place, where that fails.
    """
    with staged(path, content) as put:
        put()


@contextmanager
def staged(path: Path, content: bytes) -> Iterator[Callable[[], None]]:
    """Write the content to a temporary file beside ``path``; give what puts it in its place.

    Makes the folder. What was not put is removed at the end. Raises `EnvironmentFault`.
    """

    def put() -> None:
        os.replace(temporary, path)
        flush(path.parent)

    with faults_named(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_path(path)
        try:
            temporary.write_bytes(content)
            flush(temporary)
            yield put
        finally:
            temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Return a name beside ``path`` that no other writer has."""
    ending = path.name[-50:]  # together no longer than a file's name may be
    return path.with_name(f".tmp-bnbench-{secrets.token_hex(4)}-{ending}")


def is_abandoned(entry: os.DirEntry[str]) -> bool:
    """Return whether this is a temporary file, no link and no folder, left a day ago or longer."""
    if not _TEMPORARY.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
        return False
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_AFTER_SECONDS


def flush(path: Path) -> None:
    """Wait until a file's content, or which files a folder has, is on disk; raises OSError."""
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
        cure = "make it accessible, or choose another place"
        if error.errno in _TOO_LARGE:
            cure = "free some space, then run the same command again"
        reason = f"cannot be {done}: {error.strerror or error}"
        raise EnvironmentFault(f"{visible(path)}: {reason}; {cure}") from error
