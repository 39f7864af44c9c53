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
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device, variables
from bnbench.training.engines import child
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.engines.runner import TrialRunner, reason
from bnbench.training.trial import Trial

driver_method: child.Method = "spawn"  # a fork must not have started TensorFlow


@dataclass(frozen=True)
class Processes:
    """Up to ``jobs`` runs at once on the CPU, one after another on a GPU.

    A worker process that dies takes only its run with it, and the run is repeated once. By the
    method ``fork`` the driver imports TensorFlow without starting it, then forks the workers; the
    system libraries of macOS do not survive that.

    multiprocessing's own fork server would not do, as measured: where another library had started
    it TensorFlow was not preloaded, it stayed after the last run, with 620 MB, and a process that
    was killed left its folder behind.
    """

    request: device.Request
    jobs: int
    method: child.Method = "fork" if sys.platform == "linux" else "spawn"
    runner: type[TrialRunner] = TrialRunner

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield what happens to the trials; see `Engine.make`."""
        may_have_gpu = self.request != "cpu" and device.may_have_gpu()
        most = 1 if may_have_gpu else self.jobs  # until a worker has looked
        left, drivers = list(trials), 0
        while left:
            drivers += 1
            pool = WorkerPool(self, data, models, left, most)
            try:
                with closing(child.messages(_drive, pool, driver_method)) as events:
                    for event in events:
                        if isinstance(event, RunEnded | RunFailed):
                            left.remove(event.trial)
                        yield event
            except child.DriverLost:
                if drivers > 1:
                    raise


def _drive(pool: "WorkerPool", parent: Connection) -> Iterator[Event]:
    if pool.engine.method == "fork":
        with suppress(Exception):  # every worker meets it again, and reports it
            pool.engine.runner.preload()
        moved = cache(_moved)
        pool.data = {config: moved(dataset) for config, dataset in pool.data.items()}
        del moved  # and with it the data as they came
        gc.freeze()  # else the first collection in each worker would write to all that is shared
    try:
        yield from pool.events(parent)
    finally:
        for worker in pool.workers:
            worker.process.kill()
            worker.process.join()


def _moved(dataset: Dataset) -> Dataset:
    # Each array is put at the start of a page, where TensorFlow need not copy it.
    arrays: dict[str, Any] = {}
    for name, array in vars(dataset).items():
        if isinstance(array, np.ndarray):
            memory = mmap.mmap(-1, array.nbytes)
            arrays[name] = np.frombuffer(memory, array.dtype).reshape(array.shape)
            arrays[name][...] = array
    return replace(dataset, **arrays)


def _work(
    parent: Connection, engine: Processes, data: Mapping[Config, Dataset], models: bool
) -> None:
    child.begin()
    with suppress(EOFError, ConnectionError):  # nobody listens any more
        try:
            runner = engine.runner.open(engine.request, engine.jobs)
        except Exception as failure:
            fault = EnvironmentFault(f"TensorFlow cannot be started: {reason(failure)}")
            parent.send(failure if isinstance(failure, BnbenchError) else fault)
            return
        parent.send(runner.device)
        while True:
            trial = parent.recv()
            for event in runner.make(trial, data[trial.config], models):
                parent.send(event)


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    trial: Trial | None = None
    compiled: set[Config] = field(default_factory=set)


@dataclass
class WorkerPool:
    """The workers, at most ``most``, and the trials that wait for one."""

    engine: Processes
    data: Mapping[Config, Dataset]
    models: bool
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

    def _occupy(self) -> None:
        for worker in self.workers:
            if worker.ready and worker.trial is None and self.waiting:
                self._give_run(worker)
        while len(self.workers) < self.most and len(self.waiting) > self._starting():
            arguments = (self.engine, self.data, self.models)
            try:
                self.workers.append(_Worker(*child.start(self.engine.method, _work, *arguments)))
            except OSError as error:
                self._count_failed_start(f"is refused by the system ({error.strerror or error})")

    def _starting(self) -> int:
        return sum(not worker.ready for worker in self.workers)

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
            self.most = 1 if message.startswith("GPU") else self.engine.jobs
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
        self.failed_starts += 1  # after two, those that are there make all runs
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
