"""Runs made by worker processes of this machine, one to a core.

A driver process starts the workers and gives them their runs.
"""

import gc
import mmap
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Literal

import numpy as np

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device, variables
from bnbench.training.engines import child, driver
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.engines.runner import TrialRunner, reason
from bnbench.training.trial import Trial

# How a driver starts, and how its workers do.
Method = Literal["forkserver", "spawn", "fork"]
# The system libraries of macOS do not survive a fork, and Windows has none.
default_method: Method = "forkserver" if sys.platform == "linux" else "spawn"


@dataclass(frozen=True)
class Processes:
    """Up to ``jobs`` runs at once on the CPU, one after another on a GPU.

    A worker process that dies takes only its run with it, and the run is repeated once. By the
    method ``forkserver`` the driver imports TensorFlow without starting it and forks the workers;
    by ``fork`` it is also itself a fork of this process, which must not have started TensorFlow.

    The driver is not multiprocessing's own fork server, of which a process has one for all its
    libraries. Measured: if another library had started it, TensorFlow was not preloaded; it stayed
    after the last run, with 620 MB; and a process that was killed left its folder behind.
    """

    request: device.Request
    jobs: int
    method: Method | None = None
    runner: type[TrialRunner] = TrialRunner

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield what happens to the trials; see `Engine.make`."""
        engine = replace(self, method=self.method or default_method)
        setup = Setup(engine, data, models)
        may_have_gpu = self.request != "cpu" and device.may_have_gpu()
        at_first = 1 if may_have_gpu else self.jobs  # until a worker has looked
        start: child.Method = "fork" if engine.method == "fork" else "spawn"
        left, drivers = list(trials), 0
        while left:
            drivers += 1
            try:
                with closing(driver.messages(_drive, (setup, left, at_first), start)) as events:
                    for event in events:
                        if isinstance(event, RunEnded | RunFailed):
                            left.remove(event.trial)
                        yield event
            except driver.DriverLost:
                if drivers > 1:
                    raise


@dataclass(frozen=True)
class Setup:
    """What every worker has to know before its first run."""

    engine: Processes
    data: Mapping[Config, Dataset]
    models: bool


def _drive(request: tuple[Setup, list[Trial], int], parent: Connection) -> Iterator[Event]:
    """Have the trials made by workers, until all have ended or the parent no longer listens."""
    setup, trials, at_first = request
    del request  # it would keep data that are moved
    if setup.engine.method != "spawn":
        setup = _ready_to_fork(setup)
    pool = WorkerPool(setup, trials, at_first)
    try:
        yield from pool.events(parent)
    finally:
        pool.close()


def _ready_to_fork(setup: Setup) -> Setup:
    with suppress(Exception):  # every worker meets it again, and reports it
        setup.engine.runner.preload()
    moved = cache(_moved)
    setup = replace(setup, data={key: moved(dataset) for key, dataset in setup.data.items()})
    gc.freeze()  # else the first collection in each worker would write to all that is shared
    return setup


def _moved(dataset: Dataset) -> Dataset:
    """Return the data with each array at the start of a page, which TensorFlow need not copy."""
    arrays: dict[str, Any] = {}
    for name, array in vars(dataset).items():
        if isinstance(array, np.ndarray):
            memory = mmap.mmap(-1, array.nbytes)
            arrays[name] = np.frombuffer(memory, array.dtype).reshape(array.shape)
            arrays[name][...] = array
    return replace(dataset, **arrays)


def _work(pool: Connection, setup: Setup) -> None:
    """Make the runs whose trials come from the pool, one after another."""
    child.begin()
    engine = setup.engine
    with suppress(EOFError, ConnectionError):  # nobody listens any more
        try:
            runner = engine.runner.open(engine.request, engine.jobs)
        except Exception as failure:
            fault = EnvironmentFault(f"TensorFlow cannot be started: {reason(failure)}")
            pool.send(failure if isinstance(failure, BnbenchError) else fault)
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
    """The workers, at ``most`` so many, and the trials that wait for one."""

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
            workers: dict[Any, _Worker] = {worker.connection: worker for worker in self.workers}
            for ready in connection.wait([parent, *workers]):
                if ready is parent:
                    return
                yield from self._receive(workers[ready])

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
        method: child.Method = "spawn" if self.setup.engine.method == "spawn" else "fork"
        try:
            with theirs:
                process = child.start(method, _work, theirs, self.setup)
        except OSError as error:
            self._count_failed_start(f"is refused by the system ({error.strerror or error})")
        else:
            self.workers.append(_Worker(process, ours))

    def _give_run(self, worker: _Worker) -> None:
        others = (other.compiled for other in self.workers if other is not worker)
        trial = next_trial(self.waiting, worker.compiled, set().union(*others))
        with suppress(OSError):  # it is gone, and reading from it will show this
            worker.connection.send(trial)
            self.waiting.remove(trial)
            worker.trial = trial
            worker.compiled.add(trial.config)

    def _receive(self, worker: _Worker) -> Iterator[Event]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._lose(worker)
            return
        if isinstance(message, BnbenchError):
            raise message
        if isinstance(message, str):  # the device, now that TensorFlow is started
            worker.ready = True
            self.most = 1 if message.startswith("GPU") else self.setup.engine.jobs
            self._occupy()
            return
        if isinstance(message, RunEnded | RunFailed):
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
