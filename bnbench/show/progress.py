"""What the user sees on standard error while runs are prepared and made."""

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
    """Reports the progress of runs on standard error; a quiet one writes warnings alone."""

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
            + (f", about {duration(seconds)}, judging by recorded runs." if seconds else ".")
        )

    def announce_resolution(self, seeds: int, difference: float) -> None:
        """Write the difference, a share of 1, that this number of seeds finds with 80 % power."""
        self.notice(
            f"{count(seeds, 'seed')} have an 80 % chance of finding a difference of "
            f"{percent(difference)} percentage points, judging by recorded differences."
        )

    def announce_plan(self, numbers: Iterable[tuple[int, int, int]]) -> None:
        """Warn of too few seeds; ``numbers`` are those of seeds, to tune and of the first look."""
        for seeds, tuning, first in dict.fromkeys(numbers):
            if seeds < tuning + first:
                after = f", after the {tuning} that tune" if tuning else ""
                self.notice(
                    f"{count(seeds, 'seed')} will not reach a verdict: the plan's first look is at "
                    f"{first} seeds{after}."
                )

    def report_outcome(
        self, plan: PlanConfig, contrasts: Sequence[ExperimentContrast], runs: int, most: int
    ) -> None:
        """Write whether all contrasts are decided, and by how many ``runs`` of at most ``most``."""
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
        """Yield a function that takes every event: it moves a bar on a terminal or writes lines."""
        if self.quiet:
            yield lambda event: None
            return
        console = terminal.console(sys.stderr)
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as bar:
            planned = {trial: trial.config.training.epochs for trial in trials}
            done = dict.fromkeys(trials, 0)
            ended: set[Trial] = set()
            task = bar.add_task(f"0/{len(trials)} runs", total=sum(planned.values()))

            def follow(event: Event) -> None:
                trial = event.trial
                if isinstance(event, EpochEnded):
                    done[trial] = event.epochs_done
                else:
                    done[trial] = planned[trial]
                    ended.add(trial)
                runs = f"{len(ended)}/{len(trials)}"
                bar.update(task, description=f"{runs} runs", completed=sum(done.values()))
                if not isinstance(event, EpochEnded):
                    trouble = isinstance(event, RunFailed) or not event.record.completed
                    if trouble or not console.is_terminal:
                        terminal.notice(f"[{runs}] {trial}: {_outcome(event)}")

            yield follow


def _outcome(event: RunEnded | RunFailed) -> str:
    if isinstance(event, RunFailed):
        return f"failed: {event.reason}"
    record, epochs = event.record, len(event.record.history.loss)
    if record.test_accuracy is None:
        return f"diverged in epoch {epochs + 1}"
    mean = shown_seconds(sum(record.history.epoch_seconds) / epochs)
    return f"test accuracy {percent(record.test_accuracy)} %, {epochs} epochs of {mean} s"
