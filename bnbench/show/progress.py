"""The progress of the runs, as they end."""

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bnbench.show.terminal import console, notice
from bnbench.text import percent, seconds
from bnbench.training.engines.engine import EpochEnded, Event, RunEnded, RunFailed
from bnbench.training.plan import Trial


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
        """Take in what an engine tells."""
        if isinstance(event, EpochEnded):
            self._epochs[event.trial] = event.epochs_done
        else:
            self._finished += 1
            self._epochs[event.trial] = event.trial.config.training.epochs
        description = f"{self._finished}/{self._runs} runs"
        self._bar.update(self._task, description=description, completed=sum(self._epochs.values()))
        if isinstance(event, EpochEnded):
            return
        troubled = isinstance(event, RunFailed) or not event.record.completed
        if troubled or not self._console.is_terminal:
            notice(f"[{self._finished}/{self._runs}] {_outcome(event)}")


def _outcome(event: RunEnded | RunFailed) -> str:
    if isinstance(event, RunFailed):
        return f"{event.trial}: failed: {event.reason}"
    record = event.record
    epochs_done = len(record.history.loss)
    if record.test_accuracy is None:
        return f"{event.trial}: diverged in epoch {epochs_done + 1}"
    mean = seconds(sum(record.history.epoch_seconds) / epochs_done)
    return (
        f"{event.trial}: test accuracy {percent(record.test_accuracy)} %, "
        f"{epochs_done} epochs of {mean} s"
    )
