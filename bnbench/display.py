"""What a person sees: consoles, tables fitted to them, and the progress of the runs."""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from bnbench import sentences, tables
from bnbench.comparison import Comparison
from bnbench.errors import EnvironmentFault
from bnbench.explanation import Section
from bnbench.runner import Event, Trial
from bnbench.tables import Grid
from bnbench.text import percent, seconds, visible

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


def show_comparisons(comparisons: Sequence[Comparison], stream: TextIO) -> None:
    """Write each protocol's tables and closing sentences."""
    out = console(stream)
    for comparison in comparisons:
        out.print(Text(sentences.title(comparison), "bold"))
        out.print()
        for grid in tables.grids(comparison):
            show_grid(grid, out)
        said = Table.grid(padding=(0, 1))
        for remark in tables.remarks(comparison):
            said.add_row("!", Text(visible(remark)), style="yellow")
        for sentence in sentences.closing(comparison):
            said.add_row("•", Text(visible(sentence)))
        out.print(said)
        out.print()


def show_grid(grid: Grid, out: Console) -> None:
    """Write one table, fitted to the console's width."""
    out.print(tables.rendered(grid, out))
    out.print()


def show_sections(sections: Iterable[Section]) -> None:
    """Write headings and paragraphs to standard output; a terminal gets lines that read well."""
    out = console(sys.stdout)
    width = min(out.width, _READABLE) if out.is_terminal else _ANY_LENGTH
    for section in sections:
        out.print(Text(section.heading, "bold"), width=width)
        for paragraph in section.paragraphs:
            out.print(Padding(Text(visible(paragraph)), (0, 0, 0, 2), expand=False), width=width)
        out.print()


class RunProgress:
    """A bar with the time left on a terminal; elsewhere one line for each finished run."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._console = console(sys.stderr)
        self._runs = len(trials)
        self._finished = 0
        self._epochs = dict.fromkeys(trials, 0)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        epochs = sum(trial.config.training.epochs for trial in trials)
        self._task = self._bar.add_task(f"0/{self._runs} runs", total=epochs)

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, event: Event) -> None:
        """Take in what a worker tells; called from any thread, one at a time."""
        if event.ended:
            self._finished += 1
            self._epochs[event.trial] = event.trial.config.training.epochs
        else:
            self._epochs[event.trial] = event.epochs_done
        description = f"{self._finished}/{self._runs} runs"
        self._bar.update(self._task, description=description, completed=sum(self._epochs.values()))
        if event.ended and (event.troubled or not self._console.is_terminal):
            notice(f"[{self._finished}/{self._runs}] {_outcome(event)}")


def _outcome(event: Event) -> str:
    if event.failure:
        return f"{event.trial}: failed: {event.reason}"
    record = event.record
    if record is None or record.test_accuracy is None:
        return f"{event.trial}: diverged in epoch {event.epochs_done + 1}"
    mean = seconds(sum(record.history.epoch_seconds) / event.epochs_done)
    return (
        f"{event.trial}: test accuracy {percent(record.test_accuracy)} %, "
        f"{event.epochs_done} epochs of {mean} s"
    )
