"""A config's network as a plain list of layers, which `model.py` makes Keras layers of."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple, assert_never

from bnbench.experiments.config import ModelConfig

TRAINED_ROLES = ("kernel", "bias", "gamma", "beta")
UNTRAINED_ROLES = ("moving_mean", "moving_variance")
ROLES = TRAINED_ROLES + UNTRAINED_ROLES


class Variable(NamedTuple):
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Flatten(Layer):
    """Features to one row of numbers."""


@dataclass(frozen=True)
class Dense(Layer):
    """``activation(x @ kernel + bias)``, kernel of shape (inputs, units)."""

    inputs: int
    activation: str
    use_bias: bool
    kernel_initializer: str

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Kernel, and bias where there is one."""
        kernel = Variable("kernel", (self.inputs, *self.output_shape))
        return (kernel, Variable("bias", self.output_shape)) if self.use_bias else (kernel,)


@dataclass(frozen=True)
class BatchNormalization(Layer):
    """Normalises each input over the batch, then scales by gamma and shifts by beta."""

    momentum: float
    epsilon: float

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Gamma, beta, moving mean and moving variance: four numbers for each input."""
        return tuple(
            Variable(role, self.output_shape) for role in ("gamma", "beta", *UNTRAINED_ROLES)
        )


@dataclass(frozen=True)
class Activation(Layer):
    """An activation function as a layer of its own."""

    activation: str


Block = tuple[Layer, ...]
BiasCase = Literal["replaced", "redundant", "behind_activation", "kept", "missing"]


def build(model: ModelConfig, feature_shape: tuple[int, ...], classes: int) -> tuple[Layer, ...]:
    """Return the layers in order, for examples of a shape such as (28, 28)."""
    inputs = prod(feature_shape)
    layers: list[Layer] = [Flatten("flatten", (inputs,))]
    if model.batch_norm.input:
        layers.append(_batch_norm(model, "input", (inputs,)))
    for index, units in enumerate(model.hidden_units):
        layers += _hidden_block(model, index, inputs)
        inputs = units
    return (*layers, Dense("output", (classes,), inputs, "softmax", True, "glorot_uniform"))


def _hidden_block(model: ModelConfig, index: int, inputs: int) -> Block:
    name, shape = f"hidden_{index + 1}", (model.hidden_units[index],)
    activation, batch_norm = model.activations[index], _batch_norm(model, name, shape)

    def dense(activation: str, auto: bool) -> Dense:
        use_bias = auto if model.use_bias == "auto" else model.use_bias
        return Dense(name, shape, inputs, activation, use_bias, model.kernel_initializer)

    match model.batch_norm.placement:
        case "none":
            return (dense(activation, auto=True),)
        case "after_activation":
            return (dense(activation, auto=True), batch_norm)
        case "before_activation":
            own_layer = Activation(f"{name}_activation", shape, activation)
            return (dense("linear", auto=False), batch_norm, own_layer)
        case other:
            assert_never(other)


def _batch_norm(model: ModelConfig, name: str, shape: tuple[int, ...]) -> BatchNormalization:
    settings = model.batch_norm
    return BatchNormalization(f"{name}_batch_norm", shape, settings.momentum, settings.epsilon)


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
