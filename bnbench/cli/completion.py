"""Completion of arguments in a shell: only words that need no quotes, and never an error.

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
    """Yield the YAML files whose path begins with the text, in folders below as well."""
    start = Path(incomplete).parent if not incomplete.endswith("/") else Path(incomplete)
    paths = map(str, _yaml_files(start))
    fitting = (p for p in paths if p.startswith(incomplete) and _PLAIN_PATH.fullmatch(p))
    return islice(fitting, _MOST)


def complete_experiment(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield the names of recorded experiments that begin with the text and are not given yet."""
    _, folders, _ = next(os.walk(ctx.params.get("runs_dir") or "runs"), ("", [], []))
    names = {match[1] for folder in folders if (match := _RECORDS_FOLDER.fullmatch(folder))}
    given = ctx.params.get("names") or ()
    return (name for name in sorted(names) if name.startswith(incomplete) and name not in given)


def _yaml_files(start: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(start):  # which passes over what cannot be read
        depth = len(Path(folder).parts) - len(start.parts)
        below[:] = sorted(n for n in below if not n.startswith(".") and depth < _DEEPEST_FOLDER)
        shown = (name for name in sorted(names) if not name.startswith("."))
        yield from (Path(folder, name) for name in shown if name.endswith((".yaml", ".yml")))
