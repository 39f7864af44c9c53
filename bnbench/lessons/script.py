"""A config as a short Keras program that builds and trains the same network: a hand-out."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap

from bnbench.datasets import dataset
from bnbench.datasets.csv import NUMBER
from bnbench.experiments import architecture
from bnbench.experiments.architecture import BatchNormalization, BiasCase, Block, Dense, Layer
from bnbench.experiments.config import Config, DataConfig, TrainingConfig
from bnbench.experiments.fields import OPTIMIZERS, TRAINING_ROWS
from bnbench.text import visible

_WIDTH = 88
_WRITTEN_OUT = 3  # more equal blocks than these become a loop
_KERAS_DEFAULTS = {
    "activation": "linear",
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "momentum": 0.99,
    "epsilon": 0.001,
}

_BIAS: dict[BiasCase, str] = {
    "replaced": "No bias: BN follows and subtracts the mean, and a bias with it. Its beta takes "
    "the bias's place.",
    "redundant": "This bias is redundant: BN follows and subtracts the mean, and the bias with it.",
    "behind_activation": "The bias stays: the activation is between it and BN.",
    "kept": "The bias stays: no BN follows.",
    "missing": "No bias, although no BN before the activation takes its place.",
}


def keras_script(config: Config, feature_shape: tuple[int, ...], classes: int) -> str:
    """Return the source of a Keras program that trains the config's network once.

    ``feature_shape`` is the shape of one example. The program needs Keras alone; bnbench too where
    it reads the sample, pandas where it reads a ``.csv``. Text of the config becomes a comment or a
    string, never code.
    """
    network = architecture.build(config.model, feature_shape, classes)
    parts = (
        _head(config),
        _data(config.data),
        _model(network, feature_shape),
        _training(config.training, network),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(config: Config) -> Iterator[str]:
    # Python takes a comment such as "coding: utf-7" in the first two lines for an encoding.
    yield f"# {config.name}, in plain Keras\n#"
    if description := visible(" ".join(config.description.split())):
        yield from _comment(description)
        yield "#"
    yield from _comment(
        "Written by bnbench. Accuracies differ a little from those of `bnbench run`, as initial "
        "weights and the order of the batches are drawn differently."
    )
    yield ""
    if config.data.is_table:
        yield "from decimal import Decimal\n"
    if config.data.dataset == dataset.SAMPLE:
        yield "from importlib.resources import files\n"
    yield "import keras"
    if config.data.dataset != dataset.FASHION_MNIST or config.data.standardize:
        yield "import numpy as np"
    if config.data.is_table:
        yield "import pandas as pd"
    yield "from keras import layers\n"
    yield "keras.utils.set_random_seed(0)  # every run draws the same numbers"


def _data(settings: DataConfig) -> Iterator[str]:
    yield from _table(settings) if settings.is_table else _arrays(settings)
    held_out = f"{settings.validation_size}"
    if settings.validation_size == "auto":
        yield "# The last training rows are held out for validation: 5,000, or a tenth of few."
        yield "held_out = min(5000, max(1, len(x_train) // 10))"
        held_out = "held_out"
    else:
        yield f"# The last {settings.validation_size:,} training rows are held out for validation."
    for name in ("x", "y"):
        yield f"{name}_train, {name}_val = {name}_train[:-{held_out}], {name}_train[-{held_out}:]"
    if settings.standardize:
        yield "# Over the training rows every feature gets mean 0 and deviation 1."
        yield 'mean = x_train.mean(axis=0, dtype="float64")'
        yield 'deviation = x_train.std(axis=0, dtype="float64")'
        yield "deviation[x_train.min(axis=0) == x_train.max(axis=0)] = np.inf"
        for part in ("train", "val", "test"):
            yield f'x_{part} = ((x_{part} - mean) / deviation).astype("float32")'


def _table(settings: DataConfig) -> Iterator[str]:
    label, share = _literal(settings.label), settings.test_size
    yield from _comment(
        f"The rows come in another order. Of every class the first ones, a share of {share:g}, are "
        "kept to test. bnbench draws others, so accuracies differ for that, too."
    )
    yield f"""path = {_literal(settings.dataset)}
columns = [name.strip() for name in pd.read_csv(path, nrows=0, skipinitialspace=True)]
table = pd.read_csv(path, header=0, names=columns, skipinitialspace=True,
    keep_default_na=False, converters={{{label}: str.strip}})
number = r"{NUMBER.pattern}"
if table[{label}].str.fullmatch(number).all():  # 1, 01 and 1.0 are one class
    table[{label}] = table[{label}].map(Decimal)
table = table.sample(frac=1, random_state=0)
is_test = table.groupby({label}).cumcount() < (
    table.groupby({label})[{label}].transform("size").mul({share}).round().clip(1)
)
names, classes = np.unique(table.pop({label}), return_inverse=True)
features = table.to_numpy("float32")
x_train, y_train = features[~is_test], classes[~is_test]
x_test, y_test = features[is_test], classes[is_test]"""


def _arrays(settings: DataConfig) -> Iterator[str]:
    if settings.dataset == dataset.FASHION_MNIST:
        yield "(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()"
    else:
        path = _literal(settings.dataset)
        if settings.dataset == dataset.SAMPLE:
            path = 'files("bnbench.datasets.samples") / "fashion_mnist_sample.npz"'
        yield f"with np.load({path}) as data:"
        yield '    x_train, y_train = data["x_train"], data["y_train"]'
        yield '    x_test, y_test = data["x_test"], data["y_test"]'
    known = settings.dataset in TRAINING_ROWS
    others = "" if known else "; other numbers stay as they are"
    yield f"# Bytes from 0 to 255 become numbers from 0 to 1{others}."
    if not known:
        yield 'scale = 255 if x_train.dtype == "uint8" else 1'
    for part in ("train", "test"):
        yield f'x_{part} = x_{part}.astype("float32") / {255 if known else "scale"}'


def _model(network: Sequence[Layer], feature_shape: tuple[int, ...]) -> Iterator[str]:
    written: set[str] = set()
    yield f"model = keras.Sequential()\nmodel.add(keras.Input({feature_shape}))"
    for _, equal in groupby(architecture.blocks(network), key=_code):
        run = list(equal)
        looped = len(run) > _WRITTEN_OUT
        for block in run[:1] if looped else run:
            lines = list(_commented(block, feature_shape, written))
            if isinstance(block[0], Dense) and len(lines) > 1:
                yield ""
            if looped:
                yield f"for _ in range({len(run)}):"
            yield from (f"    {line}" if looped else line for line in lines)


def _commented(block: Block, feature_shape: tuple[int, ...], written: set[str]) -> Iterator[str]:
    for layer in block:
        for remark in _remarks(layer, block, feature_shape):
            yield from _comment(remark) if remark not in written else ()
            written.add(remark)
        yield from _statement(layer)


def _remarks(layer: Layer, block: Block, feature_shape: tuple[int, ...]) -> Iterator[str]:
    match layer:
        case architecture.Flatten() if len(feature_shape) == 1:
            yield "Each example is one row of numbers already."
        case architecture.Flatten():
            shape = " x ".join(map(str, feature_shape))
            yield f"{shape} numbers become one row of {layer.output_shape[0]}."
        case BatchNormalization():
            yield (
                "Batch Normalization (BN) gives each number mean 0 and variance 1 over the batch, "
                "then scales it by gamma and shifts it by beta. Both are trained."
            )
        case architecture.Activation():
            yield "With BN before it, the activation is a layer of its own."
        case Dense():
            if layer.activation == "softmax":
                yield "The output: a probability for each class."
            yield _BIAS[architecture.bias_case(layer, block)]


def _code(block: Block) -> list[str]:
    return [line for layer in block for line in _statement(layer)]


def _statement(layer: Layer) -> list[str]:
    arguments = _arguments(layer)
    line = f"model.add(layers.{layer.kind}({', '.join(arguments)}))"
    if len(line) <= _WIDTH - len("    "):
        return [line]
    lines = (f"        {argument}," for argument in arguments)
    return ["model.add(", f"    layers.{layer.kind}(", *lines, "    )", ")"]


def _arguments(layer: Layer) -> list[str]:
    first: list[str] = []
    if isinstance(layer, Dense):
        first = [str(layer.output_shape[-1])]
    elif isinstance(layer, architecture.Activation):
        return [_literal(layer.activation)]
    values = [(k, getattr(layer, k)) for k in _KERAS_DEFAULTS if hasattr(layer, k)]
    return first + [f"{k}={_literal(v)}" for k, v in values if v != _KERAS_DEFAULTS[k]]


def _training(training: TrainingConfig, network: Sequence[Layer]) -> Iterator[str]:
    momentum = f", momentum={training.momentum}" if training.momentum else ""
    optimizer = OPTIMIZERS[training.optimizer].keras_class
    rate = f"learning_rate={training.learning_rate}"
    yield f"""model.compile(
    optimizer=keras.optimizers.{optimizer}({rate}{momentum}),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)"""
    if any(isinstance(layer, BatchNormalization) for layer in network):
        yield from _comment(
            "The non-trainable parameters are BN's moving means and variances. They follow the "
            "batches and take the place of the batch's own in evaluation."
        )
    yield f"""model.summary()

model.fit(
    x_train,
    y_train,
    batch_size={training.batch_size},
    epochs={training.epochs},
    validation_data=(x_val, y_val),
)
test_loss, test_accuracy = model.evaluate(x_test, y_test)
print(f"Test accuracy: {{test_accuracy:.2%}}")"""


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH - len("    # "))]


def _literal(value: object) -> str:
    # JSON's strings are Python's where nothing in them is beyond what can be printed.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
