"""Packed records: the same bytes from the same records, read like folders, refused by the line."""

import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bnbench.evidence import packed
from bnbench.evidence.images import CrossedRandomEffects
from bnbench.evidence.packed import pack
from bnbench.evidence.records import RunRecord
from bnbench.evidence.stats import mean_interval
from bnbench.evidence.store import RecordStore
from tests.conftest import ROOT, bnbench, record, records

Write = Callable[..., Path]
MADE = records(no_bn=[0.88, None, 0.87], pre_act=[0.89, 0.9])


def lines_of(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def test_packed_records_are_read_like_folders(runs: Write, tmp_path: Path) -> None:
    """A folder, its packed file and both together hold the same records, in the same order."""
    folder = runs(*MADE)
    read = RecordStore(folder).read_all()
    path = tmp_path / "shared" / "study.jsonl.gz"
    pack(read[0], path)
    assert RecordStore(path.parent).read_all() == read
    shutil.copy(path, folder)
    assert RecordStore(folder).read_all() == read == (read[0], [])


def test_the_bytes_depend_on_the_records_alone(tmp_path: Path) -> None:
    """Neither the order in which they come, nor the file's name, nor the time is in them."""
    shuffled = random.Random(0).sample(MADE, len(MADE))
    first, second = tmp_path / "a.jsonl.gz", tmp_path / "other.jsonl.gz"
    pack(MADE, first)
    pack(shuffled, second)
    assert first.read_bytes() == second.read_bytes()
    found = [json.loads(line) for line in lines_of(first)]
    assert [(one["config"]["name"], one["seed"]) for one in found] == [
        *(("no_bn", 0), ("no_bn", 1), ("no_bn", 2)),
        *(("pre_act", 0), ("pre_act", 1)),
    ]


def test_a_line_that_is_no_record_hides_no_other(tmp_path: Path) -> None:
    """Each is named with file and line and its reason, and is never used."""
    path = tmp_path / "study.jsonl.gz"
    pack(MADE, path)
    first, *others = lines_of(path)
    bad = [b"{}\n", b"\n", first.replace(b'"seed":0', b'"seed":-1'), first[:100] + b"\n"]
    older = first.replace(b'"schema_version":3', b'"schema_version":1')
    path.write_bytes(gzip.compress(b"".join([*bad, older, *others])))
    found, warnings = RecordStore(tmp_path).read_all()
    assert found == MADE[1:]
    assert [warning.partition(" skipped: ")[0] for warning in warnings] == [
        f"{path}:{number}:" for number in range(1, 6)
    ]
    assert warnings[-1].endswith("schema_version 1; this bnbench reads 2 and 3: make the run again")


def test_of_two_records_of_one_run_that_in_its_folder_counts(runs: Write) -> None:
    """Equal ones are one; where they differ the packed one is named, whatever was read first."""
    made, other = record(accuracy=0.88), record(accuracy=0.5)
    folder = runs(made)
    pack([made], folder / "same.jsonl.gz")
    pack([other], folder / "zz.jsonl.gz")
    found, warnings = RecordStore(folder).read_all()
    assert found == [made]
    place = RecordStore(folder).path(made.config, 0)
    assert warnings == [
        f"{folder / 'zz.jsonl.gz'}:1: skipped: {place} has another record of this run, which counts"
    ]


def test_a_file_cut_short_gives_the_lines_before(tmp_path: Path) -> None:
    """Whole lines count, as each has its own check; a warning says that the file is cut short."""
    path = tmp_path / "study.jsonl.gz"
    path.write_bytes(
        b"".join(gzip.compress(made.to_json(line=True).encode() + b"\n") for made in MADE)
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    found, (warning,) = RecordStore(tmp_path).read_all()
    assert {made.key for made in found} <= {made.key for made in MADE}
    assert len(found) >= 4
    assert warning.startswith(f"{path}:")
    assert warning.endswith(": skipped: it is no whole gzip file")


def test_packing_nothing_is_refused(tmp_path: Path) -> None:
    """A folder without records ends `pack` with 2 and leaves a good file as it is."""
    path = tmp_path / "study.jsonl.gz"
    pack(MADE, path)
    before = path.read_bytes()
    done = bnbench("pack", path, "--runs-dir", tmp_path / "typo")
    assert (done.returncode, done.stderr) == (
        2,
        f"bnbench: {tmp_path / 'typo'}: no records here, so there is nothing to pack\n",
    )
    assert path.read_bytes() == before


def test_a_packed_file_replaces_a_packed_file_alone(runs: Write, tmp_path: Path) -> None:
    """Another kind of file in its place ends `pack` with 2 and stays, be it text or of gzip."""
    folder, path = runs(*MADE), tmp_path / "study.jsonl.gz"
    for theirs in (b"my notes", gzip.compress(b"my notes", mtime=1)):
        path.write_bytes(theirs)
        done = bnbench("pack", path, "--runs-dir", folder)
        assert (done.returncode, "this command did not make it" in done.stderr) == (2, True)
        assert path.read_bytes() == theirs
    path.write_bytes(b"")
    for _ in range(2):
        assert bnbench("pack", path, "--runs-dir", folder).returncode == 0
        assert RecordStore(tmp_path).packed().warnings == []


def test_a_damaged_packed_file_is_not_replaced_by_what_is_left_of_it(tmp_path: Path) -> None:
    """Packed over itself it would lose the lines that were skipped; whole, it may be."""
    path = tmp_path / "study.jsonl.gz"
    pack(MADE, path)
    whole = path.read_bytes()
    assert bnbench("pack", path, "--runs-dir", tmp_path).returncode == 0
    path.write_bytes(whole[:-20])
    done = bnbench("pack", path, "--runs-dir", tmp_path)
    assert (done.returncode, "would be lost" in done.stderr) == (2, True)
    assert path.read_bytes() == whole[:-20]


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip at all", gzip.compress(b"x")[:-3], gzip.compress(b"{}") + b"rest"],
    ids=["empty", "text", "cut", "rest"],
)
def test_what_is_no_packed_file_is_named(content: bytes, tmp_path: Path) -> None:
    """Nothing of it counts, and nothing else is hidden."""
    (tmp_path / "bad.jsonl.gz").write_bytes(content)
    pack([record()], tmp_path / "good.jsonl.gz")
    found, warnings = RecordStore(tmp_path).read_all()
    assert found == [record()]
    assert warnings
    assert all(w.startswith(f"{tmp_path / 'bad.jsonl.gz'}:") for w in warnings)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long lines, much text and thousands of empty lines end the reading, which is said."""
    monkeypatch.setattr(packed, "LARGEST_RECORD_BYTES", 10_000)
    monkeypatch.setattr(packed, "_MOST_BYTES", 30_000)
    line = record().to_json(line=True).encode() + b"\n"
    contents = {"long": b" " * 20_000, "much": line * 20, "empty": b"\n" * 20_000}
    for name, content in contents.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "bomb.jsonl.gz").write_bytes(gzip.compress(content))
        found, warnings = RecordStore(folder).read_all()
        assert found == ([record()] if name == "much" else [])
        assert warnings[-1].startswith(f"{folder / 'bomb.jsonl.gz'}")
        assert "skipped: the rest" in warnings[-1]
        assert len(warnings) == (101 if name == "empty" else 1)


def test_only_files_directly_in_the_folder_are_packed_records(runs: Write) -> None:
    """A folder or a pipe with such a name is not opened; a link is followed."""
    folder = runs(record())
    pack([record(seed=1)], folder.parent / "elsewhere.jsonl.gz")
    (folder / "link.jsonl.gz").symlink_to(folder.parent / "elsewhere.jsonl.gz")
    (folder / "folder.jsonl.gz").mkdir()
    found, warnings = RecordStore(folder).read_all()
    assert (found, warnings) == ([record(), record(seed=1)], [])


def test_a_folder_of_packed_records_among_others_is_one_of_its_own(tmp_path: Path) -> None:
    """It neither counts in `runs` nor is odd there; read as a folder, it has its records."""
    store = RecordStore(tmp_path)
    store.prepare()
    store.keep(record())
    (tmp_path / "reference").mkdir()
    pack([record("pre_act")], tmp_path / "reference" / "study.jsonl.gz")
    assert store.read_all() == ([record()], [])
    assert RecordStore(tmp_path / "reference").read_all() == ([record("pre_act")], [])


def test_folders_of_packed_records_may_stand_in_one_another(tmp_path: Path) -> None:
    """What is in them is of no concern to the folder around them."""
    store = RecordStore(tmp_path)
    store.prepare()
    store.keep(record())
    inner = tmp_path / "reference" / "map"
    inner.mkdir(parents=True)
    pack([record("pre_act")], inner / "map.jsonl.gz")
    (inner / "README.md").write_text("notes")
    assert store.read_all() == ([record()], [])
    assert RecordStore(tmp_path / "reference").read_all() == ([], [])


def test_the_reference_records_say_what_the_readme_says() -> None:
    """Seeds only and seeds with images, at 95 %, for the contrasts of the seven networks."""
    found, warnings = RecordStore(ROOT / "runs" / "reference" / "fixed_rate").read_all()
    runs: dict[str, dict[int, RunRecord]] = {}
    for each in found:
        runs.setdefault(each.experiment, {})[each.seed] = each
    assert (warnings, len(runs), {len(seeds) for seeds in runs.values()}) == ([], 7, {10})
    for first, second, mean, seeds_only, images_too, floor in (
        ("input_bn", "no_bn", 1.95, 0.31, 0.39, None),
        ("post_act", "no_bn", 1.81, 0.32, 0.39, 0.25),
        ("pre_act", "no_bn", 1.32, 0.36, 0.41, None),
        ("post_act", "input_bn", -0.14, 0.18, 0.19, None),
        ("pre_act", "input_bn", -0.63, 0.16, 0.18, None),
        ("pre_act", "post_act", -0.49, 0.10, 0.12, 0.07),
    ):
        rows = np.stack(
            [
                runs[first][s].correct().astype(np.int8) - runs[second][s].correct()
                for s in range(10)
            ]
        )
        layout = CrossedRandomEffects.of(rows)
        assert layout is not None
        low, high = mean_interval(rows.mean(axis=1))
        wide = layout.interval(0.05)
        found = [100 * layout.mean, 50 * float(high - low), 50 * (wide[1] - wide[0])]
        assert found == pytest.approx([mean, seeds_only, images_too], abs=0.011)
        assert floor is None or 100 * layout.floor == pytest.approx(floor, abs=0.01)
