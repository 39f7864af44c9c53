"""The worker processes of `processes.Processes`, and what gives them their runs: the driver."""

import gc
import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import variables
from bnbench.training.device import Request
from bnbench.training.engines import child
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.engines.runner import TrialRunner, reason
from bnbench.training.trial import Trial


@dataclass(frozen=True)
class Setup:
    """What every worker has to know before its first run."""

    request: Request
    jobs: int
    at_first: int  # workers, until one of them has looked for a GPU
    models: bool
    data: Mapping[Config, Dataset]
    method: child.Method
    runner: type[TrialRunner]


def run_pool(request: tuple[Setup, Sequence[Trial]], parent: Connection) -> Iterator[Event]:
    """Have the trials made by workers, until all have ended or the parent no longer listens."""
    setup, trials = request
    del request  # it would keep data that have been moved
    if setup.method == "fork":
        setup = _ready_to_fork(setup)
    pool = WorkerPool(setup, list(trials), setup.at_first)
    try:
        yield from pool.events(parent)
    finally:
        pool.close()


def _ready_to_fork(setup: Setup) -> Setup:
    with suppress(Exception):  # every worker meets it again, and reports it
        setup.runner.preload()
    moved = cache(_moved)
    setup = replace(setup, data={key: moved(dataset) for key, dataset in setup.data.items()})
    gc.freeze()  # else the first collection in each worker would write to all that is shared
    return setup


def work(pool: Connection, setup: Setup) -> None:
    """Make the runs whose trials come from the pool, one after another."""
    child.begin()
    with suppress(EOFError, ConnectionError):  # nobody listens any more
        try:
            runner = setup.runner.open(setup.request, setup.jobs)
        except BnbenchError as fault:
            pool.send(fault)
            return
        except Exception as failure:
            pool.send(EnvironmentFault(f"TensorFlow cannot be started: {reason(failure)}"))
            return
        pool.send(runner.device)
        while True:
            trial = pool.recv()
            for event in runner.make(trial, setup.data[trial.config], setup.models):
                pool.send(event)


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    trial: Trial | None = None
    compiled: set[Config] = field(default_factory=set)


@dataclass
class WorkerPool:
    """The workers, of which there are at ``most`` so many, and the trials that wait for one."""

    setup: Setup
    waiting: list[Trial]
    most: int
    workers: list[_Worker] = field(default_factory=list)
    repeated: set[Trial] = field(default_factory=set)
    failed_starts: int = 0

    def events(self, parent: Connection) -> Iterator[Event]:
        """Yield events until no run is waiting or under way, or ``parent`` is readable."""
        self._occupy()
        while self.waiting or any(worker.trial for worker in self.workers):
            workers = {worker.connection: worker for worker in self.workers}
            for ready in connection.wait([parent, *workers]):
                if ready is parent:
                    return
                yield from self._receive(workers[ready])  # type: ignore[index]

    def close(self) -> None:
        """End all workers, whatever they do."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()

    def _occupy(self) -> None:
        """Give every free worker a run, and start workers for the runs that still wait."""
        for worker in self.workers:
            if worker.ready and worker.trial is None and self.waiting:
                self._give_run(worker)
        while len(self.workers) < self.most and len(self.waiting) > self._starting():
            self._start_worker()

    def _starting(self) -> int:
        return sum(not worker.ready for worker in self.workers)

    def _start_worker(self) -> None:
        ours, theirs = Pipe()
        try:
            with theirs:
                process = child.start(self.setup.method, work, theirs, self.setup)
        except OSError as error:
            self._count_failed_start(f"is refused by the system ({error.strerror or error})")
        else:
            self.workers.append(_Worker(process, ours))

    def _give_run(self, worker: _Worker) -> None:
        others = (other.compiled for other in self.workers if other is not worker)
        trial = next_trial(self.waiting, worker.compiled, set().union(*others))
        try:
            worker.connection.send(trial)
        except OSError:
            return  # it is gone, and reading from it will show this
        self.waiting.remove(trial)
        worker.trial = trial
        worker.compiled.add(trial.config)

    def _receive(self, worker: _Worker) -> Iterator[Event]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._lose(worker)
            return
        match message:
            case BnbenchError():
                raise message
            case str():  # the device, now that TensorFlow is started
                worker.ready = True
                self.most = 1 if message.startswith("GPU") else self.setup.jobs
                self._occupy()
                return
            case RunEnded() | RunFailed():
                worker.trial = None
                self._occupy()
        yield message

    def _lose(self, worker: _Worker) -> Iterator[Event]:
        worker.connection.close()
        self.workers.remove(worker)
        cause = child.how_it_ended(worker.process)
        worker.process.kill()
        if not worker.ready:
            self._count_failed_start(cause)
        trial = worker.trial
        if trial and trial in self.repeated:
            yield RunFailed(trial, f"its process, and another before it, {cause}")
        elif trial:
            self.repeated.add(trial)
            self.waiting.insert(0, trial)
        self._occupy()

    def _count_failed_start(self, cause: str) -> None:
        """Continue with the workers that are there after more than one failed start."""
        self.failed_starts += 1
        if self.failed_starts > 1:
            self.most = len(self.workers)
        if self.most == 0:
            kept = ", ".join(variables.remaining())
            hint = f"; it has {kept}, as {variables.KEEP} says" if kept else ""
            raise EnvironmentFault(f"TensorFlow cannot be started: its process {cause}{hint}")


def next_trial(waiting: Sequence[Trial], compiled: set[Config], elsewhere: set[Config]) -> Trial:
    """Return a worker's next trial, as early as possible in the order of the seeds.

    Compiling takes longer than a short run. So a worker leaves an experiment that only others have
    ``compiled`` to them, if there is another among the next trials, one for each experiment.
    """
    reach = waiting[: len({trial.config for trial in waiting})]
    left_to_others = elsewhere - compiled
    return next((trial for trial in reach if trial.config not in left_to_others), reach[0])


def _moved(dataset: Dataset) -> Dataset:
    """Return the data with each array at the start of a page, which TensorFlow need not copy."""
    arrays: dict[str, Any] = {}
    for name, array in vars(dataset).items():
        if isinstance(array, np.ndarray):
            memory = mmap.mmap(-1, array.nbytes)
            arrays[name] = np.frombuffer(memory, array.dtype).reshape(array.shape)
            arrays[name][...] = array
    return replace(dataset, **arrays)
