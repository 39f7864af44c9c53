"""What is said about a network's parameters is true, adds up, and is said once."""

import math
import re
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnbench.experiments import architecture
from bnbench.experiments.architecture import bias_case, blocks, build, count_parameters
from bnbench.experiments.config import Config, load_config, parse_config
from bnbench.experiments.fields import Placement
from bnbench.lessons import explanation, script
from bnbench.lessons.explanation import sections
from tests.conftest import CONFIGS
from tests.strategies import configs

SHIPPED = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml"))
EQUATION = re.compile(r"\d[\d,]*[a-z ]*(?: [×+] \d[\d,]*[a-z ]*)+ = \d[\d,]*")

PRE_ACT = """\
flatten: Flatten
The numbers of an example are put in one row: 28 × 28 = 784. No parameters.

input_batch_norm: BatchNormalization
Batch Normalization (BN) treats each of its inputs separately. It subtracts the mean over the \
batch and divides by the standard deviation over the batch (epsilon, 0.001, is added to the \
variance, so that nothing is divided by zero). Then it multiplies by gamma and adds beta.
Gamma and beta are trained: the network learns the scale and the shift that suit it.
Moving mean and moving variance are not trained but follow the batches: after each one they keep \
0.99 (the momentum) of their value and take the rest from the batch. In evaluation they replace \
the batch's own mean and variance, so that a prediction does not depend on the other examples in \
its batch.
So BN has four for each input: 4 × 784 = 3,136 parameters, 2 × 784 = 1,568 trained and \
2 × 784 = 1,568 not trained.
On the input, BN does what standardizing the data beforehand would do.

hidden_1: Dense (300 units), BatchNormalization, Activation (elu)
Dense: 784 × 300 = 235,200 weights (the kernel), one for each pair of an input and a unit.
No bias: BN follows directly and subtracts the mean over the batch. A bias adds the same number to \
every example, so it would be subtracted again. BN's beta takes its place.
BN, as in input_batch_norm: 4 × 300 = 1,200 parameters, 2 × 300 = 600 trained and \
2 × 300 = 600 not trained.
Activation: elu is a fixed function of each number, no parameters.
Together: 235,200 + 1,200 = 236,400 parameters.

hidden_2: Dense (100 units), BatchNormalization, Activation (elu)
Dense: 300 × 100 = 30,000 weights.
No bias, as in hidden_1.
BN, as in input_batch_norm: 4 × 100 = 400 parameters, 2 × 100 = 200 trained and \
2 × 100 = 200 not trained.
Activation: elu, no parameters.
Together: 30,000 + 400 = 30,400 parameters.

output: Dense (10 units, softmax)
Dense: 100 × 10 = 1,000 weights, plus 10 biases: 1,000 + 10 = 1,010 parameters.
The bias stays: it shifts the sum of its unit, and no BN follows that would subtract it again.
Softmax turns the units' sums into probabilities, one for each class.

All layers
3,136 + 236,400 + 30,400 + 1,010 = 270,946 parameters.
Trained: 266,200 weights + 10 biases + 1,184 gammas + 1,184 betas = 268,578.
Not trained: 1,184 moving means + 1,184 moving variances = 2,368.
Both: 268,578 + 2,368 = 270,946."""


def text_of(config: Config, shape: tuple[int, ...] = (28, 28), classes: int = 10) -> str:
    found = sections(config, shape, classes)
    return "\n\n".join("\n".join([section.heading, *section.paragraphs]) for section in found)


def shipped(path: str) -> Config:
    return load_config(CONFIGS / path)


def with_model(**settings: object) -> Config:
    changes = {"hidden_units": [8, 8], **settings}
    return parse_config("name: a", "a", [f"model.{key}={changes[key]}" for key in changes])


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def check_arithmetic(config: Config, shape: tuple[int, ...], classes: int) -> None:
    """Every equation holds, the terms are the sections' sizes, the results the true counts."""
    text = text_of(config, shape, classes)
    equations = EQUATION.findall(text)
    assert len(equations) == text.count(" = ")
    for equation in equations:
        *terms, result = numbers(equation)
        assert (math.prod if "×" in equation else sum)(terms) == result, equation
    *parts, (total, *rest) = (section.paragraphs for section in sections(config, shape, classes))
    count = count_parameters(build(config.model, shape, classes))
    *terms, result = numbers(total)
    assert result == count["total"]
    sizes = [numbers(line)[-1] for part in parts for line in part[-1:] if EQUATION.search(line)]
    assert set(sizes) <= {*terms, math.prod(shape)}
    assert [numbers(line)[-1] for line in rest if EQUATION.search(line)][:2] == [
        number for number in (count["trainable"], count["non_trainable"]) if number
    ]


def test_the_whole_text_of_pre_act() -> None:
    """Each matter is explained where it first comes up, and later ones point there."""
    assert text_of(shipped("pre_act.yaml")) == PRE_ACT


@pytest.mark.parametrize("path", SHIPPED)
def test_the_arithmetic_of_every_shipped_config(path: str) -> None:
    """The numbers in the text add up to those of `count_parameters`."""
    check_arithmetic(shipped(path), (28, 28), 10)


@settings(derandomize=True, deadline=None, database=None, max_examples=100)
@given(
    config=configs(most_layers=5) | configs(most_layers=5, most_units=2),
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple),
    classes=st.integers(2, 1000),
)
def test_the_arithmetic_of_any_config(config: Config, shape: Any, classes: int) -> None:
    """Any network's text adds up, and has a plural exactly where it needs one."""
    check_arithmetic(config, shape, classes)
    nouns = re.findall(
        r"(?<![\d,])([\d,]+) (weight|biase?|unit|number|gamma|beta|parameter)(s?)\b",
        text_of(config, shape, classes),
    )
    assert all((amount == "1") == (noun == "bias" or not plural) for amount, noun, plural in nouns)


@pytest.mark.parametrize(
    ("placement", "use_bias", "activation", "sentence"),
    [
        ("none", "auto", "elu", "The bias stays: it shifts"),
        ("none", "true", "elu", "The bias stays: it shifts"),
        ("none", "false", "elu", "No bias, as use_bias is false: no BN is between"),
        ("before_activation", "auto", "elu", "No bias: BN follows directly"),
        ("before_activation", "true", "elu", "The bias is redundant: BN follows directly"),
        ("before_activation", "false", "elu", "No bias: BN follows directly"),
        ("after_activation", "auto", "elu", "The bias stays: a nonlinear activation"),
        ("after_activation", "true", "elu", "The bias stays: a nonlinear activation"),
        ("after_activation", "false", "elu", "No bias, as use_bias is false: no BN is between"),
        ("after_activation", "auto", "linear", "The bias is redundant: BN follows directly"),
        ("after_activation", "false", "linear", "No bias: BN follows directly"),
    ],
)
def test_what_is_said_of_the_bias(
    placement: str, use_bias: str, activation: str, sentence: str
) -> None:
    """Hidden layers get the sentence that fits, in full once; the output's bias always stays."""
    settings = {"batch_norm.placement": placement, "use_bias": use_bias, "activation": activation}
    text = text_of(with_model(**settings))
    output = re.findall(r"^(?:No bias|The bias).*", text, re.MULTILINE)
    assert output[0].startswith(sentence)
    assert output[-1].startswith("The bias stays")
    claim = re.split("[:,]", sentence)[0]
    for line in output[1:-1]:
        assert re.fullmatch(rf"{claim}.*, as in hidden_1\.", line)
    output_is_new = not sentence.startswith("The bias stays: it")
    assert sum(": " in line for line in output) == 1 + output_is_new


@pytest.mark.parametrize("activation", ["elu", "linear"])
@pytest.mark.parametrize("placement", ["none", "before_activation", "after_activation"])
def test_a_bias_is_called_redundant_where_its_gradient_is_zero(
    placement: str, activation: str, tiny: Callable[..., Config], keras: Any
) -> None:
    """Keras's gradient of the first hidden bias is zero exactly where the text says so."""
    import tensorflow as tf

    from bnbench.training.model import build as build_model

    config = tiny(
        f"model.batch_norm.placement={placement}",
        f"model.activation={activation}",
        "model.use_bias=true",
    )
    network = build(config.model, (20,), 3)
    model = build_model(network, 20)
    x, y = tf.random.stateless_normal((16, 20), (0, 1)), tf.range(16) % 3
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy()(y, model(x, training=True))
    gradient = tape.gradient(loss, model.get_layer("hidden_1").bias.value)
    block = blocks(network)[1]
    redundant = bias_case(block[0], block) == "redundant"
    assert redundant == (float(tf.reduce_max(tf.abs(gradient))) < 1e-6)


@pytest.mark.parametrize("name", ["no_bn", "post_act", "pre_act"])
def test_twenty_layers_take_hardly_more_words_than_two(name: str) -> None:
    """Equal blocks are explained together, and their parameters multiplied."""
    deep, flat = (text_of(shipped(f"{folder}{name}.yaml")) for folder in ("deep/", ""))
    assert len(deep.split()) < len(flat.split()) + 25
    assert "hidden_2 to hidden_20, each: Dense" in deep
    assert "All 19: 19 × 10," in deep


def test_two_equal_layers_are_both() -> None:
    """A run of two is put in the words for two."""
    text = text_of(with_model(hidden_units=[4, 4, 4]), (3,), 2)
    assert "hidden_2 and hidden_3, each: Dense (4 units, elu)" in text
    assert "Both: 2 × 20 = 40 parameters." in text


def test_input_bn_on_standardized_data(tiny: Callable[..., Config]) -> None:
    """Where the features are standardized already, input BN is said to do it once more."""
    plain, done = (
        text_of(tiny("model.batch_norm.input=true", f"data.standardize={value}"), (5, 4), 3)
        for value in ("false", "true")
    )
    assert "BN does what standardizing the data beforehand would do." in plain
    assert "BN does once more, over each batch, what standardizing the data has done" in done


def test_every_case_of_a_bias_and_every_layer_has_its_words() -> None:
    """A new one is noticed here, in the explanation and in the script."""
    assert set(explanation._BIAS) == set(script._BIAS) == set(get_args(architecture.BiasCase))
    kinds = set()
    for placement in get_args(Placement):
        settings = {"model.batch_norm": {"placement": placement, "input": True}}
        config = parse_config("name: a", "a.yaml", settings)
        program = script.keras_script(config, (28, 28), 10)
        headings = " ".join(section.heading for section in sections(config, (28, 28), 10))
        for layer in architecture.build(config.model, (28, 28), 10):
            assert f"layers.{layer.kind}(" in program
            assert layer.kind in headings
            kinds.add(type(layer))
    assert kinds == set(architecture.Layer.__subclasses__())
