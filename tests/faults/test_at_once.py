"""Many processes on one folder: every record is whole, and none of them meets an error."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.evidence import compare
from bnbench.evidence.store import RecordStore
from tests.faults.conftest import assert_comparable, untimed, untimed_records
from tests.forge import Forge


@pytest.mark.endurance
@pytest.mark.slow
def test_eight_processes_make_the_same_runs(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """All eight end without an error, and leave the records that one alone leaves."""
    config, folder, alone = (
        tiny_yaml(seeds=6, placement="none"),
        tmp_path / "runs",
        tmp_path / "alone",
    )
    eight = [forge.start("run", config, "--jobs", 1, "--runs-dir", folder) for _ in range(8)]
    for started in eight:
        done = started.wait()
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    assert forge.run("run", config, "--jobs", 2, "--runs-dir", alone).returncode == 0
    assert one_job(untimed_records(folder)) == one_job(untimed_records(alone))
    assert list(folder.rglob(".tmp-*")) == []
    assert_comparable(folder)


def one_job(records: dict[str, str]) -> dict[str, str]:
    return {path: text.replace('"jobs": 2', '"jobs": 1') for path, text in records.items()}


@pytest.mark.endurance
@pytest.mark.slow
def test_comparing_a_thousand_times_during_a_run(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """While records are made and replaced, a reader never sees a part of one."""
    config, folder = tiny_yaml(seeds=8, placement="none"), tmp_path / "runs"
    assert forge.run("run", config, "--runs-dir", folder).returncode == 0
    expected = list(map(untimed, (path.read_text() for path in sorted(folder.glob("*/*")))))
    options = ("--jobs", 2, "--force", "--runs-dir", folder)
    running = forge.start("run", config, *options)
    store, looks, replaced = RecordStore(folder), itertools.count(1), set()
    for look in looks:
        records, warnings = store.read_all()
        assert warnings == []
        assert [untimed(record.to_json()) for record in records] == expected
        (compared,) = compare.compare(records)
        assert len(compared.experiments[0].values) == 8
        replaced.add(json.dumps([record.duration_seconds for record in records]))
        if running.ended:
            if look >= 1000:
                break
            assert running.wait().returncode == 0
            running = forge.start("run", config, *options)
    assert running.wait().returncode == 0
    assert len(replaced) > 2, "no record was replaced while it was read"
