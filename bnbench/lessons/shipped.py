"""The configs that ship with the package, for those who have no clone of its repository."""

from pathlib import Path

from bnbench.errors import EnvironmentFault, InputError
from bnbench.files import check_replaceable, write_atomically

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
    faults = []
    for path, content in contents.items():
        try:
            check_replaceable(path, content.__eq__)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(faults))
    missing = [path for path in contents if not path.exists() or path.stat().st_size == 0]
    for path in missing:
        write_atomically(path, contents[path])
    return missing


def _folder() -> Path:
    installed, clone = _PACKAGE / "configs", _PACKAGE.parent
    if installed.is_dir():  # in a wheel they are within the package
        return installed
    if (clone / "pyproject.toml").is_file() and (clone / "configs").is_dir():
        return clone / "configs"
    raise EnvironmentFault(f"{installed}: the shipped configs are not there; reinstall bnbench")
