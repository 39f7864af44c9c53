"""Runs made by worker processes of this machine, one to a core."""

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.connection import Connection

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.engines.launch import Launcher, Method, launcher
from bnbench.training.engines.worker import Ready, Setup
from bnbench.training.trial import Trial

# The system libraries of macOS do not stand a fork without a fresh start, and Windows has none.
default_method: Method = "forkserver" if sys.platform == "linux" else "spawn"

_GLANCE_SECONDS = 0.2  # a signal that comes just before a wait is seen only after it


@dataclass(frozen=True)
class Processes:
    """Up to ``jobs`` runs at once on the CPU, one after another on a GPU.

    A worker process that dies takes its run with it and no other; the run is repeated once.
    """

    request: device.Request
    jobs: int
    method: Method | None = None

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield what comes of the trials; see `Engine.make`."""
        setup = Setup(self.request, self.jobs, models, dict(data))
        alone = self.request != "cpu" and device.may_have_gpu()
        staff = _Staff(
            launcher(self.method or default_method, setup),
            self.jobs,
            list(trials),
            most=1 if alone else self.jobs,
        )
        try:
            yield from staff.work()
        finally:
            staff.dismiss()


@dataclass(eq=False)
class _Worker:
    number: int
    connection: Connection
    ready: bool = False
    trial: Trial | None = None
    compiled: set[Config] = field(default_factory=set)


@dataclass
class _Staff:
    """The workers, and what they have to do.

    ``most`` of them work at once: one, where there may be a GPU, until the first has looked.
    """

    launcher: Launcher
    jobs: int
    waiting: list[Trial]
    most: int
    workers: list[_Worker] = field(default_factory=list)
    repeated: set[Trial] = field(default_factory=set)
    stillborn: int = 0

    def work(self) -> Iterator[Event]:
        """Yield events until no run is waiting or under way."""
        self._occupy()
        while self.waiting or any(worker.trial for worker in self.workers):
            connections = {worker.connection: worker for worker in self.workers}
            for ready in connection.wait(list(connections), _GLANCE_SECONDS):
                yield from self._listen(connections[ready])  # type: ignore[index]

    def dismiss(self) -> None:
        """End all workers, whatever they do."""
        for worker in self.workers:
            worker.connection.close()
        self.launcher.close()

    def _occupy(self) -> None:
        """Give every free worker a run, and start workers for the runs that still wait."""
        for worker in self.workers:
            if worker.ready and worker.trial is None and self.waiting:
                self._give(worker)
        starting = sum(not worker.ready for worker in self.workers)
        for _ in range(min(self.most - len(self.workers), len(self.waiting) - starting)):
            self.workers.append(_Worker(*self.launcher.start()))

    def _give(self, worker: _Worker) -> None:
        trial = next_trial(self.waiting, worker.compiled, self._compiled_by_others(worker))
        try:
            worker.connection.send(trial)
        except OSError:
            return  # it is gone, which is heard from it next
        self.waiting.remove(trial)
        worker.trial = trial
        worker.compiled.add(trial.config)

    def _compiled_by_others(self, worker: _Worker) -> set[Config]:
        return set().union(*(other.compiled for other in self.workers if other is not worker))

    def _listen(self, worker: _Worker) -> Iterator[Event]:
        try:
            told = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._lose(worker)
            return
        match told:
            case BnbenchError():
                raise told
            case Ready():
                worker.ready = True
                self.most = 1 if told.device.startswith("GPU") else self.jobs
                self._occupy()
            case RunEnded() | RunFailed():
                worker.trial = None
                self._occupy()  # before the caller takes its time over the event
                yield told
            case _:
                yield told

    def _lose(self, worker: _Worker) -> Iterator[Event]:
        worker.connection.close()
        self.workers.remove(worker)
        cause = self.launcher.cause(worker.number)
        if not worker.ready:
            self._count_stillborn(cause)
        trial = worker.trial
        if trial and trial in self.repeated:
            yield RunFailed(trial, f"its process {cause}, and so did another before")
        elif trial:
            self.repeated.add(trial)
            self.waiting.insert(0, trial)
        self._occupy()

    def _count_stillborn(self, cause: str) -> None:
        """Make do with the workers there are, once more than one has ended before it was ready."""
        self.stillborn += 1
        if self.stillborn > 1:
            self.most = self.jobs = len(self.workers)
        if self.most == 0:
            raise EnvironmentFault(f"TensorFlow cannot be started: its process {cause}")


def next_trial(waiting: Sequence[Trial], compiled: set[Config], elsewhere: set[Config]) -> Trial:
    """Return what a worker does next, as early as possible in the order of the seeds.

    Compiling takes longer than a short run: an experiment that only other workers have
    ``compiled`` is left to them, as long as there is another in reach, one run of each experiment.
    """
    reach = waiting[: len({trial.config for trial in waiting})]
    left_to_others = elsewhere - compiled
    return next((trial for trial in reach if trial.config not in left_to_others), reach[0])
