"""Whatever is in the place of a record, and whatever network a config asks for."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bnbench.evidence.records import DamagedRecord, read_record
from bnbench.evidence.store import RecordStore
from bnbench.experiments import architecture
from bnbench.experiments.config import Config
from bnbench.show import formats
from tests.conftest import compare, record, records
from tests.strategies import configs

RELAXED = settings(
    deadline=None,
    max_examples=300,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
OTHERS = records(no_bn=[0.8, 0.9], pre_act=[0.85, 0.91])
WHOLE = json.loads(record(seed=1).to_json())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def paths_of(tree: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value in a tree of dictionaries and lists."""
    children = dict(enumerate(tree)) if isinstance(tree, list) else tree
    found = []
    for key, value in children.items() if isinstance(children, dict) else ():
        found += [(*prefix, key), *paths_of(value, (*prefix, key))]
    return found


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a record in which up to three values are others, or missing."""
    content = json.loads(json.dumps(WHOLE))
    for path in draw(st.lists(st.sampled_from(paths_of(WHOLE)), max_size=3, unique=True)):
        *way, last = path
        place = content
        try:
            for key in way:
                place = place[key]
            if draw(st.booleans()) and isinstance(place, dict):
                del place[last]
            else:
                place[last] = draw(VALUES)
        except (KeyError, IndexError, TypeError):
            continue
    return json.dumps(content).encode("utf-8", "surrogatepass")


@RELAXED
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | mutated())
def test_any_text_in_place_of_a_record(content: bytes, tmp_path: Path) -> None:
    """It is read or refused with its path; what is read can be compared in every format."""
    path = RecordStore(tmp_path).path(OTHERS[0].config, 1)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    found, warnings = RecordStore(tmp_path).read_all()
    assert len(found) + len(warnings) == 1
    for warning in warnings:
        assert warning.startswith(f"{path}: skipped: ")
        assert len(warning) < 1000
    compared = compare([*OTHERS, *found], all_pairs=True)
    json.loads(formats.to_json(compared), parse_constant=pytest.fail)
    for write in (formats.to_csv, formats.to_markdown, formats.to_latex):
        assert write(compared)


@pytest.mark.parametrize("cut", range(0, len(json.dumps(WHOLE)), 97))
def test_a_record_cut_short_anywhere(cut: int, tmp_path: Path) -> None:
    """No beginning of a record passes for a record."""
    path = tmp_path / "seed-0001.json"
    path.write_text(json.dumps(WHOLE)[:cut])
    with pytest.raises(DamagedRecord, match="skipped: not a run record"):
        read_record(path)


@pytest.mark.slow
@settings(RELAXED, max_examples=25)
@given(config=configs(most_layers=3, most_units=12))
def test_any_valid_config_builds_and_counts_as_keras_does(config: Config, keras: Any) -> None:
    """The parameters counted from the layer list are those of the built model, by role."""
    from bnbench.training import model

    layers = architecture.build(config.model, (3, 4), 5)
    built = model.build(layers, 12)
    counted = architecture.count_parameters(layers)
    assert counted["total"] == built.count_params()
    trained = sum(weights.numpy().size for weights in built.trainable_variables)
    assert counted["trainable"] == trained
    for role in architecture.ROLES:
        sizes = [v.numpy().size for v in built.variables if v.path.rpartition("/")[2] == role]
        assert counted[role] == sum(sizes), role
