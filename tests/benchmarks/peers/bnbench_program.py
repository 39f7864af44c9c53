"""This project's compiled epoch, one program to a run, as many runs at once as are asked for."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from bnbench.training import device
from tests.benchmarks.peers.task import Program, Task, weight_names


class CompiledEpoch(Program):
    """``jobs`` training programs, each with a seed of its own; the first one is the one checked.

    It writes the weights and the batch order that seed 0 starts from to the task's file, if that
    is not there, for the other programs to start from.
    """

    def __init__(self, task: Task, jobs: int, kind: type | None = None) -> None:
        super().__init__(task)
        started = device.start("cpu")
        from bnbench.training.program import DeviceData, TrainingProgram

        few = slice(0, 32)  # validation and test are not part of an epoch
        data = task.data
        small = replace(data, x_val=data.x_val[few], y_val=data.y_val[few])
        small = replace(small, x_test=data.x_test[few], y_test=data.y_test[few])
        placed = DeviceData.place(small, started)
        make = kind or TrainingProgram
        with ThreadPoolExecutor(jobs) as threads:
            made = [threads.submit(make, task.config, placed, jobs) for _ in range(jobs)]
            self.programs = [program.result() for program in made]
        for seed, program in enumerate(self.programs):
            program.reset(seed)
        self._epochs = 0
        if not task.start.exists():
            self._save_start()

    def train(self, order: np.ndarray) -> float:
        """Train with seed 0, whose first batch order is the one the others are given."""
        assert np.array_equal(order, self.task.order)
        return float(self.programs[0].train_epoch(0, 0)[0])

    def loss(self, rows: np.ndarray) -> float:
        import keras

        probabilities = self.programs[0].model(self.task.images[rows], training=True)
        loss = keras.losses.SparseCategoricalCrossentropy()
        return float(loss(self.task.data.y_train[rows], probabilities))

    def epoch(self, jobs: int = 1) -> float:
        """Train one epoch of ``jobs`` runs at once; return the seconds until the last has ended."""
        self._epochs += 1
        start = time.perf_counter()
        with ThreadPoolExecutor(jobs) as threads:
            runs = [
                threads.submit(program.train_epoch, seed, self._epochs)
                for seed, program in enumerate(self.programs[:jobs])
            ]
            for run in runs:
                run.result()
        return time.perf_counter() - start

    def warm_up(self) -> None:
        self.epoch(len(self.programs))

    def _save_start(self) -> None:
        from bnbench.training.program import batch_order

        weights = self.programs[0].model.get_weights()
        named = dict(zip(weight_names(self.task.layers), weights, strict=True))
        np.savez(self.task.start, **named, order=batch_order(0, 0, self.task.rows))


def many_runs(task: Task, counts: list[int], jobs: int) -> list[tuple[float, float]]:
    """Make as many runs of one epoch as the last count says, as `bnbench run` makes them.

    Returns for each count the seconds until that many runs were made, the start of the worker
    processes and the compiling included, and the memory of all of them then, in MiB; what they
    share counts once.
    """
    import psutil

    from bnbench.training.engines.engine import RunEnded
    from bnbench.training.engines.processes import Processes
    from bnbench.training.plan import Trial

    trials = [Trial(task.config, seed) for seed in range(counts[-1])]
    made: list[tuple[float, float]] = []
    start = time.perf_counter()
    for event in Processes("cpu", jobs).make(trials, {task.config: task.data}):
        if isinstance(event, RunEnded):
            workers = psutil.Process().children(recursive=True)
            memory = sum(worker.memory_full_info().pss for worker in workers) / 2**20
            made.append((time.perf_counter() - start, memory))
    return [made[count - 1] for count in counts]


def make(name: str, task: Task, options: dict[str, Any]) -> CompiledEpoch:
    """Build ``jobs`` programs."""
    return CompiledEpoch(task, options.get("jobs", 1))
