"""Programs that take turns, so that drift of the machine hits all alike."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.processes import Worker, WorkerFailed, ask_all

SHARED = "one process, all cores"
SPREAD = "one process per core"
ALONE = "one run on one core"

REQUIRED = ("bnbench", "model.fit", "matrix products")  # the others may be missing or fail


@dataclass(frozen=True)
class Sample:
    """One turn: seconds an epoch took, and epochs per second of all runs together."""

    seconds: float
    rate: float


@dataclass
class Contender:
    """A program in one form of using the machine, with the workers that run it."""

    program: str
    form: str
    workers: Sequence[Worker]
    prepares: bool = True  # False where another contender prepares the same workers
    trouble: str = ""

    @property
    def label(self) -> tuple[str, str]:
        """Program and form."""
        return self.program, self.form

    def prepare(self, task: dict[str, Any]) -> None:
        """Build and compile, unless the library is missing or fails."""
        if not self.prepares:
            return
        self._attempt(lambda: ask_all(list(self.workers), "prepare", peer=self.program, task=task))

    def take_turn(self) -> Sample | None:
        """Run one epoch on every worker at once."""
        seconds = self._attempt(lambda: ask_all(list(self.workers), "epoch", peer=self.program))
        if seconds is None:
            return None
        # Several processes are given the sum of their rates, as if none ever waited for another.
        rate = sum(1 / each for each in seconds)
        return Sample(sum(seconds) / len(seconds), rate)

    def _attempt(self, ask: Callable[[], Any]) -> Any:
        if self.trouble:
            return None
        try:
            return ask()
        except WorkerFailed as failure:
            if self.program in REQUIRED:
                raise
            self.trouble = f"failed: {str(failure).splitlines()[0][:80]}"
            return None


def take_turns(contenders: Sequence[Contender], rounds: int) -> dict[tuple[str, str], list[Sample]]:
    """Let every contender run one epoch a round, in another order every round."""
    draws = random.Random(0)
    samples: dict[tuple[str, str], list[Sample]] = {c.label: [] for c in contenders}
    for _ in range(rounds):
        for contender in draws.sample(contenders, len(contenders)):
            sample = contender.take_turn()
            if sample:
                samples[contender.label].append(sample)
    return {c.label: [] if c.trouble else samples[c.label] for c in contenders}
