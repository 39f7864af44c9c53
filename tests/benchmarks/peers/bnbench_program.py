"""This project's compiled epoch, and runs as the command makes them."""

import os
import time
from dataclasses import replace

import numpy as np

from bnbench.training import device
from tests.benchmarks.peers.task import Program, Task, weight_names


class CompiledEpoch(Program):
    """One training program.

    It writes the weights and the batch order that seed 0 starts from to the task's file, if that
    is not there, for the other programs to start from.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        started = device.start("cpu")
        from bnbench.training.program import DeviceData, TrainingProgram

        few = slice(0, 32)  # validation and test are not part of an epoch
        data = task.data
        small = replace(data, x_val=data.x_val[few], y_val=data.y_val[few])
        small = replace(small, x_test=data.x_test[few], y_test=data.y_test[few])
        self._program = TrainingProgram(task.config, DeviceData.place(small, started), jobs=1)
        self._program.reset(0)
        self._epochs = 0
        if not task.start.exists():
            self._save_start()

    def train(self, order: np.ndarray) -> float:
        """Train with seed 0, whose first batch order is the one the others are given."""
        assert np.array_equal(order, self.task.order)
        return float(self._program.train_epoch(0, 0)[0])

    def loss(self, rows: np.ndarray) -> float:
        import keras

        probabilities = self._program.model(self.task.images[rows], training=True)
        loss = keras.losses.SparseCategoricalCrossentropy()
        return float(loss(self.task.data.y_train[rows], probabilities))

    def epoch(self) -> float:
        self._epochs += 1
        start = time.perf_counter()
        self._program.train_epoch(0, self._epochs)
        return time.perf_counter() - start

    def warm_up(self) -> None:
        self.epoch()

    def _save_start(self) -> None:
        from bnbench.training.program import batch_order

        weights = self._program.model.get_weights()
        named = dict(zip(weight_names(self.task.layers), weights, strict=True))
        partial = self.task.start.with_suffix(f".{os.getpid()}.npz")  # others may write theirs
        np.savez(partial, **named, order=batch_order(0, 0, self.task.rows))
        partial.replace(self.task.start)


def many_runs(task: Task, counts: list[int], jobs: int) -> list[tuple[float, float]]:
    """Make as many runs of one epoch as the last count says, as `bnbench run` makes them.

    Returns for each count the seconds until that many runs were made, start and compiling included,
    and the resident memory of the largest worker then, in MiB.
    """
    import psutil

    from bnbench.training.engines.engine import RunEnded
    from bnbench.training.engines.processes import Processes
    from bnbench.training.trial import Trial

    trials = [Trial(task.config, seed) for seed in range(counts[-1])]
    made: list[tuple[float, float]] = []
    start = time.perf_counter()
    for event in Processes("cpu", jobs).make(trials, {task.config: task.data}):
        if isinstance(event, RunEnded):
            workers = psutil.Process().children(recursive=True)
            memory = max(worker.memory_info().rss for worker in workers)
            made.append((time.perf_counter() - start, memory / 2**20))
    return [made[count - 1] for count in counts]


def make(name: str, task: Task) -> CompiledEpoch:
    """Build the program."""
    return CompiledEpoch(task)
