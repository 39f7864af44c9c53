"""The terminal: consoles, and pages, tables and texts fitted to their width."""

import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bnbench.errors import EnvironmentFault
from bnbench.text import visible

if TYPE_CHECKING:
    from bnbench.evidence.advice import Advice
    from bnbench.evidence.comparison import Comparison
    from bnbench.lessons.explanation import Section
    from bnbench.show.grids import Grid

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
    notebook = type(stream).__module__.startswith("ipykernel")  # claims to be a terminal
    width = None if stream.isatty() and not notebook else _ANY_LENGTH
    return _Console(
        file=stream,
        width=width,
        highlight=False,
        markup=False,
        force_jupyter=False,  # else it would write past the stream
        force_terminal=False if notebook else None,
    )


def notice(text: str, style: str = "", *, copied: bool = False) -> None:
    """Write a line for the person at the terminal to standard error.

    What is to be ``copied``, as a command is, gets no line breaks but those of the terminal.
    """
    with suppress(EnvironmentFault):  # the work still counts if nobody reads it
        console(sys.stderr).print(Text(visible(text, keep="\n"), style), soft_wrap=copied)


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


def show_comparisons(
    comparisons: Iterable["Comparison"],
    advice: "Advice",
    stream: TextIO | None = None,
    others: Sequence["Comparison"] = (),
) -> None:
    """Write each comparison's page, by default to standard output, and a line for each other."""
    from bnbench.show.page import pages  # and the statistics, which take long to import
    from bnbench.show.sentences import describe_protocol

    out = console(stream or sys.stdout)
    for page in pages(comparisons, advice):
        out.print(Text(page.title, "bold"))
        out.print()
        out.print(_list({"▸": page.answer}))
        out.print()
        show_grids(*page.tables, stream=stream)
        out.print(_list({"!": page.remarks, "•": page.closing}))
        out.print()
    if others:
        out.print(Text(f"Also recorded, shown by {advice.protocol}:"))
        out.print(_list({"•": [f"{c.reference}: {describe_protocol(c)}" for c in others]}))
        out.print()


def plain_text(comparisons: Iterable["Comparison"], advice: "Advice") -> str:
    """Return what `show_comparisons` writes to a file: lines of any length, without colours."""
    written = io.StringIO()
    show_comparisons(comparisons, advice, written)
    return written.getvalue()


def show_remarks(sentences: Iterable[str]) -> None:
    """Write sentences to standard output, each behind a mark and, on a terminal, beside it."""
    console(sys.stdout).print(_list({"!": sentences}))


def _list(sentences_by_mark: Mapping[str, Iterable[str]]) -> Table:
    table = Table.grid(padding=(0, 1))
    styles = {"!": "yellow", "▸": "bold"}
    for mark, sentences in sentences_by_mark.items():
        for sentence in sentences:
            table.add_row(mark, Text(visible(sentence)), style=styles.get(mark))
    return table


def show_grids(*shown: "Grid", stream: TextIO | None = None) -> None:
    """Write tables, fitted to a terminal's width, by default to standard output."""
    out = console(stream or sys.stdout)
    for grid in shown:
        out.print(rendered(grid, out))
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


def rendered(grid: "Grid", console: Console) -> Table:
    """Return the grid as a rich table that fits the terminal.

    Where it is too wide some columns move beneath others, and then those that are the least needed
    are left out, and named. What is not a terminal gets all columns, and no line is cut.
    """

    def width(table: Table) -> int:
        return console.measure(table, options=console.options.update(width=_ANY_LENGTH)).maximum

    columns = grid.columns
    places = list(range(len(columns)))
    table = _laid_out(grid, places, folded=False)
    needed = width(table)
    if not console.is_terminal or needed <= console.width:
        return table
    table = _laid_out(grid, places, folded=True)
    for place in sorted(places, key=lambda p: (columns[p].dispensable, p), reverse=True):
        if width(table) <= console.width or not columns[place].dispensable:
            break
        places.remove(place)
        table = _laid_out(grid, places, folded=True)
    if left_out := [c.heading for place, c in enumerate(columns) if place not in places]:
        table.caption = Text(
            f"Too narrow for: {', '.join(left_out)} (all fit in {needed} columns)."
        )
    return table


def _laid_out(grid: "Grid", places: Sequence[int], *, folded: bool) -> Table:
    """Lay out the columns at these places; folded, some are lines beneath others."""
    stacks: list[list[int]] = []
    for place in places:
        if folded and grid.columns[place].beneath:
            stacks[-1].append(place)
        else:
            stacks.append([place])
    folded = any(len(stack) > 1 for stack in stacks)
    table = Table(
        title=Text(grid.title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption_justify="left",
        leading=int(folded),
    )
    for stack in stacks:
        columns = [grid.columns[place] for place in stack]
        heads = [
            visible(c.header if len(stack) > 1 else c.header.replace(" [", "\n["), keep="\n")
            for c in columns
        ]
        justify: Any = "right" if columns[0].numeric else "left"
        table.add_column(Text("\n".join(heads)), justify=justify, overflow="fold")
    for row in grid.rows:
        cells = ("\n".join(visible(row[place]) for place in stack) for stack in stacks)
        # What a verdict has in brackets takes a line of its own where there are several anyway.
        table.add_row(*(Text(c.replace(" (", "\n(") if folded else c) for c in cells))
    return table
