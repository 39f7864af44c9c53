"""The network in JAX: a whole epoch as one `jit` of a `lax.scan` over batches."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bnbench.experiments import architecture
from bnbench.experiments.architecture import Layer
from tests.benchmarks.peers.task import Program, Task

Weights = dict[str, jax.Array]
ACTIVATIONS = {
    "elu": jax.nn.elu,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "selu": jax.nn.selu,
    "linear": lambda x: x,
    "softmax": lambda x: x,  # in the loss
}


class Scan(Program):
    """Weights and moving statistics as one dictionary, carried through the scan."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._weights = {name: jnp.asarray(array) for name, array in task.weights.items()}
        self._x, self._y = jnp.asarray(task.images), jnp.asarray(task.data.y_train)
        rate = task.config.training.learning_rate
        compiled = jax.jit(
            partial(_epoch, task.layers, task.batch_size, rate), donate_argnames="weights"
        )
        order = jax.ShapeDtypeStruct((task.rows,), jnp.int32)
        lowered = compiled.lower(weights=self._weights, x=self._x, y=self._y, order=order)
        self._epoch = lowered.compile()

    def train(self, order: np.ndarray) -> float:
        self._weights, loss, _ = self._epoch(
            weights=self._weights, x=self._x, y=self._y, order=jnp.asarray(order, jnp.int32)
        )
        return float(loss) / self.task.rows

    def loss(self, rows: np.ndarray) -> float:
        return float(_loss(self.task.layers, self._weights, self._x[rows], self._y[rows])[0])


def _epoch(
    layers: tuple[Layer, ...],
    batch_size: int,
    rate: float,
    weights: Weights,
    x: jax.Array,
    y: jax.Array,
    order: jax.Array,
) -> tuple[Weights, jax.Array, jax.Array]:
    def step(carry: Any, visited: jax.Array) -> tuple[Any, None]:
        weights, loss_sum, hits = carry
        (loss, (moved, batch_hits)), gradients = jax.value_and_grad(
            lambda trained: _loss(layers, trained, x[visited], y[visited]), has_aux=True
        )(weights)
        updated = {name: weights[name] - rate * gradients[name] for name in weights} | moved
        return (updated, loss_sum + loss * len(visited), hits + batch_hits), None

    whole = len(order) // batch_size * batch_size
    carry = (weights, jnp.float32(0), jnp.int32(0))
    carry, _ = jax.lax.scan(step, carry, order[:whole].reshape(-1, batch_size))
    if whole < len(order):
        carry, _ = step(carry, order[whole:])
    return carry


def _loss(
    layers: tuple[Layer, ...], weights: Weights, x: jax.Array, y: jax.Array
) -> tuple[jax.Array, tuple[Weights, jax.Array]]:
    moved: Weights = {}
    for layer in layers:
        own = {v.role: weights[f"{layer.name}/{v.role}"] for v in layer.variables}
        match layer:
            case architecture.Dense():
                x = x @ own["kernel"] + own.get("bias", 0)
                x = ACTIVATIONS[layer.activation](x)
            case architecture.BatchNormalization():
                mean, variance = x.mean(axis=0), x.var(axis=0)
                scale = own["gamma"] * jax.lax.rsqrt(variance + layer.epsilon)
                x = x * scale + (own["beta"] - mean * scale)
                for role, now in (("moving_mean", mean), ("moving_variance", variance)):
                    kept = layer.momentum * own[role] + (1 - layer.momentum) * now
                    moved[f"{layer.name}/{role}"] = kept
            case architecture.Activation():
                x = ACTIVATIONS[layer.activation](x)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], axis=1)
    hits = (jnp.argmax(x, axis=1) == y).sum(dtype=jnp.int32)
    return -chosen.mean(), (moved, hits)


def make(name: str, task: Task) -> Scan:
    """Build and compile the epoch."""
    return Scan(task)
