"""Config files: defaults, ids, overrides, messages, the way back to YAML, and the shipped files."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bnbench.errors import InputError
from bnbench.experiments.config import (
    BatchNormConfig,
    Config,
    ModelConfig,
    TrainingConfig,
    dump_yaml,
    json_schema,
    load_config,
    parse_config,
)
from tests.conftest import CONFIGS

SHIPPED = sorted(CONFIGS.rglob("*.yaml"))

DEFAULT_YAML = """\
name: tiny
description: ""
data:
  dataset: fashion_mnist
  validation_size: auto
  standardize: false
  label: null
  test_size: 0.2
model:
  hidden_units: [300, 100]
  activation: elu
  kernel_initializer: he_normal
  use_bias: auto
  batch_norm:
    placement: none
    input: false
    momentum: 0.99
    epsilon: 0.001
training:
  optimizer: sgd
  learning_rate: 0.01
  momentum: 0.0
  epochs: 10
  batch_size: 32
seeds: 10
plan:
  first: 10
  step: 5
  most: 40
  margin: 0.3
  tuning: 0
"""


def _fault(text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_config(text, "tiny.yaml", overrides)
    return str(caught.value)


def _tiny(*overrides: str) -> Config:
    return parse_config("name: tiny", "tiny.yaml", overrides)


def test_defaults() -> None:
    """A name alone is a config, and everything else has its default."""
    assert dump_yaml(_tiny()) == DEFAULT_YAML


def test_resolved_is_plain_data() -> None:
    """What a record stores is what JSON gives back, and loads to an equal config."""
    config = _tiny("seeds=[3, 1]", "model.activation=[elu, relu]")
    resolved = config.resolved()
    assert json.loads(json.dumps(resolved)) == resolved
    assert resolved["seeds"] == [3, 1]
    assert resolved["model"]["activation"] == ["elu", "relu"]
    assert Config.model_validate(resolved) == config


def test_derived_values() -> None:
    """A count of seeds starts at zero, and one activation is that of every hidden layer."""
    config = _tiny("seeds=3", "model.hidden_units=[4, 3, 2]")
    assert config.seed_list == (0, 1, 2)
    assert config.model.activations == ("elu", "elu", "elu")
    assert _tiny("seeds=[7, 2]").seed_list == (7, 2)
    assert _tiny("model.activation=[elu, relu]").model.activations == ("elu", "relu")


def test_a_config_is_frozen() -> None:
    """No value of a config changes after it is loaded."""
    with pytest.raises(ValidationError):
        _tiny().training.epochs = 3


GOLDEN_IDS = {
    "controls/input_bn": ("cd3217d2", "44136fa3"),
    "controls/post_act_no_input": ("bb3a0f44", "44136fa3"),
    "controls/pre_act_bias": ("d05d4182", "44136fa3"),
    "controls/pre_act_no_input": ("54f5afca", "44136fa3"),
    "deep/no_bn": ("2c95248c", "44136fa3"),
    "deep/post_act": ("d2977387", "44136fa3"),
    "deep/pre_act": ("19d5c7c1", "44136fa3"),
    "no_bn": ("44136fa3", "44136fa3"),
    "notebook/post_act": ("bef518a1", "44136fa3"),
    "notebook/pre_act": ("46211196", "44136fa3"),
    "post_act": ("ef2eab54", "44136fa3"),
    "pre_act": ("46211196", "44136fa3"),
    "smoke": ("f18de620", "0af68902"),
    "study/deep_elu": ("2c95248c", "44136fa3"),
    "study/deep_relu": ("9ae0cd73", "44136fa3"),
    "study/deep_tanh": ("c05b34eb", "44136fa3"),
    "study/depth_05_elu": ("7cc1ba42", "44136fa3"),
    "study/depth_05_sigmoid": ("9a830f85", "44136fa3"),
    "study/depth_10_elu": ("40a006be", "44136fa3"),
    "study/depth_10_sigmoid": ("6b685e6f", "44136fa3"),
    "study/depth_20_elu": ("2c95248c", "44136fa3"),
    "study/depth_20_sigmoid": ("9ad4ece6", "44136fa3"),
    "study/depth_40_elu": ("4f05e96a", "44136fa3"),
    "study/depth_40_sigmoid": ("e0c6fda1", "44136fa3"),
    "study/shallow_elu": ("44136fa3", "44136fa3"),
    "study/shallow_relu": ("22b8cf65", "44136fa3"),
    "study/shallow_tanh": ("975ff446", "44136fa3"),
    "tanh/no_bn": ("975ff446", "44136fa3"),
    "tanh/post_act": ("24cdbc17", "44136fa3"),
    "tanh/pre_act": ("969454d0", "44136fa3"),
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_golden_ids(path: Path) -> None:
    """The shipped configs' ids are for ever those under which their runs were recorded."""
    config = load_config(path)
    name = path.relative_to(CONFIGS).with_suffix("").as_posix()
    assert (config.experiment_id, config.protocol_id) == GOLDEN_IDS[name]


def test_ids() -> None:
    """The ids are the first 8 hex digits of SHA-256 over canonical JSON of what differs."""
    config = _tiny(
        "training.learning_rate=0.1", "model.batch_norm.input=true", "model.hidden_units=[4, 3]"
    )
    training = '"training":{"learning_rate":0.1}'
    experiment = f'{{"model":{{"batch_norm":{{"input":true}},"hidden_units":[4,3]}},{training}}}'
    protocol = f"{{{training}}}"
    assert config.experiment_id == hashlib.sha256(experiment.encode()).hexdigest()[:8]
    assert config.protocol_id == hashlib.sha256(protocol.encode()).hexdigest()[:8]


def test_a_new_setting_leaves_every_id_as_it_was() -> None:
    """A setting with a default, in any section, changes an id only where it has another value."""

    class LaterTraining(TrainingConfig):
        warmup: int = 0

    class LaterNorm(BatchNormConfig):
        scale: bool = True

    class LaterModel(ModelConfig):
        batch_norm: LaterNorm = LaterNorm()

    class LaterConfig(Config):
        model: LaterModel = LaterModel()
        training: LaterTraining = LaterTraining()

    for path in SHIPPED:
        config = load_config(path)
        later = LaterConfig.model_validate(config.resolved())
        assert later.experiment_id == config.experiment_id
        assert later.protocol_id == config.protocol_id
    used = LaterConfig.model_validate({"name": "tiny", "training": {"warmup": 1}})
    assert used.experiment_id != _tiny().experiment_id
    assert used.protocol_id != _tiny().protocol_id


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "description=words",
        "seeds=[5]",
        "swept=[training.epochs]",
        "model.activation=[elu, elu]",
        "model.batch_norm={placement: none}",
        "training.learning_rate=1e-2",
        "training.momentum=0",
        "training.momentum=-0.0",
        "plan.first=6",
        "plan.margin=0.5",
        "model.hidden_units=[0x12c, 0100]",
    ],
)
def test_ids_depend_on_values_alone(override: str) -> None:
    """Neither name, seeds, plan and the like nor the spelling of a value changes an id."""
    assert _tiny(override).experiment_id == _tiny().experiment_id


@pytest.mark.parametrize(
    ("override", "same_protocol"),
    [
        ("model.batch_norm.placement=before_activation", True),
        ("model.use_bias=true", True),
        ("training.epochs=11", False),
        ("data.validation_size=4999", False),
        ("data.standardize=true", False),
        ("data.dataset=own.npz", False),
    ],
)
def test_ids_of_other_values(override: str, same_protocol: bool) -> None:
    """Another model is another experiment; other data or training are another protocol too."""
    assert _tiny(override).experiment_id != _tiny().experiment_id
    assert (_tiny(override).protocol_id == _tiny().protocol_id) is same_protocol


SPLITS = {  # with the protocol ids that they had before there was auto
    ("data.dataset=own.npz", "data.validation_size=5000"): "1787f990",
    ("data.dataset=own.npz", "data.validation_size=500"): "602c47b6",
    ("data.dataset=fashion_mnist_sample", "data.validation_size=500"): "79ba9aad",
    ("data.validation_size=5000",): "44136fa3",
}


@pytest.mark.parametrize("overrides", SPLITS, ids="+".join)
def test_ids_of_sizes_stated_before_there_was_auto(overrides: tuple[str, ...]) -> None:
    """A number of validation rows keeps its id, so what was recorded under it stays its own."""
    assert _tiny(*overrides).protocol_id == SPLITS[overrides]


def test_auto_is_the_number_where_the_rows_are_known() -> None:
    """On Fashion-MNIST and the sample auto and its number are one experiment."""
    for dataset, size in (("fashion_mnist", 5000), ("fashion_mnist_sample", 200)):
        auto, stated = (
            _tiny(f"data.dataset={dataset}", f"data.validation_size={value}")
            for value in ("auto", size)
        )
        assert auto == stated
        assert auto.data.validation_size == size


def test_auto_on_own_data_is_a_setting_of_its_own() -> None:
    """What it comes to depends on the file, so its id is that of no number of rows."""
    auto, stated = (
        _tiny("data.dataset=own.npz", *more) for more in ((), ("data.validation_size=5000",))
    )
    assert auto.data.validation_size == "auto"
    assert auto.protocol_id != stated.protocol_id
    rows = (1, 9, 10, 412, 49_999, 50_000, 60_000)
    assert [auto.data.validation_rows(n) for n in rows] == [1, 1, 1, 41, 4999, 5000, 5000]


def test_a_config_object_takes_other_data() -> None:
    """Its size was nobody's choice, so that of the other data is automatic too."""
    moved = parse_config(dump_yaml(_tiny()), "dump.yaml", ["data.dataset=own.npz"])
    assert moved == _tiny("data.dataset=own.npz")


def test_a_dump_without_defaults() -> None:
    """It says what differs, and loads to the same config."""
    assert dump_yaml(_tiny(), defaults=False) == "name: tiny\n"
    config = _tiny("data.dataset=own.csv", "data.label=a b", "training.epochs=3")
    text = "name: tiny\ndata:\n  dataset: own.csv\n  label: a b\ntraining:\n  epochs: 3\n"
    assert dump_yaml(config, defaults=False) == text
    assert parse_config(text, "dump.yaml") == config


def test_a_csv_names_its_label_and_nothing_else_does() -> None:
    """Settings that mean nothing for the data are refused, as is a .csv without a label."""
    assert _fault("name: tiny\ndata:\n  dataset: own.csv.gz\n") == (
        "tiny.yaml:2: data.label: expected the column of the .csv that holds the class, got nothing"
    )
    assert _fault("name: tiny\n", "data.label=a", "data.test_size=0.5") == (
        "setting data.label=a: data.label: expected no value, as the data set is no .csv, "
        "got 'a' (text)\n"
        "setting data.test_size=0.5: data.test_size: expected no value, as the data set is no "
        ".csv, got 0.5 (number)"
    )


def test_an_updated_copy_has_its_own_id() -> None:
    """The id belongs to the values that a config has, not to the config it was copied from."""
    config = _tiny()
    shorter = config.training.model_copy(update={"epochs": 1})
    copy = config.model_copy(update={"training": shorter})
    assert copy.experiment_id == _tiny("training.epochs=1").experiment_id != config.experiment_id


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1.0e3", 1e3), (".5", 0.5), ("1.", 1.0), ("+1", 1.0), ("1e30", 1e30)],
)
def test_numbers_as_yaml_1_2_has_them(text: str, value: float) -> None:
    """A number may be written in each of the ways of YAML 1.2, and is a float where one is due."""
    learning_rate = _tiny(f"training.learning_rate={text}").training.learning_rate
    assert learning_rate == value
    assert isinstance(learning_rate, float)


def test_text_as_yaml_1_2_has_it() -> None:
    """Words and dates that older YAML turns into something else stay text."""
    for word in ("no", "off", "1:30", "2026-11-23", "1_000"):
        assert _tiny(f"description={word}").description == word


def test_overrides() -> None:
    """Overrides replace what the file says, in order, and make sections that it lacks."""
    text = "name: tiny\ntraining:\n  epochs: 3\n  batch_size: 64\n"
    settings = ["training.epochs=4", "training.epochs=5", "model.batch_norm={input: true}"]
    config = parse_config(text, "tiny.yaml", settings)
    assert config.training.epochs == 5
    assert config.training.batch_size == 64
    assert config.model.batch_norm.input is True


def test_an_override_mends_a_fault() -> None:
    """A value that an override replaces is not checked."""
    config = parse_config("name: tiny\nseeds: x\n", "tiny.yaml", ["seeds=2"])
    assert config.seeds == 2


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (
            "training.epochs.x=30",
            "training.epochs.x: cannot be set, as training.epochs is 3 (number)",
        ),
        (
            "data.dataset.path=a.npz",
            "data.dataset.path: cannot be set, as data.dataset is 'own.npz' (text)",
        ),
        ("seeds.0=3", "seeds.0: cannot be set, as seeds is a list of 2"),
        ("plan.first=5", "plan.first: cannot be set, as plan is nothing"),
        (
            "training.batch_size.x=30",
            "training.batch_size: expected a positive integer up to 1048576, got a mapping",
        ),
    ],
)
def test_a_key_below_a_value_is_a_fault(override: str, fault: str) -> None:
    """What is no section has no keys: the override is not passed over, as text or from Python."""
    text = (
        "name: tiny\ndata: {dataset: own.npz}\ntraining: {epochs: 3}\nseeds: [0, 1]\nplan: null\n"
    )
    text = text if override.startswith("plan") else text.replace("plan: null\n", "")
    assert f"setting {override}: {fault}" in _fault(text, override).splitlines()
    key, value = override.split("=")
    with pytest.raises(InputError) as caught:
        parse_config(text, "tiny.yaml", {key: value})
    assert f"setting {override}: {fault}" in str(caught.value).splitlines()


def test_values_of_python_are_taken_as_they_are() -> None:
    """No text comes between: a word that YAML reads as something else stays a word."""
    words = {"description": "no, 1e-3", "training.learning_rate": 1e-3, "data.standardize": True}
    config = parse_config("name: tiny", "tiny.yaml", words | {"model.hidden_units": [4, 3]})
    assert (config.description, config.training.learning_rate) == ("no, 1e-3", 1e-3)
    assert (config.data.standardize, config.model.hidden_units) == (True, (4, 3))
    with pytest.raises(InputError) as caught:
        parse_config(
            "name: tiny", "tiny.yaml", {"training.epochs": "3", "model": {"activation": 3}}
        )
    assert str(caught.value).splitlines() == [
        "setting training.epochs=3: training.epochs: expected a positive integer up to 100000, "
        "got '3' (text)",
        "setting model={'activation': 3}: model.activation: expected one of relu, elu, selu, gelu, "
        "silu, leaky_relu, tanh, sigmoid, softplus, softsign, mish, hard_sigmoid, linear or a list "
        "of such names, got 3 (number)",
    ]


@pytest.mark.parametrize("tag", ["!", "!x", "!!int", "!<bool>", "!<int>"])
def test_tags_are_refused(tag: str) -> None:
    """Also those of YAML's own, and those that name what a value would be here."""
    assert re.fullmatch(
        "setting seeds=.*: tag .*: tags are not allowed", _fault("name: a", f"seeds={tag} 3")
    )


def test_anchors_and_aliases() -> None:
    """A value may be named and repeated; a fault of one that is repeated names the alias's line."""
    text = "name: &it tiny\ndescription: *it\nmodel: {hidden_units: &units [4, 4]}\nseeds: "
    config = parse_config(f"{text}*units\n".replace("[4, 4]", "[4, 3]"), "tiny.yaml")
    assert (config.description, config.model.hidden_units, config.seeds) == ("tiny", (4, 3), (4, 3))
    fault = "tiny.yaml:4: seeds: expected every seed only once, got a list of 2"
    assert _fault(f"{text}\n  *units\n".replace("seeds: \n ", "seeds:")) == fault


def test_faults_of_overrides() -> None:
    """Faults of overrides name the override and follow those of the file."""
    overrides = (
        "training.epochs=three",
        "model.hidden_unit=3",
        "seeds",
        "training=3",
        "data.dataset=[",
    )
    assert _fault("seeds: 0\nname: tiny\n", *overrides) == (
        "tiny.yaml:1: seeds: expected a positive integer up to 10000 or a list of 1 to 10000 "
        "entries, each an integer from 0 to 2147483647, got 0 (number)\n"
        "setting model.hidden_unit=3: model.hidden_unit: unknown key (did you mean hidden_units?); "
        "allowed here: hidden_units, activation, kernel_initializer, use_bias, batch_norm\n"
        "setting seeds: expected KEY=VALUE, such as training.epochs=3\n"
        "setting training=3: training: expected a mapping, got 3 (number)\n"
        "setting data.dataset=[: cannot read as YAML: while parsing a flow node, "
        "expected the node content, but found '<stream end>'"
    )


def test_all_faults_at_once() -> None:
    """Every fault of a file is reported, in the order of its lines, with the way to mend it."""
    text = (
        "name: ../tiny\n"
        "epochs: 3\n"
        "model:\n"
        "  hidden_units: [300, '300']\n"
        "  activation: elv\n"
        "  use_bias: no\n"
        "  batch_norm:\n"
        "    placement:\n"
        "training:\n"
        "  optimizer: adam\n"
        "  optimizer: sgd\n"
        "  momentum: 0.9\n"
        "  learningrate: 0.1\n"
    )
    assert _fault(text) == (
        "tiny.yaml:1: name: expected 1 to 64 letters, digits, '.', '_' or '-', "
        "the first a letter or digit, got '../tiny' (text)\n"
        "tiny.yaml:2: epochs: unknown key (did you mean training.epochs?); "
        "allowed here: name, description, data, model, training, seeds, plan, swept\n"
        "tiny.yaml:4: model.hidden_units[1]: expected a positive integer up to 65536, "
        "got '300' (text)\n"
        "tiny.yaml:5: model.activation: expected one of relu, elu, selu, gelu, silu, leaky_relu, "
        "tanh, sigmoid, softplus, softsign, mish, hard_sigmoid, linear or a list of such names, "
        "got 'elv' (text); did you mean elu?\n"
        "tiny.yaml:6: model.use_bias: expected auto, true or false, got 'no' (text)\n"
        "tiny.yaml:8: model.batch_norm.placement: expected one of none, after_activation, "
        "before_activation, got nothing\n"
        "tiny.yaml:11: duplicate key optimizer, first given in line 10\n"
        "tiny.yaml:12: training.momentum: expected 0 with the optimizer adam "
        "(momentum is for sgd and rmsprop), got 0.9 (number)\n"
        "tiny.yaml:13: training.learningrate: unknown key (did you mean learning_rate?); "
        "allowed here: optimizer, learning_rate, momentum, epochs, batch_size"
    )


def test_a_missing_name() -> None:
    """The one key that a config needs is named where it is missing."""
    assert _fault("# no name\nseeds: 3\n") == (
        "tiny.yaml:2: name: missing: a config states at least its name"
    )


def test_a_batch_of_one_row() -> None:
    """A batch of one row has no variance, so BN refuses it; without BN it is allowed."""
    text = "name: tiny\ntraining: {batch_size: 1}\n"
    assert parse_config(text, "tiny.yaml").training.batch_size == 1
    assert _fault(text, "model.batch_norm.input=true") == (
        "tiny.yaml:2: training.batch_size: expected at least 2 rows where Batch Normalization "
        "is used, got 1 (number)"
    )


def test_the_path_in_messages_is_harmless(tmp_path: Path) -> None:
    """A file whose name holds codes for the terminal is named with the codes made visible."""
    path = tmp_path / "\x1b[31m\u202e.yaml"
    path.write_text("seeds: 3\n")
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert str(caught.value).startswith(rf"{tmp_path}/\x1b[31m\u202e.yaml:1: name: missing")


def test_windows_text(tmp_path: Path) -> None:
    """A byte order mark and Windows line ends are read over."""
    path = tmp_path / "tiny.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: tiny\r\nseeds: 3\r\n")
    assert load_config(path).seeds == 3


@pytest.mark.parametrize(
    "description",
    [
        "a: b # c",
        " padded ",
        "null",
        "1e-3",
        "true",
        "- x",
        "'",
        '"\\',
        "\x1b\u202e\n\t",
        "Größe 😀",
    ],
)
def test_descriptions_come_back(description: str) -> None:
    """Text that YAML would read as something else is quoted, and codes are escaped."""
    config = Config(name="tiny", description=description)
    text = dump_yaml(config)
    assert parse_config(text, "dump.yaml") == config
    assert re.search("[\x1b\u202e\t]", text) is None


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_config(path: Path) -> None:
    """Every shipped config loads, says in a sentence what it is, and comes back from its dump."""
    config = load_config(path)
    assert re.fullmatch(r"[^.]+\.", config.description)
    assert parse_config(dump_yaml(config), "dump.yaml") == config


def test_shipped_names() -> None:
    """Shipped names are unique and carry their folder's, but for the controls and the study."""
    names = {path.relative_to(CONFIGS): load_config(path).name for path in SHIPPED}
    assert len(names) == 16 + 14
    assert len(set(names.values())) == len(names)
    for path, name in names.items():
        bare = path.parent.name in ("", "controls", "study")
        folder = "" if bare else f"{path.parent.name}_"
        assert name == folder + path.stem


def test_shipped_experiments() -> None:
    """Configs that share an id are one network: the notebook's pre_act is the clean set's."""
    by_id: dict[str, list[str]] = {}
    for path in SHIPPED:
        if path.parent.name == "study":  # which is swept, from networks that others have too
            continue
        config = load_config(path)
        by_id.setdefault(config.experiment_id, []).append(config.name)
    shared = [names for names in by_id.values() if len(names) > 1]
    assert shared == [["notebook_pre_act", "pre_act"]]


@pytest.mark.parametrize("folder", ["", "deep", "tanh"])
def test_the_three_networks(folder: str) -> None:
    """Each set of three differs in the placement and the input BN and in nothing else."""
    configs = [
        load_config(CONFIGS / folder / f"{n}.yaml") for n in ("no_bn", "post_act", "pre_act")
    ]
    norms = [(c.model.batch_norm.placement, c.model.batch_norm.input) for c in configs]
    assert norms == [("none", False), ("after_activation", True), ("before_activation", True)]
    assert len({c.model.model_copy(update={"batch_norm": None}) for c in configs}) == 1
    assert len({c.protocol_id for c in configs}) == 1


def _fits(value: Any, schema: dict[str, Any], top: dict[str, Any]) -> bool:
    """Check plain data against the part of JSON Schema that the config's schema uses."""
    if "$ref" in schema:
        return _fits(value, top["$defs"][schema["$ref"].removeprefix("#/$defs/")], top)
    if "anyOf" in schema:
        return any(_fits(value, option, top) for option in schema["anyOf"])
    if schema.get("type") == "object":
        known = schema["properties"]
        return (
            isinstance(value, dict)
            and set(schema.get("required", ())) <= set(value) <= set(known)
            and all(_fits(item, known[key], top) for key, item in value.items())
        )
    if schema.get("type") == "array":
        size = schema.get("minItems", 0) <= len(value) if isinstance(value, list) else False
        return size and all(_fits(item, schema["items"], top) for item in value)
    kinds: dict[str, Any] = {
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    right = isinstance(value, kinds[schema["type"]])
    numeric = right and schema["type"] in ("integer", "number")
    return (
        right
        and value in schema.get("enum", [value])
        and value == schema.get("const", value)
        and (not numeric or schema.get("minimum", value) <= value <= schema.get("maximum", value))
    )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_schema_accepts_shipped_configs(path: Path) -> None:
    """What the files say, and what they resolve to, is what the JSON Schema allows."""
    schema = json_schema()
    config = load_config(path)
    assert _fits(config.resolved(), schema, schema)
    assert _fits(config.model_dump(mode="json", exclude_unset=True), schema, schema)


def test_the_shipped_schema_is_the_codes() -> None:
    """`configs/schema.json` is what the code gives; `bnbench schema` makes it anew."""
    assert json.loads((CONFIGS / "schema.json").read_text()) == json_schema()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_editors_find_the_schema(path: Path) -> None:
    """The first line of each shipped config leads from its folder to the shipped schema."""
    head = "# yaml-language-server: $schema="
    first = path.read_text().splitlines()[0]
    assert first.startswith(head)
    assert (path.parent / first.removeprefix(head)).resolve() == CONFIGS / "schema.json"


def test_schema() -> None:
    """The schema says what it is, describes every key, and refuses unknown keys and bad values."""
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "bnbench config"
    assert schema["required"] == ["name"]
    for section in (schema, *schema["$defs"].values()):
        assert section["additionalProperties"] is False
        assert section["description"]
        for field in section["properties"].values():
            assert re.fullmatch(r"[A-Z].{10,}", field["description"])
            assert ": " in field["description"] or "$ref" in field  # what it does: its range
    epochs = schema["$defs"]["TrainingConfig"]["properties"]["epochs"]
    assert epochs["description"] == (
        "Passes over the training rows: a positive integer up to 100000"
    )
    assert not _fits({"name": "tiny", "epochs": 3}, schema, schema)
    assert not _fits({"name": "tiny", "training": {"epochs": 0}}, schema, schema)


def test_imports_are_light() -> None:
    """Loading a config imports neither TensorFlow nor anything else that takes long."""
    code = (
        "import sys, bnbench.experiments.config as c; c.parse_config('name: tiny', 'tiny.yaml');"
        "print({'tensorflow', 'keras', 'numpy', 'scipy', 'rich', 'typer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
