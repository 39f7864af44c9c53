"""Runs made by threads of this process, one to a core."""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bnbench.errors import BnbenchError, Interrupted
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.training.plan import Trial

if TYPE_CHECKING:
    from bnbench.training.program import DeviceData, TrainingProgram


@dataclass(frozen=True)
class Event:
    """What a worker tells: a run's epoch ended, or the run itself (``record`` or ``failure``)."""

    trial: Trial
    epochs_done: int
    record: RunRecord | None = None
    failure: Exception | None = None

    @property
    def ended(self) -> bool:
        """Whether this is the last that is heard of the run."""
        return self.record is not None or self.failure is not None

    @property
    def troubled(self) -> bool:
        """Whether the run diverged or failed."""
        return self.failure is not None or (self.record is not None and not self.record.completed)

    @property
    def reason(self) -> str:
        """Why the run failed, in one line."""
        first_line = (str(self.failure).strip().splitlines() or [""])[0]
        return f"{type(self.failure).__name__}: {first_line}".removesuffix(": ")


@dataclass
class Workers:
    """Threads that make the planned runs, one run to a core, each with programs of its own."""

    trials: Sequence[Trial]
    data: Mapping[Config, "DeviceData"]
    keep: Callable[["TrainingProgram", RunRecord], None]
    report: Callable[[Event], None]
    jobs: int
    _reporting: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _fault: Exception | None = None

    def run(self) -> None:
        """Make all runs and return when the last has ended.

        Raises the `BnbenchError` of a record that could not be kept. On that and when
        `Interrupted` the runs under way are dropped within one epoch; a second does not wait.
        """
        waiting: queue.SimpleQueue[Trial] = queue.SimpleQueue()
        for trial in self.trials:
            waiting.put(trial)
        ends: list[threading.Event] = []
        try:
            for _ in range(min(self.jobs, len(self.trials))):
                ended = threading.Event()
                threading.Thread(target=self._work, args=(waiting, ended), daemon=True).start()
                ends.append(ended)
            _wait_for_all(ends)
        except Interrupted:
            self._stop.set()
            _wait_for_all(ends)
            raise
        if self._fault:
            raise self._fault

    def _work(self, waiting: queue.SimpleQueue[Trial], ended: threading.Event) -> None:
        programs: dict[Config, TrainingProgram] = {}
        try:
            while not self._stop.is_set():
                self._attempt(waiting.get_nowait(), programs)
        except queue.Empty:
            pass
        except Exception as fault:
            self._fault = self._fault or fault
            self._stop.set()
        finally:
            ended.set()

    def _attempt(self, trial: Trial, programs: dict[Config, "TrainingProgram"]) -> None:
        try:
            self._make(trial, programs)
        except BnbenchError:
            raise
        except Exception as failure:
            programs.pop(trial.config, None)
            self._tell(Event(trial, 0, failure=failure))

    def _make(self, trial: Trial, programs: dict[Config, "TrainingProgram"]) -> None:
        from bnbench.training.program import TrainingProgram

        if trial.config not in programs:
            data = self.data[trial.config]
            programs[trial.config] = TrainingProgram(trial.config, data, self.jobs)
        program = programs[trial.config]
        record = program.run(
            trial.seed,
            self._stop.is_set,
            lambda epoch: self._tell(Event(trial, epoch + 1)),
        )
        if record:
            self.keep(program, record)
            self._tell(Event(trial, len(record.history.loss), record=record))

    def _tell(self, event: Event) -> None:
        with self._reporting:
            self.report(event)


def _wait_for_all(ends: Iterable[threading.Event]) -> None:
    # An interrupted join would take its thread for ended, up to Python 3.12; and a signal that
    # comes just before a wait without a limit is seen only after it.
    for ended in ends:
        while not ended.wait(0.2):
            pass
