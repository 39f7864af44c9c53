"""The compiled epoch written out in TensorFlow operations, so that parts can be changed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from bnbench.experiments import architecture
from bnbench.experiments.architecture import Dense
from bnbench.training import device
from tests.benchmarks.peers.task import Program, Task
from tests.benchmarks.processes import cores
from tests.benchmarks.search.changes import Changes

Weights = dict[str, Any]
_TURNS = 32  # batches that take turns where nothing is gathered: few enough to stay in cache


class Variant(Program):
    """Weights as tensors, carried through the loop.

    Stages left out: ``gather`` reads consecutive rows already scaled; ``batch_norm`` adds beta
    only, so that the input gradients are still needed; ``activation`` is the identity; ``loss``
    is a sum of squares of the logits; ``update`` writes the gradients beside the weights and
    leaves those as they are. ``only_update`` does nothing but subtract gradients that stay.
    """

    def __init__(self, task: Task, changes: Changes) -> None:
        super().__init__(task)
        device.start("cpu", len(cores()))
        self.changes = changes
        held = not changes.gather or changes.float_images
        self._x = tf.constant(task.images if held else task.data.x_train)
        self._y = tf.constant(task.data.y_train)
        weights = {name: tf.constant(array) for name, array in task.weights.items()}
        if changes.kernels_transposed:
            weights |= {n: tf.transpose(w) for n, w in weights.items() if n.endswith("/kernel")}
        self._shapes = {name: w.shape for name, w in weights.items() if _small(name)}
        self._weights = self._pack(weights) if changes.packed else weights
        self._program = tf.function(self._epoch, jit_compile=True, autograph=False)

    def train(self, order: np.ndarray) -> float:
        self._weights, _, loss, _ = self._program(
            self._weights, self._x, self._y, tf.constant(order, tf.int32)
        )
        return float(loss) / self.task.rows

    def loss(self, rows: np.ndarray) -> float:
        x, y = self._scaled(tf.gather(self._x, rows)), tf.gather(self._y, rows)
        return float(self._loss(self._weights, x, y)[0])

    def _epoch(self, weights: Weights, x: Any, y: Any, order: Any) -> tuple[Any, ...]:
        batch, rows = self.task.batch_size, self.task.rows

        def advance(index: Any, *state: Any) -> tuple[Any, ...]:
            return index + 1, *self._step(self._batch(index, batch, x, y, order), *state)

        gradients = {name: 1e-6 * w for name, w in weights.items()}  # XLA would drop zeros
        state = (tf.constant(0), weights, gradients, tf.constant(0.0), tf.constant(0))
        if self.changes.update and not self.changes.only_update:
            state = (state[0], weights, {}, *state[3:])
        _, *state = tf.while_loop(lambda index, *_: index < rows // batch, advance, state)
        rest = rows % batch
        if rest and self.changes.update:  # else it would make the gradients of the loop superfluous
            visited = order[rows - rest :]
            batch_x = self._scaled(tf.gather(x, visited))
            state = self._step((batch_x, tf.gather(y, visited)), *state)
        return tuple(state)

    def _batch(self, index: Any, size: int, x: Any, y: Any, order: Any) -> tuple[Any, Any]:
        if not self.changes.gather:
            start = index % _TURNS * size
            return (
                tf.slice(x, [start, 0], [size, x.shape[1]]),
                tf.slice(y, [start], [size]),
            )
        visited = tf.slice(order, [index * size], [size])
        return self._scaled(tf.gather(x, visited)), tf.gather(y, visited)

    def _scaled(self, x: Any) -> Any:
        if x.dtype == tf.float32:
            return x
        return tf.cast(x, tf.float32) * self.task.data.scale

    def _step(
        self, batch: tuple[Any, Any], weights: Weights, gradients: Weights, loss_sum: Any, hits: Any
    ) -> tuple[Any, ...]:
        x, y = batch
        rate = self.task.config.training.learning_rate
        if self.changes.only_update:
            weights = {name: w - rate * gradients[name] for name, w in weights.items()}
            return weights, gradients, loss_sum, hits
        trained = {name: w for name, w in weights.items() if "moving" not in name}
        with tf.GradientTape() as tape:
            tape.watch(trained)
            loss, logits, moved = self._loss({**weights, **trained}, x, y)
        found = tape.gradient(loss, trained, unconnected_gradients="zero")
        if self.changes.metric:
            right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), y)
            hits += tf.math.count_nonzero(right, dtype=tf.int32)
        if self.changes.update:
            weights = weights | {name: w - rate * found[name] for name, w in trained.items()}
            weights |= moved
        else:
            gradients = gradients | found
        return weights, gradients, loss_sum + loss * x.shape[0], hits

    def _loss(self, weights: Weights, x: Any, y: Any) -> tuple[Any, Any, Weights]:
        logits, moved = self._forward(self._unpack(weights), x)
        if not self.changes.loss:
            return 1e-6 * tf.reduce_sum(tf.square(logits)), logits, moved
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        return tf.reduce_mean(losses), logits, moved

    def _forward(self, weights: Weights, x: Any) -> tuple[Any, Weights]:
        moved: Weights = {}
        layers = list(self.task.layers[1:])
        if self.changes.input_shortcut and not isinstance(layers[0], Dense):
            x, moved = self._input_block(weights, x)
            layers = layers[2:]
            x = self._activated(self.task.layers[2].activation, x)
        for layer in layers:
            own = {v.role: weights[f"{layer.name}/{v.role}"] for v in layer.variables}
            match layer:
                case architecture.Dense():
                    x = self._product(x, own["kernel"])
                    x = x + own["bias"] if "bias" in own else x
                    x = self._activated(layer.activation, x)
                case architecture.BatchNormalization() if self.changes.batch_norm:
                    normalized, statistics = _normalized(x, layer.epsilon)
                    x = normalized * own["gamma"] + own["beta"]
                    moved |= _moved(layer, own, statistics)
                case architecture.BatchNormalization():
                    x = x + own["beta"]
                case architecture.Activation():
                    x = self._activated(layer.activation, x)
        return x, moved

    def _input_block(self, weights: Weights, x: Any) -> tuple[Any, Weights]:
        """Input BN and the first Dense, gamma's and beta's gradients from the weight gradient.

        With z = (γ∘x̂)W + βW: dγ = rowsum(W ∘ x̂ᵀdz), dβ = W·colsum(dz), and
        dW = γ∘(x̂ᵀdz) + β colsum(dz)ᵀ.
        """
        norm, dense = self.task.layers[1:3]
        own = {v.role: weights[f"{norm.name}/{v.role}"] for v in norm.variables}
        normalized, statistics = _normalized(x, norm.epsilon)

        @tf.custom_gradient
        def block(gamma: Any, beta: Any, kernel: Any) -> tuple[Any, Callable[..., Any]]:
            def gradient(dz: Any) -> tuple[Any, Any, Any]:
                raw = tf.matmul(normalized, dz, transpose_a=True)
                summed = tf.reduce_sum(dz, axis=0)
                return (
                    tf.reduce_sum(kernel * raw, axis=1),
                    tf.linalg.matvec(kernel, summed),
                    gamma[:, None] * raw + beta[:, None] * summed,
                )

            return tf.matmul(normalized * gamma + beta, kernel), gradient

        z = block(own["gamma"], own["beta"], weights[f"{dense.name}/kernel"])
        if dense.use_bias:
            z += weights[f"{dense.name}/bias"]
        return z, _moved(norm, own, statistics)

    def _product(self, x: Any, kernel: Any) -> Any:
        if self.changes.kernels_transposed:
            return tf.matmul(x, kernel, transpose_b=True)
        if self.changes.gradients_transposed:
            return _product_with_transposed_gradient(x, kernel)
        return tf.matmul(x, kernel)

    def _activated(self, name: str, x: Any) -> Any:
        if name in ("linear", "softmax") or not self.changes.activation:
            return x  # softmax is in the loss
        return getattr(tf.nn, name)(x)

    def _pack(self, weights: Weights) -> Weights:
        small = [tf.reshape(weights[name], [-1]) for name in self._shapes]
        large = {name: w for name, w in weights.items() if name not in self._shapes}
        return {**large, "small": tf.concat(small, axis=0)}

    def _unpack(self, weights: Weights) -> Weights:
        if "small" not in weights:
            return weights
        sizes = [shape.num_elements() for shape in self._shapes.values()]
        return weights | dict(zip(self._shapes, tf.split(weights["small"], sizes), strict=True))


def _small(name: str) -> bool:
    return name.endswith(("/gamma", "/beta", "/bias"))


def _normalized(x: Any, epsilon: float) -> tuple[Any, tuple[Any, Any]]:
    mean, variance = tf.nn.moments(x, axes=[0])
    return (x - mean) * tf.math.rsqrt(variance + epsilon), (mean, variance)


def _moved(layer: Any, own: Weights, statistics: tuple[Any, Any]) -> Weights:
    return {
        f"{layer.name}/{role}": layer.momentum * own[role] + (1 - layer.momentum) * now
        for role, now in zip(("moving_mean", "moving_variance"), statistics, strict=True)
    }


@tf.custom_gradient
def _product_with_transposed_gradient(x: Any, kernel: Any) -> tuple[Any, Callable[..., Any]]:
    def gradient(dz: Any) -> tuple[Any, Any]:
        dx = tf.matmul(dz, kernel, transpose_b=True)
        return dx, tf.transpose(tf.matmul(dz, x, transpose_a=True))

    return tf.matmul(x, kernel), gradient


def make(name: str, task: Task, options: dict[str, Any]) -> Variant:
    """Build the variant that the options describe."""
    return Variant(task, Changes(**options))
