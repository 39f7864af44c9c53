"""Why each layer of a network has the parameters it has: in words, with the arithmetic shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import prod

from bnbench.experiments import architecture
from bnbench.experiments.architecture import BiasCase, Block, Dense, Layer
from bnbench.experiments.config import Config

_BIAS: dict[BiasCase, tuple[str, str]] = {  # what each Dense gets, and why, which is explained once
    "replaced": (
        "No bias",
        "BN follows directly and subtracts the mean over the batch. A bias adds the same number "
        "to every example, so it would be subtracted again. BN's beta takes its place",
    ),
    "redundant": (
        "The bias is redundant",
        "BN follows directly and subtracts the mean over the batch. The bias adds the same number "
        "to every example, so it is subtracted again. Its gradient is zero; BN's beta does its "
        "work",
    ),
    "behind_activation": (
        "The bias stays",
        "a nonlinear activation is between it and BN, so BN cannot subtract it again",
    ),
    "kept": (
        "The bias stays",
        "it shifts the sum of its unit, and no BN follows that would subtract it again",
    ),
    "missing": (
        "No bias, as use_bias is false",
        "no BN is between the units' sums and the activation, so no beta takes its place. The "
        "sums have no shift of their own",
    ),
}
_BATCH_NORM = (
    "Batch Normalization (BN) treats each of its inputs separately. It subtracts the mean over the "
    "batch and divides by the standard deviation over the batch (epsilon, {layer.epsilon}, is "
    "added to the variance, so that nothing is divided by zero). Then it multiplies by gamma and "
    "adds beta.",
    "Gamma and beta are trained: the network learns the scale and the shift that suit it.",
    "Moving mean and moving variance are not trained but follow the batches: after each one they "
    "keep {layer.momentum} (the momentum) of their value and take the rest from the batch. In "
    "evaluation they replace the batch's own mean and variance, so that a prediction does "
    "not depend on the other examples in its batch.",
)

_ON_THE_INPUT = "On the input, BN does what standardizing the data beforehand would do."
_STANDARDIZED = (
    "On the input, BN does once more, over each batch, what standardizing the data has done: over "
    "all training rows the features have mean 0 and deviation 1 already."
)


@dataclass(frozen=True)
class Section:
    """A heading and its paragraphs, each of which is one line, to be wrapped to any width."""

    heading: str
    paragraphs: tuple[str, ...]


def sections(config: Config, feature_shape: tuple[int, ...], classes: int) -> list[Section]:
    """Return a section for each block of layers, equal neighbours in one, and one for the sum.

    ``feature_shape`` is the shape of one example, such as (28, 28). Every equation in the text
    is true as it is written, such as ``28 × 28 = 784``; thousands are set off with commas.
    """
    network = architecture.build(config.model, feature_shape, classes)
    lesson = _Lesson(feature_shape, config.data.standardize)
    blocks = architecture.blocks(network)
    equal = groupby(blocks, lambda block: [replace(layer, name="") for layer in block])
    runs = [list(run) for _, run in equal]
    sizes = [sum(layer.size for block in run for layer in block) for run in runs]
    total = _sum(architecture.count_parameters(network), [size for size in sizes if size])
    return [*map(lesson.section, runs), total]


class _Lesson:
    """Explains each matter where it first comes up and refers to that place afterwards."""

    def __init__(self, feature_shape: tuple[int, ...], standardized: bool) -> None:
        self._feature_shape, self._standardized = feature_shape, standardized
        self._places: dict[str, str] = {}

    def section(self, run: Sequence[Block]) -> Section:
        """Explain a block that comes ``len(run)`` times in succession."""
        block, times, names = run[0], len(run), run[0][0].name
        if times > 1:
            names += f" {'and' if times == 2 else 'to'} {run[-1][0].name}, each"
        paragraphs = [text for layer in block for text in self._layer(layer, block)]
        sizes = [layer.size for layer in block if layer.size]
        if len(sizes) > 1:
            paragraphs.append(f"Together: {_added(sizes)} parameters.")
        if times > 1:
            every = "Both" if times == 2 else f"All {times}"
            paragraphs.append(f"{every}: {_multiplied((times, sum(sizes)))} parameters.")
        return Section(f"{names}: {', '.join(map(_title, block))}", tuple(paragraphs))

    def _layer(self, layer: Layer, block: Block) -> Iterator[str]:
        match layer:
            case architecture.Flatten() if len(self._feature_shape) == 1:
                row = _amount(layer.output_shape[0], "number")
                yield f"An example is one row of {row} already. No parameters."
            case architecture.Flatten():
                size = _multiplied(self._feature_shape)
                yield f"The numbers of an example are put in one row: {size}. No parameters."
            case Dense():
                yield from self._dense(layer, architecture.bias_case(layer, block))
            case architecture.BatchNormalization():
                yield from self._batch_norm(layer)
                if layer is block[0]:
                    yield _STANDARDIZED if self._standardized else _ON_THE_INPUT
            case architecture.Activation():
                fixed = " is a fixed function of each number" if self._new("fixed", layer) else ""
                yield f"Activation: {layer.activation}{fixed}, no parameters."

    def _new(self, matter: str, layer: Layer) -> bool:
        return self._places.setdefault(matter, layer.name) == layer.name

    def _dense(self, layer: Dense, case: BiasCase) -> Iterator[str]:
        kernel, *biases = layer.variables
        new = self._new("kernel", layer)
        text = f"Dense: {_multiplied(kernel.shape)} weight{'s' if kernel.size > 1 else ''}"
        text += " (the kernel), one for each pair of an input and a unit" if new else ""
        for bias in biases:
            text += f", plus {_amount(bias.size, 'bias')}{', one for each unit' if new else ''}"
            text += f": {_added((kernel.size, bias.size))} parameters"
        yield f"{text}."
        claim, reason = _BIAS[case]
        new = self._new(case, layer)
        yield f"{claim}: {reason}." if new else f"{claim}, as in {self._places[case]}."
        if layer.activation == "softmax":
            yield "Softmax turns the units' sums into probabilities, one for each class."

    def _batch_norm(self, layer: architecture.BatchNormalization) -> Iterator[str]:
        inputs, each = layer.output_shape[0], len(layer.variables)
        trained = sum(variable.trained for variable in layer.variables)
        numbers = (
            f"{_multiplied((each, inputs))} parameters, {_multiplied((trained, inputs))} trained "
            f"and {_multiplied((each - trained, inputs))} not trained"
        )
        if self._new("batch_norm", layer):
            yield from (text.format(layer=layer) for text in _BATCH_NORM)
            yield f"So BN has four for each input: {numbers}."
        else:
            yield f"BN, as in {self._places['batch_norm']}: {numbers}."


def _title(layer: Layer) -> str:
    if isinstance(layer, architecture.Activation):
        return f"Activation ({layer.activation})"
    if not isinstance(layer, Dense):
        return layer.kind
    activation = "" if layer.activation == "linear" else f", {layer.activation}"
    return f"Dense ({_amount(layer.output_shape[0], 'unit')}{activation})"


def _sum(count: dict[str, int], sizes: Sequence[int]) -> Section:
    def of(roles: Sequence[str]) -> str:
        nouns = ((role, "weight" if role == "kernel" else role.replace("_", " ")) for role in roles)
        return " + ".join(_amount(count[role], noun) for role, noun in nouns if count[role])

    trainable, non_trainable = count["trainable"], count["non_trainable"]
    lines = [
        f"{_added(sizes)} parameters.",
        f"Trained: {of(architecture.TRAINED_ROLES)} = {trainable:,}.",
    ]
    if non_trainable:
        lines.append(f"Not trained: {of(architecture.UNTRAINED_ROLES)} = {non_trainable:,}.")
        lines.append(f"Both: {_added((trainable, non_trainable))}.")
    else:
        lines.append("Not trained: none, as there is no BN.")
    return Section("All layers", tuple(lines))


def _amount(number: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"


def _multiplied(factors: Sequence[int]) -> str:
    return f"{' × '.join(f'{factor:,}' for factor in factors)} = {prod(factors):,}"


def _added(terms: Sequence[int]) -> str:
    return f"{' + '.join(f'{term:,}' for term in terms)} = {sum(terms):,}"
