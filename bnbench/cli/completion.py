"""What a shell completes arguments to: only words that it takes as they are, and never an error.

Where nothing is offered, shells complete file names by themselves, and quote them.
"""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import typer

_MOST = 500
_DEEPEST_FOLDER = 4
# Letters, digits and signs without a meaning to a shell. What is offered is put on the command
# line, where a folder named ``$(rm x)`` would be run.
_PLAIN_PATH = re.compile(r"(?!-)[\w@%+=:,./-]+")
_RECORDS_FOLDER = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})-[0-9a-f]{8}")


def complete_config(incomplete: str) -> Iterator[str]:
    """Yield the YAML files whose path begins so, in folders below as well."""
    start = Path(incomplete).parent if not incomplete.endswith("/") else Path(incomplete)
    paths = (str(path) for path in _yaml_files(start, _DEEPEST_FOLDER))
    fitting = (p for p in paths if p.startswith(incomplete) and _PLAIN_PATH.fullmatch(p))
    return islice(fitting, _MOST)


def complete_experiment(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield the names of recorded experiments that begin so and are not given yet."""
    folders = (name for name, _ in _entries(Path(ctx.params.get("runs_dir") or "runs")))
    names = {match[1] for name in folders if (match := _RECORDS_FOLDER.fullmatch(name))}
    given = ctx.params.get("names") or ()
    return (name for name in sorted(names) if name.startswith(incomplete) and name not in given)


def _yaml_files(folder: Path, depth: int) -> Iterator[Path]:
    for name, is_folder in _entries(folder):
        if name.startswith("."):
            continue
        if is_folder and depth:
            yield from _yaml_files(folder / name, depth - 1)
        elif name.endswith((".yaml", ".yml")):
            yield folder / name


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """Return the names in a folder, in order, and whether each is a folder itself."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    except (OSError, ValueError):  # not there, not to be read, or no name that a folder can have
        return []
