"""The floor: the matrix products of one epoch and nothing else, with numpy."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bnbench.experiments.architecture import BatchNormalization, Dense, Layer
from tests.benchmarks.peers.task import Program, Task

Product = Callable[[], Any]


class MatrixProducts(Program):
    """Forward, weight gradients, and input gradients where something before the layer is trained.

    All operands and results are there beforehand; the operands are random and stay the same.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._batches, remainder = divmod(task.rows, task.batch_size)
        self._products = products(task.layers, task.batch_size)
        self._remaining = products(task.layers, remainder) if remainder else []

    def epoch(self) -> float:
        start = time.perf_counter()
        for _ in range(self._batches):
            for product in self._products:
                product()
        for product in self._remaining:
            product()
        return time.perf_counter() - start

    def warm_up(self) -> None:
        for _ in range(20):
            for product in self._products:
                product()


def products(layers: tuple[Layer, ...], batch_size: int) -> list[Product]:
    """Return the products of one training step."""
    draw = np.random.default_rng(0).standard_normal
    found: list[Product] = []
    for layer, needs_input_gradient in zip(
        [layer for layer in layers if isinstance(layer, Dense)], _input_gradients(layers),
        strict=True,
    ):  # fmt: skip
        inputs, units = layer.inputs, layer.output_shape[-1]
        x, dz, w = (draw(shape, np.float32) for shape in _shapes(batch_size, inputs, units))
        z, dw, dx = np.empty_like(dz), np.empty_like(w), np.empty_like(x)
        found.append(lambda x=x, w=w, z=z: np.matmul(x, w, out=z))
        found.append(lambda x=x, dz=dz, dw=dw: np.matmul(x.T, dz, out=dw))
        if needs_input_gradient:
            found.append(lambda dz=dz, w=w, dx=dx: np.matmul(dz, w.T, out=dx))
    return found


def _shapes(batch_size: int, inputs: int, units: int) -> tuple[tuple[int, int], ...]:
    return (batch_size, inputs), (batch_size, units), (inputs, units)


def _input_gradients(layers: tuple[Layer, ...]) -> list[bool]:
    """Return for each Dense layer whether there are weights before it."""
    trained = isinstance(layers[1], BatchNormalization)
    needed = []
    for layer in layers:
        if isinstance(layer, Dense):
            needed.append(trained)
            trained = True
    return needed


def make(name: str, task: Task) -> MatrixProducts:
    """Lay out the operands."""
    return MatrixProducts(task)
