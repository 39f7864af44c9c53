"""Files that are put in their place in one step, on disk when the writer returns."""

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bnbench.errors import EnvironmentFault
from bnbench.text import visible


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, on disk when this returns.

    Raises `EnvironmentFault`, with the old file still in its place, where that fails.
    """
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode()))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file with the same ending, then put it at ``path``.

    Makes the folder. Raises `EnvironmentFault`, with the old file in its place, where that fails.
    """
    with faults_named(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_path(path)
        try:
            write(temporary)
            _flush(temporary)
            os.replace(temporary, path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise `EnvironmentFault` unless a file can be put at ``path``."""
    with faults_named(path, "written"):
        if os.path.lexists(path) and not path.is_file():
            raise FileExistsError(errno.EEXIST, "it is there and is no file")
        probe = temporary_path(path)
        probe.touch()
        probe.unlink()


def temporary_path(path: Path) -> Path:
    ending = path.name[-50:]  # together no longer than a file's name may be
    return path.with_name(f".tmp-{secrets.token_hex(4)}-{ending}")


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
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = f"{visible(path)}: cannot be {done}"
        raise EnvironmentFault(f"{where}: {reason}; {_cure(error)}") from error


def _cure(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return "free some space, then run the same command again"
    return "make it accessible, or name another place (--runs-dir, --output, --tensorboard)"
