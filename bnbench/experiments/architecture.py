"""A config's network as a plain list of layers, with every parameter counted by its role.

Where Batch Normalization stands is decided in `build` and nowhere else; `model.py` turns the list
into Keras layers one to one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, assert_never

from bnbench.experiments.config import ModelConfig

TRAINED_ROLES = ("kernel", "bias", "gamma", "beta")
UNTRAINED_ROLES = ("moving_mean", "moving_variance")
ROLES = TRAINED_ROLES + UNTRAINED_ROLES


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One weight array of a layer; ``role`` is one of `ROLES`."""

    role: str
    shape: tuple[int, ...]

    @property
    def trained(self) -> bool:
        """Whether the optimizer changes it (BN's moving statistics follow the data instead)."""
        return self.role in TRAINED_ROLES

    @property
    def size(self) -> int:
        """Number of parameters."""
        return prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What every layer has; shapes are those of one example, without the batch axis."""

    name: str
    output_shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        """The Keras class name."""
        return type(self).__name__

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The layer's arrays in Keras's order."""
        return ()

    @property
    def size(self) -> int:
        """Number of parameters, trained or not."""
        return sum(variable.size for variable in self.variables)


@dataclass(frozen=True, kw_only=True)
class Flatten(Layer):
    """Features to one row of numbers."""


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """``activation(x @ kernel + bias)``, kernel of shape (inputs, units)."""

    inputs: int
    activation: str
    use_bias: bool
    kernel_initializer: str

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Kernel, and bias where there is one."""
        units = self.output_shape[-1]
        kernel = Variable(role="kernel", shape=(self.inputs, units))
        return (kernel, Variable(role="bias", shape=(units,))) if self.use_bias else (kernel,)


@dataclass(frozen=True, kw_only=True)
class BatchNormalization(Layer):
    """Normalises each input over the batch, then scales by gamma and shifts by beta."""

    momentum: float
    epsilon: float

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Gamma, beta, moving mean and moving variance: four numbers for each input."""
        roles = ("gamma", "beta", *UNTRAINED_ROLES)
        return tuple(Variable(role=role, shape=self.output_shape) for role in roles)


@dataclass(frozen=True, kw_only=True)
class Activation(Layer):
    """An activation function as a layer of its own."""

    activation: str


Block = tuple[Layer, ...]
BiasCase = Literal["replaced", "redundant", "behind_activation", "kept", "missing"]


def build(model: ModelConfig, feature_shape: tuple[int, ...], classes: int) -> tuple[Layer, ...]:
    """Return the network's layers in order, from the flattened input to the softmax.

    ``feature_shape`` is the shape of one example, such as (28, 28).
    """
    inputs = prod(feature_shape)
    layers: list[Layer] = [Flatten(name="flatten", output_shape=(inputs,))]
    if model.batch_norm.input:
        layers.append(_batch_norm(model, "input", inputs))
    for index, units in enumerate(model.hidden_units):
        layers.extend(_hidden_block(model, index, inputs))
        inputs = units
    output = Dense(
        name="output",
        output_shape=(classes,),
        inputs=inputs,
        activation="softmax",
        use_bias=True,
        kernel_initializer="glorot_uniform",
    )
    return (*layers, output)


def _hidden_block(model: ModelConfig, index: int, inputs: int) -> Iterator[Layer]:
    units, activation = model.hidden_units[index], model.activations[index]
    name = f"hidden_{index + 1}"
    match model.batch_norm.placement:
        case "none":
            yield _dense(model, name, inputs, units, activation, use_bias=True)
        case "after_activation":
            yield _dense(model, name, inputs, units, activation, use_bias=True)
            yield _batch_norm(model, name, units)
        case "before_activation":
            yield _dense(model, name, inputs, units, "linear", use_bias=False)
            yield _batch_norm(model, name, units)
            yield Activation(
                name=f"{name}_activation", output_shape=(units,), activation=activation
            )
        case other:
            assert_never(other)


def _dense(
    model: ModelConfig, name: str, inputs: int, units: int, activation: str, *, use_bias: bool
) -> Dense:
    """``use_bias`` is what the config's ``auto`` stands for here."""
    return Dense(
        name=name,
        output_shape=(units,),
        inputs=inputs,
        activation=activation,
        use_bias=use_bias if model.use_bias == "auto" else model.use_bias,
        kernel_initializer=model.kernel_initializer,
    )


def _batch_norm(model: ModelConfig, name: str, units: int) -> BatchNormalization:
    return BatchNormalization(
        name=f"{name}_batch_norm",
        output_shape=(units,),
        momentum=model.batch_norm.momentum,
        epsilon=model.batch_norm.epsilon,
    )


def count_parameters(layers: tuple[Layer, ...]) -> dict[str, int]:
    """Return the number of parameters in total, trained, not trained, and of each role."""
    sizes = dict.fromkeys(ROLES, 0)
    for layer in layers:
        for variable in layer.variables:
            sizes[variable.role] += variable.size
    trainable = sum(sizes[role] for role in TRAINED_ROLES)
    total = sum(sizes.values())
    return {"total": total, "trainable": trainable, "non_trainable": total - trainable, **sizes}


def blocks(network: Sequence[Layer]) -> list[Block]:
    """Split a network into each Dense with what belongs to it, and each layer before the first."""
    split: list[Block] = []
    for layer in network:
        if split and isinstance(split[-1][0], Dense) and not isinstance(layer, Dense):
            split[-1] = (*split[-1], layer)
        else:
            split.append((layer,))
    return split


def bias_case(dense: Dense, block: Block) -> BiasCase:
    """Return what the block's BN, if it has one, means for the bias of its Dense."""
    normalized = any(isinstance(layer, BatchNormalization) for layer in block)
    if normalized and dense.activation == "linear":
        return "redundant" if dense.use_bias else "replaced"
    if not dense.use_bias:
        return "missing"
    return "behind_activation" if normalized else "kept"
