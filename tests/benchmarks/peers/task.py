"""What a program is given, and what it must do."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bnbench.datasets.dataset import Dataset, load
from bnbench.experiments import architecture
from bnbench.experiments.architecture import Layer
from bnbench.experiments.config import Config


@dataclass(frozen=True)
class Task:
    """A network and the rows to train it on.

    ``start`` is an .npz with the initial weights under ``<layer>/<role>``, and with the batch
    order under ``order``.
    """

    config: Config
    rows: int
    start: Path

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Task":
        """Read a task that came as JSON."""
        config = Config.model_validate(content["config"])
        return cls(config, content["rows"], Path(content["start"]))

    @cached_property
    def data(self) -> Dataset:
        """The data set, its training part cut to the task's rows."""
        whole = load(self.config.data)
        x, y = whole.x_train[: self.rows], whole.y_train[: self.rows]
        return replace(whole, x_train=x, y_train=y)

    @cached_property
    def images(self) -> np.ndarray:
        """The training rows scaled, as most programs hold them: float32 (rows, features)."""
        return self.data.x_train * np.float32(self.data.scale)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The network's layers."""
        return architecture.build(self.config.model, self.data.feature_shape, self.data.classes)

    @property
    def batch_size(self) -> int:
        """Rows of one training step."""
        return self.config.training.batch_size

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The initial weights under ``<layer>/<role>``."""
        with np.load(self.start) as stored:
            return {name: stored[name] for name in stored.files if name != "order"}

    @cached_property
    def order(self) -> np.ndarray:
        """The order in which the check visits the rows."""
        with np.load(self.start) as stored:
            return stored["order"]


def weight_names(layers: tuple[Layer, ...]) -> Iterator[str]:
    """Yield ``<layer>/<role>`` in the order of the Keras model's variables."""
    for layer in layers:
        yield from (f"{layer.name}/{variable.role}" for variable in layer.variables)


class Program:
    """A network that can be trained; subclasses hold it in their library's terms."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._draws = np.random.default_rng(0)

    def train(self, order: np.ndarray) -> float:
        """Visit the rows in this order once, in batches, and return the mean loss."""
        raise NotImplementedError

    def loss(self, rows: np.ndarray) -> float:
        """Return the loss of one batch with BN in training mode; may change the statistics."""
        raise NotImplementedError

    def epoch(self) -> float:
        """Train for one epoch in a fresh order and return the seconds it took."""
        start = time.perf_counter()
        self.train(self._draws.permutation(self.task.rows))
        return time.perf_counter() - start

    def warm_up(self) -> None:
        """Do once what is done once: compile, and touch the memory."""
        self.train(self._draws.permutation(self.task.rows))
