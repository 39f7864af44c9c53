"""The terminal: consoles, and pages, tables and texts fitted to their width."""

import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        for grid in page.tables:
            show_grid(grid, out)
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


def show_grids(*shown: "Grid") -> None:
    """Write tables to standard output."""
    out = console(sys.stdout)
    for grid in shown:
        show_grid(grid, out)


def show_grid(grid: "Grid", out: Console) -> None:
    """Write one table, fitted to the console's width."""
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

    A grid that is too wide is turned, if it may be; else cells get a second line, and then columns
    are left out. What is not a terminal gets all columns side by side, and no line is cut.
    """

    def fits(table: Table) -> bool:
        wide = console.options.update(width=_ANY_LENGTH)
        return console.measure(table, options=wide).maximum <= console.width

    table = _rich_table(grid, [[place] for place in range(len(grid.columns))])
    if not console.is_terminal or fits(table):
        return table
    if grid.turnable:
        turned = grid.turned()
        table = _rich_table(turned, [[place] for place in range(len(turned.columns))])
        if fits(table):
            return table
    stacks = _stacks(grid)
    while True:
        table = _rich_table(grid, stacks)
        places = (place for stack in stacks for place in stack)
        spare = max(places, key=lambda place: grid.columns[place].dispensable)
        if fits(table) or not grid.columns[spare].dispensable:
            return table
        stacks = [
            [place for place in stack if place != spare] for stack in stacks if stack[0] != spare
        ]


def _stacks(grid: "Grid") -> list[list[int]]:
    """Return the columns' places, each together with those that are to be beneath it."""
    stacks: list[list[int]] = []
    for place, column in enumerate(grid.columns):
        if column.beneath:
            stacks[-1].append(place)
        else:
            stacks.append([place])
    return stacks


def _rich_table(grid: "Grid", stacks: Sequence[Sequence[int]]) -> Table:
    """Lay out columns, by their places, side by side or in stacks of lines."""
    kept = [place for stack in stacks for place in stack]
    left_out = [column.heading for place, column in enumerate(grid.columns) if place not in kept]
    narrow = any(len(stack) > 1 for stack in stacks)
    table = Table(
        title=Text(grid.title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption=Text(f"Too narrow for: {', '.join(left_out)}.") if left_out else None,
        caption_justify="left",
        leading=int(narrow),
    )
    for stack in stacks:
        table.add_column(
            Text(visible("\n".join(_heads(grid, stack, narrow=narrow)), keep="\n")),
            justify="right" if grid.columns[stack[0]].numeric else "left",
            overflow="fold",
        )
    for row in grid.rows:
        cells = (
            "\n".join(line for place in stack for line in _lines(row[place], narrow=narrow))
            for stack in stacks
        )
        table.add_row(*map(Text, cells))
    return table


def _lines(cell: str, *, narrow: bool) -> list[str]:
    """Return a cell's lines: on a narrow terminal what is in brackets has a line of its own."""
    return visible(cell).replace(" (", "\n(").split("\n") if narrow else [visible(cell)]


def _heads(grid: "Grid", stack: Sequence[int], *, narrow: bool) -> Iterator[str]:
    """Yield the lines of a stack's heading; what is wider than the cells takes several."""
    width = max((len(row[place]) for row in grid.rows for place in stack), default=0)
    for column in (grid.columns[place] for place in stack):
        if narrow and len(column.header) <= width:
            yield column.header
            continue
        yield from column.heading.split() if narrow and len(stack) == 1 else [column.heading]
        if column.unit:
            yield f"[{column.unit}]"
