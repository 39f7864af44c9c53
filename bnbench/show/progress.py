"""What is told on standard error while runs are prepared and made."""

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
    """Tells a person how the work goes; a quiet one tells only of what is wrong."""

    quiet: bool = False

    def notice(self, text: str) -> None:
        """Tell something."""
        if not self.quiet:
            terminal.notice(text)

    def warn(self, text: str) -> None:
        """Tell that something is odd, quiet or not."""
        terminal.warn([text])

    def announce(
        self, recorded: int, missing: int, experiments: int, stage: str, seconds: float | None
    ) -> None:
        """Tell what is recorded, what is to be made, at which stage, and how long it takes."""
        head = f"{stage}: " if stage else ""
        self.notice(
            f"{head}{count(missing + recorded, 'run')} of {count(experiments, 'experiment')}, "
            f"{recorded} recorded, {missing} to make"
            + (f", about {duration(seconds)}, judging by runs recorded." if seconds else ".")
        )

    def announce_resolution(self, seeds: int, difference: float) -> None:
        """Tell which difference (a share of 1) so many seeds can find."""
        self.notice(
            f"With {seeds} seeds a difference of {100 * difference:.2f} percentage points is found "
            "four times in five, judging by the paired deviation recorded so far."
        )

    def announce_plan(self, stated: Iterable[tuple[int, int, int]]) -> None:
        """Tell which numbers of seeds, some to tune, reach no first look: nothing is decided."""
        for seeds, tuning, first in dict.fromkeys(stated):
            if seeds < tuning + first:
                those = f", after the {tuning} that tune" if tuning else ""
                self.notice(
                    f"{count(seeds, 'seed')} will not reach a verdict: the plan's first look is at "
                    f"{first} seeds{those}."
                )

    def report_outcome(
        self, plan: PlanConfig, contrasts: Sequence[ExperimentContrast], runs: int, most: int
    ) -> None:
        """Tell what came of adding seeds until it is settled: so many runs of ``most``."""
        undecided = [c for c in contrasts if c.failing or not c.result.decided]
        looks = [contrast.result.decided_at or plan.most for contrast in contrasts]
        if not contrasts:
            self.notice("Nothing to settle: no two of the experiments share a protocol.")
        elif not undecided:
            made = count(runs, "run") + (f" instead of {most}" if runs < most else "")
            self.notice(f"Settled at {max(looks)} of at most {plan.most} seeds: {made}.")
        else:
            self.notice(
                f"Not settled: {count(len(undecided), 'contrast')} of {len(contrasts)} open."
            )

    @contextmanager
    def following(self, trials: Sequence[Trial]) -> Iterator[Callable[[Event], None]]:
        """Give what is to be called with every event: a bar on a terminal, elsewhere lines."""
        if self.quiet:
            yield lambda event: None
        else:
            with _Bar(trials) as bar:
                yield bar.update


class _Bar:
    """A bar with the time left on a terminal; elsewhere one line for each finished run."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        console = terminal.console(sys.stderr)
        self._lines = not console.is_terminal
        self._runs, self._finished = len(trials), 0
        self._epochs = dict.fromkeys(trials, 0)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=self._lines,
        )
        epochs = sum(trial.config.training.epochs for trial in trials)
        self._task = self._bar.add_task(f"0/{self._runs} runs", total=epochs)

    def __enter__(self) -> "_Bar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self._epochs[event.trial] = event.epochs_done
        else:
            self._finished += 1
            self._epochs[event.trial] = event.trial.config.training.epochs
        done = f"{self._finished}/{self._runs}"
        self._bar.update(
            self._task, description=f"{done} runs", completed=sum(self._epochs.values())
        )
        if not isinstance(event, EpochEnded) and (self._lines or _is_trouble(event)):
            terminal.notice(f"[{done}] {event.trial}: {_outcome(event)}")


def _is_trouble(event: RunEnded | RunFailed) -> bool:
    return isinstance(event, RunFailed) or not event.record.completed


def _outcome(event: RunEnded | RunFailed) -> str:
    if isinstance(event, RunFailed):
        return f"failed: {event.reason}"
    record, epochs = event.record, len(event.record.history.loss)
    if record.test_accuracy is None:
        return f"diverged in epoch {epochs + 1}"
    mean = shown_seconds(sum(record.history.epoch_seconds) / epochs)
    return f"test accuracy {percent(record.test_accuracy)} %, {epochs} epochs of {mean} s"
