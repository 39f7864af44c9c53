"""What a person reads on standard error while runs are prepared and made."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bnbench.evidence.comparison import ExperimentContrast
from bnbench.experiments.config import PlanConfig
from bnbench.show import terminal
from bnbench.text import count, duration, percent
from bnbench.text import seconds as shown_seconds
from bnbench.training.engines.engine import EpochEnded, Event, RunEnded, RunFailed
from bnbench.training.trial import Trial


@dataclass(frozen=True)
class ProgressReporter:
    """Reports to a person how the work goes; a quiet one writes warnings alone."""

    quiet: bool = False

    def notice(self, text: str) -> None:
        """Write a line."""
        if not self.quiet:
            terminal.notice(text)

    def warn(self, text: str) -> None:
        """Write a warning, quiet or not."""
        terminal.warn([text])

    def announce(
        self, recorded: int, missing: int, experiments: int, stage: str, seconds: float | None
    ) -> None:
        """Write how many runs are recorded and missing, for which stage, and how long they take."""
        head = f"{stage}: " if stage else ""
        self.notice(
            f"{head}{count(missing + recorded, 'run')} of {count(experiments, 'experiment')}, "
            f"{recorded} recorded, {missing} to make"
            + (f", about {duration(seconds)}, judging by runs recorded." if seconds else ".")
        )

    def announce_resolution(self, seeds: int, difference: float) -> None:
        """Write which difference (a share of 1) so many seeds find with 80 % power."""
        self.notice(
            f"{count(seeds, 'seed')} have an 80 % chance of finding a difference of "
            f"{percent(difference)} percentage points, judging by the paired differences recorded."
        )

    def announce_plan(self, stated: Iterable[tuple[int, int, int]]) -> None:
        """Write which numbers of seeds do not reach the first look, so that nothing is decided.

        Each is stated with how many of the seeds tune, and with the seeds of the first look.
        """
        for seeds, tuning, first in dict.fromkeys(stated):
            if seeds < tuning + first:
                after = f", after the {tuning} that tune" if tuning else ""
                self.notice(
                    f"{count(seeds, 'seed')} will not reach a verdict: the plan's first look is at "
                    f"{first} seeds{after}."
                )

    def report_outcome(
        self, plan: PlanConfig, contrasts: Sequence[ExperimentContrast], runs: int, most: int
    ) -> None:
        """Write whether adding seeds decided all contrasts, in how many ``runs`` of ``most``."""
        undecided = [c for c in contrasts if c.failing or not c.result.decided]
        if not contrasts:
            self.notice("Nothing to decide: no two of the experiments share a protocol.")
        elif undecided:
            self.notice(f"Undecided: {len(undecided)} of {count(len(contrasts), 'contrast')}.")
        else:
            seeds = max(contrast.result.decided_at or 0 for contrast in contrasts)
            made = count(runs, "run") + (f" instead of {most}" if runs < most else "")
            self.notice(f"Decided at {seeds} of at most {plan.most} seeds: {made}.")

    @contextmanager
    def following(self, trials: Sequence[Trial]) -> Iterator[Callable[[Event], None]]:
        """Yield what to call with every event: it moves a bar on a terminal, else writes lines."""
        if self.quiet:
            yield lambda event: None
            return
        lines = not terminal.console(sys.stderr).is_terminal
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeRemainingColumn(),
            console=terminal.console(sys.stderr),
            transient=True,
            disable=lines,
        ) as bar:
            yield _Follower(bar, trials, lines)


class _Follower:
    """Moves a bar with every epoch; writes runs that end in trouble or, with ``lines``, all."""

    def __init__(self, bar: Progress, trials: Sequence[Trial], lines: bool) -> None:
        self._bar, self._lines = bar, lines
        self._runs, self._finished = len(trials), 0
        self._epochs = dict.fromkeys(trials, 0)
        epochs = sum(trial.config.training.epochs for trial in trials)
        self._task = bar.add_task(f"0/{self._runs} runs", total=epochs)

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self._epochs[event.trial] = event.epochs_done
        else:
            self._finished += 1
            self._epochs[event.trial] = event.trial.config.training.epochs
        done = f"{self._finished}/{self._runs}"
        self._bar.update(
            self._task, description=f"{done} runs", completed=sum(self._epochs.values())
        )
        if not isinstance(event, EpochEnded):
            trouble = isinstance(event, RunFailed) or not event.record.completed
            if self._lines or trouble:
                terminal.notice(f"[{done}] {event.trial}: {_outcome(event)}")


def _outcome(event: RunEnded | RunFailed) -> str:
    if isinstance(event, RunFailed):
        return f"failed: {event.reason}"
    record, epochs = event.record, len(event.record.history.loss)
    if record.test_accuracy is None:
        return f"diverged in epoch {epochs + 1}"
    mean = shown_seconds(sum(record.history.epoch_seconds) / epochs)
    return f"test accuracy {percent(record.test_accuracy)} %, {epochs} epochs of {mean} s"
