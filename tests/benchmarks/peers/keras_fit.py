"""Keras `model.fit` as a notebook calls it: float images in memory, the default shuffling."""

import time
from typing import Any

import numpy as np

from tests.benchmarks.peers.task import Program, Task


class Fit(Program):
    """The model that bnbench builds, compiled and fitted by Keras.

    The progress bar is off and there is no validation data, both in favour of `fit`.
    """

    def __init__(self, task: Task, steps_per_execution: int) -> None:
        super().__init__(task)
        import keras

        from bnbench.training.model import build

        self.model = build(task.layers, task.data.features)
        self.model.set_weights(list(task.weights.values()))
        training = task.config.training
        self.model.compile(
            optimizer=keras.optimizers.SGD(training.learning_rate, momentum=training.momentum),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            steps_per_execution=steps_per_execution,
        )
        self._clock = _epoch_clock()

    def train(self, order: np.ndarray) -> float:
        x, y = self.task.images[order], self.task.data.y_train[order]
        history = self._fit(x, y, shuffle=False)
        return float(history["loss"][0])

    def loss(self, rows: np.ndarray) -> float:
        import keras

        probabilities = self.model(self.task.images[rows], training=True)
        loss = keras.losses.SparseCategoricalCrossentropy()
        return float(loss(self.task.data.y_train[rows], probabilities))

    def epoch(self) -> float:
        """Return the seconds from the epoch's begin to its end, the set-up of `fit` left out."""
        self._fit(self.task.images, self.task.data.y_train, callbacks=[self._clock])
        return float(self._clock.seconds)

    def warm_up(self) -> None:
        few = self.task.batch_size * 101 + 1
        self._fit(self.task.images[:few], self.task.data.y_train[:few])

    def _fit(self, x: np.ndarray, y: np.ndarray, **options: Any) -> dict[str, list[float]]:
        fitted = self.model.fit(x, y, batch_size=self.task.batch_size, verbose=0, **options)
        return dict(fitted.history)


def _epoch_clock() -> Any:
    import keras

    class EpochClock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds = time.perf_counter() - self.start

    return EpochClock()


def make(name: str, task: Task) -> Fit:
    """Build the model; the name says how many steps are run at once."""
    return Fit(task, 50 if "50 steps" in name else 1)
