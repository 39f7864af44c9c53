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
    shipped = _folder()
    files = sorted((*shipped.rglob("*.yaml"), *shipped.rglob("*.json")))
    contents = {folder / file.relative_to(shipped): file.read_bytes() for file in files}
    missing = [path for path in contents if not os.path.lexists(path)]
    differing = {path for path in contents if not _holds(path, contents[path])} - {*missing}
    cure = "is there already and differs from the shipped file; move it away, or choose another"
    if differing:
        faults = [f"{visible(path)}: {cure} folder" for path in sorted(differing)]
        raise InputError("\n".join(faults))
    for path in missing:
        write_atomically(path, partial(Path.write_bytes, data=contents[path]))
    return missing


def _folder() -> Path:
    installed, clone = _PACKAGE / "configs", _PACKAGE.parent
    if installed.is_dir():  # in a wheel they are within the package
        return installed
    if (clone / "pyproject.toml").is_file() and (clone / "configs").is_dir():
        return clone / "configs"
    raise EnvironmentFault(f"{installed}: the shipped configs are not there; reinstall bnbench")


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.is_file() and path.read_bytes() == content
    except OSError:
        return False
