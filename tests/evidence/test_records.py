"""The record store: where a record is, that it is whole, and what is skipped."""

import json
import os

import pytest

from bnbench.errors import EnvironmentFault
from bnbench.evidence.reading import DamagedRecord, read_record
from bnbench.evidence.store import RecordStore
from tests.conftest import record


def test_a_record_is_one_strict_json_file_at_its_place(runs) -> None:
    """The file is `<name>-<experiment id>/seed-<NNNN>.json` and holds the contract's keys."""
    made = record("pre_act", seed=3, accuracy=0.8788)
    folder = runs(made)
    (path,) = folder.rglob("*.json")
    assert path == folder / f"pre_act-{made.experiment_id}" / "seed-0003.json"
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert list(content) == [
        *("schema_version", "experiment", "experiment_id", "protocol_id", "seed", "status"),
        *("config", "parameters", "history", "compile_seconds", "test_loss", "test_accuracy"),
        *("weights_sha256", "started_at", "duration_seconds", "environment"),
    ]
    assert content["schema_version"] == 1
    assert content["config"]["model"]["batch_norm"]["placement"] == "before_activation"
    assert content["parameters"]["total"] == 270_946
    assert content["test_accuracy"] == 0.8788


def test_reading_gives_back_what_was_written(runs) -> None:
    """A record survives the way to disk and back unchanged."""
    made = record("pre_act", seed=3, accuracy=0.8788)
    store = RecordStore(runs(made))
    assert store.find(made.config, 3) == made
    assert store.find(made.config, 4) is None
    assert store.read_all() == ([made], [])


def test_a_diverged_record_has_no_test_values(runs) -> None:
    """Its test values are null and its history may be empty."""
    made = record(accuracy=None)
    (path,) = runs(made).rglob("*.json")
    content = json.loads(path.read_text())
    assert (content["status"], content["test_accuracy"], content["test_loss"]) == (
        "diverged",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not a run record: it is not whole JSON"),
        ('{"schema_version": 1', "not a run record: it is not whole JSON"),
        ("[]", "not a run record: top level: "),
        ("{}", "not a run record: experiment: field required"),
        ('{"schema_version": 2}', "schema_version 2; this bnbench reads 1"),
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


def test_preparing_sweeps_what_killed_processes_left(runs) -> None:
    """Old temporary files go; young ones may be another process's and stay."""
    folder = runs(record())
    (home,) = (path for path in folder.iterdir() if path.is_dir())
    old, young = home / ".tmp-00000000-seed-0001.json", home / ".tmp-11111111-seed-0002.json"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    RecordStore(folder).prepare()
    assert [path.name for path in sorted(home.iterdir())] == [young.name, "seed-0000.json"]


def test_a_file_in_the_place_of_the_folder_is_refused_by_name(tmp_path) -> None:
    """The message names the path and the cure."""
    place = tmp_path / "runs"
    place.touch()
    with pytest.raises(EnvironmentFault, match=f"{place}: cannot be written to: .*--runs-dir"):
        RecordStore(place).prepare()
