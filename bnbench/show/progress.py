"""The progress of the runs, as they end."""

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bnbench.show.terminal import console, notice
from bnbench.text import percent, seconds
from bnbench.training.engines.threads import Event
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
