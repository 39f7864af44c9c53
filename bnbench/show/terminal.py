"""What a person sees: consoles, and tables and texts fitted to them."""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bnbench.errors import EnvironmentFault
from bnbench.show import grids
from bnbench.show.grids import Grid
from bnbench.text import visible

if TYPE_CHECKING:
    from bnbench.evidence.comparison import Comparison
    from bnbench.lessons.explanation import Section

_ANY_LENGTH = 10_000
_READABLE = 90


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on silently when the reader of a pipe has gone, so that checks still count."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; raises `EnvironmentFault` where that fails, as on a full disk."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            raise _unwritable(error) from error


def _unwritable(error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"standard output: cannot be written: {error.strerror}; free some space, or send it to "
        "another place"
    )


def console(stream: TextIO) -> Console:
    """Return a console; what is no terminal gets plain text in lines of any length."""
    width = None if stream.isatty() else _ANY_LENGTH
    return _Console(file=stream, width=width, highlight=False, markup=False)


def notice(text: str, style: str = "") -> None:
    """Write a line for the person at the terminal to standard error."""
    with suppress(EnvironmentFault):  # with nobody to tell, the work still counts
        console(sys.stderr).print(Text(visible(text, keep="\n"), style))


def warn(texts: Iterable[str]) -> None:
    """Write warnings to standard error, a line each."""
    for text in texts:
        notice(f"warning: {visible(text)}", "yellow")


def write(text: str) -> None:
    """Write finished text to standard output as it is."""
    out = console(sys.stdout)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        out.on_broken_pipe()
    except OSError as error:
        raise _unwritable(error) from error


def show_comparisons(comparisons: Sequence["Comparison"], stream: TextIO) -> None:
    """Write each protocol's tables and closing sentences."""
    from bnbench.show import sentences

    out = console(stream)
    for comparison in comparisons:
        out.print(Text(sentences.title(comparison), "bold"))
        out.print()
        for grid in grids.grids(comparison):
            show_grid(grid, out)
        said = Table.grid(padding=(0, 1))
        for remark in grids.remarks(comparison):
            said.add_row("!", Text(visible(remark)), style="yellow")
        for sentence in sentences.closing(comparison):
            said.add_row("•", Text(visible(sentence)))
        out.print(said)
        out.print()


def show_grid(grid: Grid, out: Console) -> None:
    """Write one table, fitted to the console's width."""
    out.print(grids.rendered(grid, out))
    out.print()


def show_sections(sections: Iterable["Section"]) -> None:
    """Write headings and paragraphs to standard output; a terminal gets lines that read well."""
    out = console(sys.stdout)
    width = min(out.width, _READABLE) if out.is_terminal else _ANY_LENGTH
    for section in sections:
        out.print(Text(section.heading, "bold"), width=width)
        for paragraph in section.paragraphs:
            out.print(Padding(Text(visible(paragraph)), (0, 0, 0, 2), expand=False), width=width)
        out.print()
