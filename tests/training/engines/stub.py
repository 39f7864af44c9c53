"""Runners without TensorFlow, to see how the engine's processes live and die."""

import os
import time
from collections.abc import Iterator
from multiprocessing import current_process
from typing import Any

from bnbench.datasets.dataset import Dataset
from bnbench.training.device import Request
from bnbench.training.engines.engine import EpochEnded, Event, RunEnded
from bnbench.training.engines.runner import TrialRunner
from bnbench.training.trial import Trial


class StubRunner(TrialRunner):
    """An epoch takes a hundredth of a second; the record of a run is the id of its process."""

    @staticmethod
    def preload() -> None:
        """Import nothing."""

    @classmethod
    def open(cls, request: Request, jobs: int) -> TrialRunner:
        """Start nothing."""
        return cls("CPU:0", "processes", jobs)

    def _make(self, trial: Trial, dataset: Dataset, models: bool) -> Iterator[Event]:
        if trial.config.name == "bad":
            raise ValueError("no such thing\nsecond line")
        for epoch in range(trial.config.training.epochs):
            yield EpochEnded(trial, epoch + 1)
            time.sleep(0.01)
        process: Any = os.getpid()
        yield RunEnded(trial, process)


class OnGpu(StubRunner):
    """Finds a GPU."""

    @classmethod
    def open(cls, request: Request, jobs: int) -> TrialRunner:
        """Start nothing."""
        return cls("GPU:0", "processes", jobs)


class NeverStarts(StubRunner):
    """Ends its process, as a library may do."""

    @classmethod
    def open(cls, request: Request, jobs: int) -> TrialRunner:
        """End the process."""
        os._exit(3)


class OnlyFirstStarts(StubRunner):
    """Ends every process but the first."""

    @classmethod
    def open(cls, request: Request, jobs: int) -> TrialRunner:
        """End the process, unless it is the first that its driver has started."""
        if not current_process().name.endswith(":1"):
            os._exit(3)
        return super().open(request, jobs)


class Raises(StubRunner):
    """Cannot be opened."""

    @classmethod
    def open(cls, request: Request, jobs: int) -> TrialRunner:
        """Raise an exception."""
        raise OSError("no such library")
