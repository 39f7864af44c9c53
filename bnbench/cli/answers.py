"""What the commands answer: which comparisons they are about, made and shown."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnbench import api
from bnbench.cli.advice import COMMANDS
from bnbench.errors import InputError
from bnbench.evidence.compare import newest
from bnbench.evidence.comparison import Comparison
from bnbench.files import write_text
from bnbench.show import formats, terminal

ALL = "all"  # comparisons, in place of the reference of one


def compared(runs_dir: str, names: Sequence[str] | None, **question: Any) -> api.Study:
    """Compare what is recorded, and warn of what is wrong with the records."""
    gc.disable()  # thousands of records are read once and kept: there is nothing to collect
    study = api.compare(runs_dir, names=names or (), **question)
    terminal.warn(study.warnings)
    return study


def chosen(study: api.Study, protocol: str | None) -> Sequence[Comparison]:
    """Return the comparison of this reference, or ``all``; by default the newest and its tuned.

    Raises `InputError` for an unknown reference.
    """
    if protocol is None:
        return newest(study.comparisons)
    found = [c for c in study.comparisons if protocol in (c.reference, ALL)]
    if not found and protocol != ALL:
        references = ", ".join(c.reference for c in study.comparisons)
        raise InputError(f"--protocol: none named {protocol}; there are: {references}, {ALL}")
    return found


def show(
    study: api.Study,
    protocol: str | None,
    format: str,
    table: str = "runs",
    output: Path | None = None,
) -> None:
    """Show the chosen comparisons as tables, the others as a line; other formats have them all.

    A named ``protocol`` is shown or written alone.
    """
    if format == "table" and output is None:
        shown = chosen(study, protocol)
        others = [] if protocol else [c for c in study.comparisons if c not in shown]
        return terminal.show_comparisons(shown, COMMANDS, others=others)
    written = chosen(study, protocol or ALL)
    if table == "contrasts":
        text = formats.contrasts_to_csv(written)
    else:
        text = formats.FORMATS[format](written, COMMANDS)
    if output:
        write_text(output, text)
    else:
        terminal.write(text)
