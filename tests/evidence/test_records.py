"""Records: what one holds, that it survives the way to disk, and what is refused."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnbench.evidence.records import DamagedRecord, RunRecord, pack_bits, parse_record
from bnbench.evidence.store import RecordStore
from bnbench.experiments.architecture import ROLES
from bnbench.training import TRAINING_VERSION
from tests.conftest import record


def test_a_record_is_one_strict_json_file_at_its_place(runs) -> None:
    """The file is `<name>-<experiment id>/seed-<NNNN>.json` and holds the contract's keys."""
    made = record("pre_act", seed=3, accuracy=0.8788)
    folder = runs(made)
    (path,) = folder.rglob("*.json")
    assert path == folder / f"pre_act-{made.experiment_id}" / "seed-0003.json"
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert list(content) == [
        *("schema_version", "seed", "training_version", "config", "parameters", "history"),
        *("compile_seconds", "test_loss", "test_correct", "weights_sha256", "started_at"),
        *("duration_seconds", "data", "environment"),
    ]
    assert list(content["data"]) == [
        *("sha256", "rows", "classes", "test_rows_by_class", "test_correct_by_class"),
        *("feature_scales", "feature_reach", "class_names"),
    ]
    assert list(content["environment"]) == [
        *("bnbench", "tensorflow", "keras", "python", "platform", "processor", "instruction_set"),
        *("cores", "engine", "device", "jobs", "numpy", "variables"),
    ]
    assert content["schema_version"] == 3
    assert content["training_version"] == TRAINING_VERSION
    assert content["config"]["model"]["batch_norm"]["placement"] == "before_activation"
    assert list(content["parameters"]) == list(ROLES)


def test_what_the_fields_imply_is_worked_out() -> None:
    """Name and ids are the config's, totals are sums, and the accuracy comes from the bits."""
    made = record("pre_act", seed=3, accuracy=0.8788)
    assert made.key == (made.config.name, made.config.experiment_id, 3)
    assert made.protocol_id == made.config.protocol_id
    assert (made.completed, made.status, made.test_accuracy) == (True, "completed", 0.8788)
    assert list(made.parameters.counts().items())[:3] == [
        *(("total", 270_946), ("trainable", 268_578), ("non_trainable", 2_368)),
    ]
    diverged = record(accuracy=None)
    assert (diverged.status, diverged.test_accuracy) == ("diverged", None)


def test_reading_gives_back_what_was_written(runs) -> None:
    """A record survives the way to disk, and into a line, and back unchanged."""
    made = record("pre_act", seed=3, accuracy=0.8788)
    store = RecordStore(runs(made))
    assert store.find(made.config, 3) == made
    assert store.find(made.config, 4) is None
    assert store.read_all() == ([made], [])
    assert parse_record(made.to_json(line=True).encode(), "line") == made
    assert "\n" not in made.to_json(line=True)


def test_a_swept_record_has_its_values() -> None:
    """What was swept is in the config; the name stays the config's."""
    made = record("pre_act", overrides=["training.epochs=3", "swept=[training.epochs]"])
    assert (made.experiment, made.swept) == ("pre_act", {"training.epochs": 3})
    assert json.loads(made.to_json())["config"]["swept"] == ["training.epochs"]


def as_version_2(made: RunRecord) -> dict[str, Any]:
    """Return a record's JSON as bnbench wrote it before, with what its other fields imply."""
    content = json.loads(made.to_json())
    content["parameters"] = made.parameters.counts()
    for name in ("numpy", "variables"):
        del content["environment"][name]
    implied = ("experiment", "experiment_id", "protocol_id", "swept", "status", "test_accuracy")
    return content | {"schema_version": 2} | {name: getattr(made, name) for name in implied}


@pytest.mark.parametrize("accuracy", [0.8788, None])
def test_records_of_version_2_are_read(accuracy: float | None) -> None:
    """They become records of version 3 that say nothing of NumPy and variables."""
    sweep = ["training.epochs=3", "swept=[training.epochs]"]
    made = record("pre_act", accuracy=accuracy, overrides=sweep, numpy="unknown")
    assert parse_record(json.dumps(as_version_2(made)).encode(), "here") == made


def test_environments_are_told_apart_by_all_their_values() -> None:
    """Equal ones are one key of a dictionary; another variable or NumPy makes another."""
    first, equal = record().environment, record(seed=1).environment
    others = [record(variables={"A": "1"}).environment, record(numpy="1").environment]
    assert len({first, equal, *others}) == 3


def test_correct_test_rows_are_one_bit_each() -> None:
    """They come back in the data set's order, however many there are."""
    rows = np.random.default_rng(0).random(10_000) < 0.7
    made = record(accuracy=rows.mean(), test_correct=pack_bits(rows))
    assert np.array_equal(made.correct(), rows)
    assert len(made.test_correct or "") == 1668
    assert pack_bits(np.array([True, False, True])) == "oA=="  # 101 and five zeros
    assert record(accuracy=None).correct() is None


def test_a_diverged_record_has_no_test_values(runs) -> None:
    """Its test values are null and its history may be empty."""
    made = record(accuracy=None)
    store = RecordStore(runs(made))
    (path,) = store.folder.rglob("*.json")
    content = json.loads(path.read_text())
    assert content["history"]["loss"] == []
    results = (content["test_loss"], content["test_correct"])
    assert (*results, content["data"]["test_correct_by_class"]) == (None, None, None)
    assert store.read_all() == ([made], [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not a run record: it is empty"),
        ("{", "not a run record: it is not whole JSON"),
        ("[]", "not a run record: it has no schema_version"),
        ("{}", "not a run record: it has no schema_version"),
        ('{"schema_version": 3}', "not a run record: seed: field required"),
        (
            '{"schema_version": 1}',
            "schema_version 1; this bnbench reads 2 and 3: make the run again",
        ),
        ('{"schema_version": 4}', "schema_version 4; this bnbench reads 2 and 3"),
    ],
)
def test_what_is_no_record_is_named_and_skipped(runs, content: str, reason: str) -> None:
    """A damaged file costs one warning with its path and the reason, and hides no other record."""
    folder = runs(record())
    (place,) = folder.iterdir()
    damaged = place / "seed-0001.json"
    damaged.write_text(content)
    found, warnings = RecordStore(folder).read_all()
    assert found == [record()]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{damaged}: skipped: {reason}")


def test_a_record_whose_config_was_edited_does_not_count(runs) -> None:
    """Its place is then that of another experiment; a stated id gives it away anywhere."""
    folder = runs(record())
    (path,) = folder.rglob("*.json")
    path.write_text(path.read_text().replace('"learning_rate": 0.01', '"learning_rate": 0.02'))
    found, (warning,) = RecordStore(folder).read_all()
    assert (found, "which counts only as" in warning) == ([], True)
    stated = json.dumps(as_version_2(record())).replace(
        '"learning_rate": 0.01', '"learning_rate": 1'
    )
    with pytest.raises(DamagedRecord, match="its experiment_id contradicts its other fields"):
        parse_record(stated.encode(), "here")


Change = Callable[[dict[str, Any]], object]


def _put(*way: Any) -> Change:
    """Return a change that sets the value at the end of a way through the record."""
    *path, last, value = way

    def change(content: dict[str, Any]) -> None:
        place: Any = content
        for key in path:
            place = place[key]
        place[last] = value

    return change


def _cut(content: dict[str, Any]) -> None:
    content["history"] = {key: values[:9] for key, values in content["history"].items()}


def _repeat(content: dict[str, Any]) -> None:
    content["history"] = {key: values + values[:1] for key, values in content["history"].items()}


def _diverge(content: dict[str, Any]) -> None:
    content["data"]["test_correct_by_class"] = content["test_loss"] = content["test_correct"] = None


def _diverge_late(content: dict[str, Any]) -> None:
    _repeat(content)
    _diverge(content)


ONE_ROW_MORE = pack_bits(np.arange(10_000) < 8_801)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_put("seed", -1), "not a run record: seed"),
        (_put("training_version", 0), "not a run record: training_version"),
        (_put("history", "loss", [0.5]), "the lists of its history differ in length"),
        (_cut, "its history is of 9 epochs, its config asks for 10"),
        (_repeat, "its history is of 11 epochs, its config asks for 10"),
        (_diverge_late, "its history is of 11 epochs, its config asks for 10"),
        (_put("test_loss", None), "it has some results on the test rows, but not all"),
        (_put("test_correct", None), "it has some results on the test rows, but not all"),
        (_put("test_correct", ONE_ROW_MORE), "the correct test rows of its classes do not fit"),
        (_put("test_correct", "AAAA"), "its test_correct is not one bit for each of 10000 test"),
        (_put("test_correct", "é"), "its test_correct is not one bit for each of 10000 test rows"),
        (_put("data", "rows", [1, 1, 9_999]), "the test rows of its classes are not all its test"),
        (_put("data", "rows", [1, 1, 0]), "not a run record: data.rows.2"),
        (_put("data", "classes", 9), "it does not count the test rows of every class"),
        (_put("data", "test_correct_by_class", 0, 0), "the correct test rows of its classes do no"),
        (_put("data", "test_correct_by_class", [8800]), "the correct test rows of its classes do "),
        (_put("data", "feature_scales", [2, 1]), "its feature scales are not in order"),
        (_put("environment", "cores", "two"), "not a run record: environment.cores"),
    ],
)
def test_every_contradiction_is_named(change: Change, reason: str) -> None:
    """Lengths, counts, shares and classes are compared with each other."""
    assert_refused(json.loads(record().to_json()), change, reason)


def assert_refused(content: dict[str, Any], change: Change, reason: str) -> None:
    change(content)
    with pytest.raises(DamagedRecord) as caught:
        parse_record(json.dumps(content).encode(), "here")
    assert str(caught.value).startswith(f"here: skipped: {reason}")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (_put("experiment", "other"), "experiment"),
        (_put("experiment_id", "00000000"), "experiment_id"),
        (_put("protocol_id", None), "protocol_id"),
        (_put("swept", {"training.epochs": 10}), "swept"),
        (_put("status", "diverged"), "status"),
        (_put("test_accuracy", 0.99), "test_accuracy"),
        (_put("parameters", "total", 1), "total"),
        (_put("parameters", "trainable", "1"), "trainable"),
        (_put("parameters", "non_trainable", None), "non_trainable"),
    ],
)
def test_a_stated_value_must_be_the_implied_one(change: Change, name: str) -> None:
    """Records of version 2 state what their other fields imply; a contradiction is damage."""
    reason = f"its {name} contradicts its other fields"
    assert_refused(as_version_2(record()), change, reason)


def test_a_run_may_diverge_after_its_last_epoch() -> None:
    """The test rows alone may give a loss that is not finite; the history is then whole."""
    content = json.loads(record().to_json())
    _diverge(content)
    assert len(parse_record(json.dumps(content).encode(), "here").history.loss) == 10
