"""The networks as lists of layers: order, placement, and the truth table of parameters."""

import pytest

from bnbench.experiments.architecture import ROLES, Dense, Layer, build, count_parameters
from bnbench.experiments.config import Config, load_config, parse_config
from tests.conftest import CONFIGS

# Network 784-300-100-10. Kernels: 784×300 + 300×100 + 100×10 = 266,200. Biases: 300 + 100 + 10.
# BN has four numbers for each of its inputs: 784 for the input BN, 300 + 100 for the hidden ones.
TRUTH = {  # config: kernel, bias, each of the four roles of BN, total, trainable, non-trainable
    "no_bn": (266_200, 410, 0, 266_610, 266_610, 0),
    "controls/input_bn": (266_200, 410, 784, 269_746, 268_178, 1_568),
    "post_act": (266_200, 410, 1_184, 271_346, 268_978, 2_368),
    "notebook/post_act": (266_200, 410, 1_184, 271_346, 268_978, 2_368),
    "controls/post_act_no_input": (266_200, 410, 400, 268_210, 267_410, 800),
    "pre_act": (266_200, 10, 1_184, 270_946, 268_578, 2_368),
    "notebook/pre_act": (266_200, 10, 1_184, 270_946, 268_578, 2_368),
    "controls/pre_act_no_input": (266_200, 10, 400, 267_810, 267_010, 800),
    "controls/pre_act_bias": (266_200, 410, 1_184, 271_346, 268_978, 2_368),
    "tanh/no_bn": (266_200, 410, 0, 266_610, 266_610, 0),
    "tanh/post_act": (266_200, 410, 1_184, 271_346, 268_978, 2_368),
    "tanh/pre_act": (266_200, 10, 1_184, 270_946, 268_578, 2_368),
}


def shipped(name: str) -> Config:
    return load_config(CONFIGS / f"{name}.yaml")


def network(config: Config) -> tuple[Layer, ...]:
    return build(config.model, (28, 28), 10)


def in_words(layer: Layer) -> str:
    if not isinstance(layer, Dense):
        return " ".join([layer.kind, *([layer.activation] if hasattr(layer, "activation") else [])])
    bias = "bias" if layer.use_bias else "no bias"
    return f"Dense {layer.output_shape[0]} {layer.activation} {bias} {layer.kernel_initializer}"


@pytest.mark.parametrize("name", TRUTH)
def test_parameters_by_role_are_those_of_the_truth_table(name: str) -> None:
    """Counting the layer list gives every number of the truth table."""
    kernel, bias, norm, total, trainable, non_trainable = TRUTH[name]
    assert count_parameters(network(shipped(name))) == {
        "total": total,
        "trainable": trainable,
        "non_trainable": non_trainable,
        **dict(zip(ROLES, (kernel, bias, norm, norm, norm, norm), strict=True)),
    }


@pytest.mark.parametrize("name", TRUTH)
def test_keras_counts_the_same(name: str, keras: object) -> None:
    """The built Keras model has the truth table's parameters, by role and by layer."""
    from bnbench.training import model

    layers = network(shipped(name))
    built = model.build(layers, 784)
    sizes = dict.fromkeys(ROLES, 0)
    for variable in built.variables:
        sizes[variable.name] += variable.value.shape.num_elements()
    assert tuple(sizes.values())[:3] == TRUTH[name][:3]
    assert set(tuple(sizes.values())[2:]) == {TRUTH[name][2]}
    assert built.count_params() == TRUTH[name][3]
    trained = sum(v.value.shape.num_elements() for v in built.trainable_variables)
    assert (trained, built.count_params() - trained) == TRUTH[name][4:]
    assert [layer.count_params() for layer in built.layers] == [layer.size for layer in layers]


def test_after_activation_is_the_source_notebook_letter_for_letter() -> None:
    """BN follows each activation; elu in the first and relu in the second layer; biases stay."""
    assert [in_words(layer) for layer in network(shipped("notebook/post_act"))] == [
        "Flatten",
        "BatchNormalization",
        "Dense 300 elu bias he_normal",
        "BatchNormalization",
        "Dense 100 relu bias he_normal",
        "BatchNormalization",
        "Dense 10 softmax bias glorot_uniform",
    ]


def test_before_activation_is_the_source_notebook_letter_for_letter() -> None:
    """BN is between a Dense without bias and its activation; the output keeps its bias."""
    assert [in_words(layer) for layer in network(shipped("notebook/pre_act"))] == [
        "Flatten",
        "BatchNormalization",
        "Dense 300 linear no bias he_normal",
        "BatchNormalization",
        "Activation elu",
        "Dense 100 linear no bias he_normal",
        "BatchNormalization",
        "Activation elu",
        "Dense 10 softmax bias glorot_uniform",
    ]


def test_no_placement_means_no_batch_normalization() -> None:
    """The plain network is Dense layers alone."""
    assert [in_words(layer) for layer in network(shipped("no_bn"))] == [
        "Flatten",
        "Dense 300 elu bias he_normal",
        "Dense 100 elu bias he_normal",
        "Dense 10 softmax bias glorot_uniform",
    ]


def test_deep_networks_have_twenty_hidden_layers() -> None:
    """Each deep config has 20 Dense layers of 100 and an output."""
    for name in ("no_bn", "post_act", "pre_act"):
        dense = [la for la in network(shipped(f"deep/{name}")) if isinstance(la, Dense)]
        assert [layer.output_shape for layer in dense] == [(100,)] * 20 + [(10,)]


@pytest.mark.parametrize(("use_bias", "bias"), [("true", 8 + 6 + 3), ("false", 3), ("auto", 3)])
def test_use_bias_speaks_of_the_hidden_layers(use_bias: str, bias: int) -> None:
    """The output layer's bias always stays; `auto` drops it exactly before a BN."""
    config = parse_config(
        "name: tiny",
        "tiny.yaml",
        [
            "model.hidden_units=[8, 6]",
            "model.batch_norm.placement=before_activation",
            f"model.use_bias={use_bias}",
        ],
    )
    assert count_parameters(build(config.model, (20,), 3))["bias"] == bias
