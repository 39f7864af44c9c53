"""The configs that ship with the package, for those who have no clone of its repository."""

import os
from functools import partial
from pathlib import Path

from bnbench.errors import EnvironmentFault, InputError
from bnbench.files import write_atomically
from bnbench.text import visible

_PACKAGE = Path(__file__).parent.parent


def write_configs(folder: Path) -> list[Path]:
    """Write the shipped configs and their schema below ``folder``; return the files written.

    A file that is there with the same content stays as it is. Raises `InputError`, having written
    nothing, for a file that is there with other content, `EnvironmentFault` for one that cannot be
    written.
    """
    contents = {folder / path: content for path, content in _shipped().items()}
    there = {path for path in contents if os.path.lexists(path)}
    differing = [path for path in there if not _holds(path, contents[path])]
    if differing:
        raise InputError(
            "\n".join(
                f"{visible(path)}: is there already and differs from the shipped file; move it "
                "away, or choose another folder"
                for path in sorted(differing)
            )
        )
    missing = [path for path in contents if path not in there]
    for path in missing:
        write_atomically(path, partial(Path.write_bytes, data=contents[path]))
    return missing


def _shipped() -> dict[Path, bytes]:
    """Return the content of every shipped file by its path below their folder, in order."""
    folder = _folder()
    files = sorted((*folder.rglob("*.yaml"), *folder.rglob("*.json")))
    return {file.relative_to(folder): file.read_bytes() for file in files}


def _folder() -> Path:
    installed = _PACKAGE / "configs"  # in a wheel they travel within the package
    clone = _PACKAGE.parent
    if installed.is_dir():
        return installed
    if (clone / "pyproject.toml").is_file() and (clone / "configs").is_dir():
        return clone / "configs"
    raise EnvironmentFault(f"{installed}: the shipped configs are not there; reinstall bnbench")


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.is_file() and path.read_bytes() == content
    except OSError:
        return False
