"""Records: what one holds, that it survives the way to disk, and what is refused."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnbench.evidence.reading import DamagedRecord, parse_record, read_record
from bnbench.evidence.records import pack_bits
from bnbench.evidence.store import RecordStore
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
        *("schema_version", "experiment", "experiment_id", "protocol_id", "seed", "swept"),
        *("status", "training_version", "config", "parameters", "history", "compile_seconds"),
        *("test_loss", "test_accuracy", "test_correct", "weights_sha256", "started_at"),
        *("duration_seconds", "data", "environment"),
    ]
    assert list(content["data"]) == [
        *("sha256", "rows", "classes", "test_rows_by_class", "test_correct_by_class"),
        *("feature_scales", "feature_reach", "class_names"),
    ]
    assert list(content["environment"]) == [
        *("bnbench", "tensorflow", "keras", "python", "platform", "processor", "instruction_set"),
        *("cores", "engine", "device", "jobs"),
    ]
    assert content["schema_version"] == 2
    assert content["training_version"] == TRAINING_VERSION
    assert content["config"]["model"]["batch_norm"]["placement"] == "before_activation"
    assert content["parameters"]["total"] == 270_946
    assert content["test_accuracy"] == 0.8788


def test_reading_gives_back_what_was_written(runs) -> None:
    """A record survives the way to disk, and into a line, and back unchanged."""
    made = record("pre_act", seed=3, accuracy=0.8788)
    store = RecordStore(runs(made))
    assert store.find(made.config, 3) == made
    assert store.find(made.config, 4) is None
    assert store.read_all() == ([made], [])
    assert parse_record(made.to_line().encode(), "line") == made
    assert "\n" not in made.to_line()


def test_a_swept_record_tells_its_values() -> None:
    """What was swept is a field of its own; the name is the config's."""
    made = record("pre_act", overrides=["training.epochs=3", "swept=[training.epochs]"])
    content = json.loads(made.to_json())
    assert (content["experiment"], content["swept"]) == ("pre_act", {"training.epochs": 3})
    assert content["config"]["swept"] == ["training.epochs"]


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
    assert content["status"] == "diverged"
    assert content["history"]["loss"] == []
    results = (content["test_loss"], content["test_accuracy"], content["test_correct"])
    assert (*results, content["data"]["test_correct_by_class"]) == (None, None, None, None)
    assert store.read_all() == ([made], [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not a run record: it is not whole JSON"),
        ('{"schema_version": 2', "not a run record: it is not whole JSON"),
        ("[]", "not a run record: top level: "),
        ("{}", "not a run record: experiment: field required"),
        (
            '{"schema_version": 1}',
            "schema_version 1; this bnbench reads 2: make the run again",
        ),
        ('{"schema_version": 3}', "schema_version 3; this bnbench reads 2"),
    ],
)
def test_what_is_no_record_is_named_and_skipped(runs, content: str, reason: str) -> None:
    """A damaged file costs one warning with its path and the reason, and hides no other record."""
    folder = runs(record())
    (folder / "other").mkdir()
    damaged = folder / "other" / "seed-0000.json"
    damaged.write_text(content)
    found, warnings = RecordStore(folder).read_all()
    assert found == [record()]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{damaged}: skipped: {reason}")


def test_a_record_that_contradicts_itself_is_refused(runs) -> None:
    """Ids that do not belong to the config mean that somebody edited the file."""
    folder = runs(record())
    (path,) = folder.rglob("*.json")
    path.write_text(path.read_text().replace('"epochs": 10', '"epochs": 11'))
    with pytest.raises(DamagedRecord, match="ids do not belong to its config"):
        read_record(path)


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
    content["status"] = "diverged"
    content["data"]["test_correct_by_class"] = None
    for name in ("test_loss", "test_accuracy", "test_correct"):
        content[name] = None


def _diverge_late(content: dict[str, Any]) -> None:
    _repeat(content)
    _diverge(content)


ONE_ROW_MORE = pack_bits(np.arange(10_000) < 8_801)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_put("seed", -1), "not a run record: seed"),
        (_put("training_version", 0), "not a run record: training_version"),
        (_put("swept", {"training.epochs": 10}), "its swept values are not those of its config"),
        (_put("history", "loss", [0.5]), "the lists of its history differ in length"),
        (_cut, "it is completed, but has no results of 10 epochs"),
        (_repeat, "it is completed, but has no results of 10 epochs"),
        (_diverge_late, "its history is longer than its 10 epochs"),
        (_put("status", "diverged"), "it diverged, but has results on the test rows"),
        (_put("test_loss", None), "it is completed, but has no results on the test rows"),
        (_put("test_correct", None), "it is completed, but has no results on the test rows"),
        (_put("test_accuracy", 0.99), "its test accuracy is not the share of correct test rows"),
        (_put("test_correct", ONE_ROW_MORE), "its test accuracy is not the share of correct test"),
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
    """Lengths, counts, shares and classes are held against each other."""
    content = json.loads(record().to_json())
    change(content)
    with pytest.raises(DamagedRecord) as caught:
        parse_record(json.dumps(content).encode(), "here")
    assert str(caught.value).startswith(f"here: skipped: {reason}")


def test_a_run_may_diverge_after_its_last_epoch() -> None:
    """The test rows alone may give a loss that is not finite; the history is then whole."""
    content = json.loads(record().to_json())
    _diverge(content)
    assert len(parse_record(json.dumps(content).encode(), "here").history.loss) == 10
