"""Sweeps: overrides with several values, and the names of what they make."""

from pathlib import Path

import pytest

from bnbench.errors import InputError
from bnbench.experiments.config import dump_yaml, parse_config
from bnbench.experiments.sweep import (
    label,
    load_experiments,
    short_key,
    swept_values,
    typed_name,
    without_placement,
)
from tests.conftest import CONFIGS

PRE_ACT = CONFIGS / "pre_act.yaml"


def labels(*overrides: str, path: Path = PRE_ACT) -> list[str]:
    return [typed_name(config) for config in load_experiments(path, overrides)]


def test_every_value_is_an_experiment_of_its_own() -> None:
    """Named after the file, with its value, the protocol that comes of it, and what was swept."""
    found = load_experiments(PRE_ACT, ["training.learning_rate=0.001,1e-2, 0.1"])
    assert {config.name for config in found} == {"pre_act"}
    assert {config.swept for config in found} == {("training.learning_rate",)}
    assert [typed_name(config) for config in found] == [
        "pre_act+learning_rate=0.001",
        "pre_act+learning_rate=0.01",
        "pre_act+learning_rate=0.1",
    ]
    assert [config.training.learning_rate for config in found] == [0.001, 0.01, 0.1]
    assert len({config.protocol_id for config in found}) == 3
    assert swept_values(found[1]) == {"training.learning_rate": 0.01}


def test_several_keys_make_every_combination() -> None:
    """In the order in which they are given; a value that is not swept stays out of the name."""
    assert labels(
        "training.batch_size=32,64", "model.batch_norm.input=true,false", "training.epochs=3"
    ) == [
        "pre_act+batch_size=32+input=true",
        "pre_act+batch_size=32+input=false",
        "pre_act+batch_size=64+input=true",
        "pre_act+batch_size=64+input=false",
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.hidden_units=[300,100],[50]", ["+hidden_units=300-100", "+hidden_units=50"]),
        ("model.activation=elu,relu", ["+activation=elu", "+activation=relu"]),
        ("model.activation=[elu,relu]", [""]),
        ("model.batch_norm.momentum=0.5,.9", [f"+batch_norm.momentum={m}" for m in (0.5, 0.9)]),
        ("training.momentum=0.0,0.9", ["+training.momentum=0.0", "+training.momentum=0.9"]),
        ("training.learning_rate=1e-3,0.001", ["+learning_rate=0.001"]),
        ("training.learning_rate=1e-5,1e20", ["+learning_rate=1e-05", "+learning_rate=1e+20"]),
        ("data.dataset='a,b.npz'", [""]),
        ("data.dataset=a b.npz,/c/d.npz", ["+dataset=a b.npz", "+dataset=/c/d.npz"]),
        ("description=first, second", [""]),
        ("seeds=[0,1]", [""]),
        ("name=other", None),
    ],
)  # fmt: skip
def test_what_counts_as_several_values(override: str, expected: list[str] | None) -> None:
    """Commas outside brackets and quotes, in settings of data, model and training."""
    expected = ["other"] if expected is None else [f"pre_act{suffix}" for suffix in expected]
    assert labels(override) == expected


def test_a_swept_config_survives_its_file(tmp_path: Path) -> None:
    """What `show` prints of it loads again as the same experiment."""
    swept = load_experiments(PRE_ACT, ["training.epochs=1,2"])[1]
    assert parse_config(dump_yaml(swept), "shown.yaml") == swept


def test_no_value_is_lost_whatever_it_looks_like() -> None:
    """Two data sets whose paths differ in one sign are two experiments; equal ones are one."""
    found = load_experiments(PRE_ACT, ["data.dataset=x/y.npz,x_y.npz,x/y.npz"])
    assert [config.data.dataset for config in found] == ["x/y.npz", "x_y.npz"]


def test_a_value_of_a_sweep_is_the_run_that_it_is_alone() -> None:
    """Name and id say nothing of the sweep, so what was trained before is not trained again."""
    (alone,) = load_experiments(PRE_ACT)
    of_sweep = load_experiments(PRE_ACT, ["training.learning_rate=0.01,0.1"])[0]
    assert (of_sweep.name, of_sweep.experiment_id) == (alone.name, alone.experiment_id)
    assert (alone.swept, swept_values(alone), typed_name(alone)) == ((), {}, "pre_act")


def test_lists_without_brackets_are_guessed() -> None:
    """Units that were meant as one network are no sweep of two, and the error has brackets."""
    with pytest.raises(
        InputError, match=r"units=64: .*mean \[64\]\?\n.*units=32: .*mean \[32\]\?$"
    ):
        load_experiments(PRE_ACT, ["model.hidden_units=64,32"])
    with pytest.raises(InputError, match=r"got 64 \(number\); did you mean \[64\]\?$"):
        load_experiments(PRE_ACT, ["model.hidden_units=64"])


@pytest.mark.parametrize(
    "swept", ["[training.rate]", "[seeds]", "[name]", "training.epochs", "[1]"]
)
def test_what_was_swept_is_a_list_of_settings(swept: str) -> None:
    """A config that says something else is refused."""
    with pytest.raises(InputError, match="swept"):
        load_experiments(PRE_ACT, [f"swept={swept}"])


def test_faults_are_reported_once_for_all_combinations() -> None:
    """Each wrong value has a line of its own; what is wrong in all of them is reported once."""
    with pytest.raises(InputError) as caught:
        load_experiments(PRE_ACT, ["training.epochs=1,0,two", "training.learning_rate=-1"])
    assert str(caught.value).splitlines() == [
        "setting training.learning_rate=-1: training.learning_rate: expected a positive number up "
        "to 1e+38, got -1 (number)",
        "setting training.epochs=0: training.epochs: expected a positive integer up to 100000, "
        "got 0 (number)",
        "setting training.epochs=two: training.epochs: expected a positive integer up to 100000, "
        "got 'two' (text)",
    ]


def test_a_sweep_has_its_limit() -> None:
    """A slip of the finger does not plan a million experiments."""
    many = ",".join(map(str, range(1, 1002)))
    with pytest.raises(InputError, match=r"settings: 1,001 experiments; expected at most 1,000"):
        load_experiments(PRE_ACT, [f"training.epochs={many}"])


def test_short_keys_are_unambiguous() -> None:
    """The last word where no other setting ends in it, else as many words as make it unique."""
    assert short_key("training.learning_rate") == "learning_rate"
    assert short_key("model.batch_norm.momentum") == "batch_norm.momentum"
    assert short_key("training.momentum") == "training.momentum"


def test_labels_are_made_to_be_read() -> None:
    """They have what was swept of the network, words without keys; a rate has its own column."""
    overrides = [
        "model.batch_norm.placement=none,after_activation",
        "model.batch_norm.input=false,true",
        "training.learning_rate=0.01,0.1",
    ]
    found = {label(each) for each in load_experiments(PRE_ACT, overrides)}
    assert found == {
        f"pre_act · {placement} · input={value}"
        for placement in ("none", "after_activation")
        for value in ("false", "true")
    }


def test_networks_that_differ_in_the_placement_alone_share_the_rest_of_their_label() -> None:
    """Where the placement was not swept the label has none to leave out."""
    placements = "model.batch_norm.placement=none,after_activation"
    found = load_experiments(PRE_ACT, ["model.activation=elu,relu", placements])
    shared = [without_placement(label(config), config) for config in found]
    assert shared == ["pre_act · elu"] * 2 + ["pre_act · relu"] * 2
    (alone,) = load_experiments(PRE_ACT)
    assert without_placement(label(alone), alone) == "pre_act"
