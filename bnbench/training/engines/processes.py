"""Runs made by worker processes of this machine, one to a core."""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from bnbench.datasets.dataset import Dataset
from bnbench.errors import EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines import child, driver
from bnbench.training.engines.engine import Event, RunEnded, RunFailed
from bnbench.training.engines.pool import Setup, run_pool
from bnbench.training.engines.runner import TrialRunner
from bnbench.training.trial import Trial

# How a driver starts, and how its workers do.
Method = Literal["forkserver", "spawn", "fork"]
# The system libraries of macOS do not survive a fork, and Windows has none.
default_method: Method = "forkserver" if sys.platform == "linux" else "spawn"


@dataclass(frozen=True)
class Processes:
    """Up to ``jobs`` runs at once on the CPU, one after another on a GPU.

    A worker process that dies takes only its run with it, and the run is repeated once. A driver
    starts the workers. By ``forkserver`` it imports TensorFlow without starting it and forks them;
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
        method = self.method or default_method
        workers: child.Method = "spawn" if method == "spawn" else "fork"
        alone = self.request != "cpu" and device.may_have_gpu()
        at_first = 1 if alone else self.jobs
        setup = Setup(self.request, self.jobs, at_first, models, dict(data), workers, self.runner)
        left, drivers = list(trials), 0
        while left:
            drivers += 1
            pool = driver.messages(run_pool, (setup, left), "fork" if method == "fork" else "spawn")
            try:
                with closing(pool):
                    for event in pool:
                        if isinstance(event, RunEnded | RunFailed):
                            left.remove(event.trial)
                        yield event
            except driver.DriverLost as lost:
                if drivers > 1:
                    raise EnvironmentFault(f"the process that starts the workers {lost}") from lost
