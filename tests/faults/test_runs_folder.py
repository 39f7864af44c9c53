"""A folder of records that cannot be used is refused by name; what is no record is skipped."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from bnbench.evidence.store import RecordStore
from tests.conftest import CONFIGS, ROOT, bnbench, record
from tests.faults.conftest import assert_comparable, assert_short, contents
from tests.forge import Forge

AS_ORDINARY_USER = """
import os, sys
sys.modules["tensorflow"] = None  # an import ends in ImportError
sys.modules["keras"] = None
import encodings.utf_8_sig, scipy.stats
from bnbench.__main__ import main
from bnbench.datasets import dataset
from bnbench.evidence import tuning
from bnbench.show import progress, sentences, terminal
from bnbench import campaign
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
main()
"""


def as_ordinary_user(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", AS_ORDINARY_USER, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """Make a folder that an ordinary user can reach, which pytest's own are not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("make", ["file", "broken link", "under a file"])
def test_no_folder_can_be_there(make: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in the place of the folder ends a run with 3 before TensorFlow is imported."""
    place = tmp_path / "runs"
    if make == "broken link":
        place.symlink_to(tmp_path / "nowhere" / "at" / "all")
    else:
        place.write_text("mine")
    runs = place / "runs" if make == "under a file" else place
    before = contents(tmp_path)
    for module in ("tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, module, None)  # an import ends in ImportError
    done = bnbench("run", CONFIGS / "smoke.yaml", "--runs-dir", runs)
    assert done.returncode == 3, done.stderr
    assert_short(done.stderr)
    assert f"bnbench: {runs}: cannot be written to: " in done.stderr
    assert "choose another place" in done.stderr
    assert contents(tmp_path) == before
    if make != "broken link":
        shown = bnbench("run", CONFIGS / "smoke.yaml", "--runs-dir", runs, "--debug")
        assert "Traceback" in shown.stderr


def test_a_read_only_folder() -> None:
    """Without permission to write a run ends with 3 before TensorFlow; `compare` works."""
    with folder_for_all() as folder:
        store = RecordStore(folder / "runs")
        store.prepare()
        home = store.keep(record()).parent
        store.folder.chmod(0o555)
        home.chmod(0o555)
        before = contents(folder)
        where = ("--runs-dir", store.folder)
        done = as_ordinary_user("run", CONFIGS / "smoke.yaml", *where)
        assert done.returncode == 3, done.stderr
        assert_short(done.stderr)
        assert f"{store.folder}: cannot be written to: Permission denied" in done.stderr
        assert contents(folder) == before
        compared = as_ordinary_user("compare", *where)
        assert (compared.returncode, compared.stderr) == (0, "")
        store.folder.chmod(0o755)
        home.chmod(0o755)


def test_records_and_folders_without_permission() -> None:
    """What may not be read is named and skipped, and hides nothing else."""
    with folder_for_all() as folder:
        store = RecordStore(folder / "runs")
        store.prepare()
        store.keep(record())
        secret = store.keep(record(seed=1))
        secret.chmod(0)
        closed = store.keep(record("pre_act")).parent
        closed.chmod(0)
        done = as_ordinary_user("compare", "--runs-dir", store.folder)
        closed.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert_short(done.stderr)
    assert done.stderr.count("warning: ") == 2
    assert f"{secret}: skipped: cannot be read: Permission denied" in done.stderr
    assert f"{closed}: skipped: " in done.stderr


def test_a_missing_folder_is_made_and_a_link_is_followed(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """Runs go through a symbolic link into the folder it names, which is made if it is missing."""
    real, link = tmp_path / "far" / "away" / "runs", tmp_path / "runs"
    config = tiny_yaml()
    assert forge.run("run", config, "--seeds", 1, "--runs-dir", real).returncode == 0
    link.symlink_to(real)
    done = forge.run("run", config, "--seeds", 2, "--runs-dir", link)
    assert done.returncode == 0, done.stderr
    assert ", 1 recorded, 1 to make" in done.stderr
    assert len(list(real.glob("*/seed-*.json"))) == 2
    assert_comparable(link)


def test_missing_and_empty_folders_are_named_by_compare(tmp_path: Path) -> None:
    """`compare` ends with 2 and says how records are made; it makes no folder."""
    for runs in (tmp_path / "missing", tmp_path):
        done = bnbench("compare", "--runs-dir", runs)
        assert done.returncode == 2
        cure = "no records here; make some with: bnbench run CONFIG..."
        assert done.stderr == f"bnbench: {runs}: {cure}\n"
    assert list(tmp_path.iterdir()) == []


def put_damaged(folder: Path) -> list[Path]:
    """Put everything into places of records that is none; return the places."""
    home = next(path for path in folder.iterdir() if path.is_dir())
    good = (home / "seed-0000.json").read_text()
    content = json.loads(good)

    def changed(**changes: Any) -> str:
        return json.dumps(content | changes)

    contents = [
        *("", good[: len(good) // 2], "[]", "1e400", "do not forget", "[" * 100_000),
        changed(test_loss=float("nan")),
        changed(compile_seconds=float("inf")),
        changed(test_accuracy="0.9"),
        changed(experiment=1),
        changed(config={}),
        changed(test_accuracy=1.5),
        changed(history={**content["history"], "epoch_seconds": [0, 0]}),
        changed(history={**content["history"], "loss": [1]}),
        changed(experiment="another"),
        changed(schema_version=4, extra={"a": 1}),
        changed(schema_version=1),
        changed(schema_version="2026-01"),
        changed(config={"k" * 100_000: 1}),
        good.replace('"seed": 0', f'"seed": {"9" * 5000}'),
        good.replace("no_bn", "n\xf6").encode("latin-1"),
        os.urandom(1000),
    ]
    places = [home / f"seed-{seed:04d}.json" for seed in range(100, 104 + len(contents))]
    loop, pipe, enormous, folder_there, *others = places
    for place, text in zip(others, contents, strict=True):
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    folder_there.mkdir()
    with enormous.open("wb") as file:
        file.truncate(2**34)
    return places


def test_what_is_no_record_is_skipped_with_one_warning_each(runs: Callable[..., Path]) -> None:
    """Each is named once with a reason, nothing is changed, and the records are compared."""
    folder = runs(record(), record(seed=1), record("pre_act"))
    damaged = put_damaged(folder)
    (folder / ".hidden").write_text("of no concern")
    (folder / "README.txt").write_text("mine")
    (folder / "broken").symlink_to(folder / "nowhere")
    names = sorted(folder.rglob("*"))
    done = bnbench("compare", "--runs-dir", folder, "--format", "json")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    for path in damaged:
        (line,) = [line for line in lines if line.startswith(f"warning: {path}: skipped: ")]
        assert len(line) < 400
    of_others = f"warning: {folder}: skipped: what is no run record: README.txt, broken"
    assert of_others in lines
    assert len(lines) == len(damaged) + 1
    assert sorted(folder.rglob("*")) == names
    (protocol,) = json.loads(done.stdout)["protocols"]
    assert {e["name"]: e["seeds"] for e in protocol["experiments"]} == {"no_bn": 2, "pre_act": 1}
    assert sum("schema_version 4; this bnbench reads 2 and 3" in line for line in lines) == 1
    strict = bnbench("compare", "--runs-dir", folder, "--strict")
    assert strict.returncode == 1
    assert strict.stdout.startswith("Protocol ")


def test_sweeping_passes_over_what_it_may_not_remove(runs: Callable[..., Path]) -> None:
    """An old folder with the name of a temporary file stops nothing and stays."""
    folder = runs(record())
    odd = folder / ".tmp-0-folder"
    odd.mkdir()
    os.utime(odd, (0, 0))
    RecordStore(folder).prepare()
    assert odd.is_dir()


def test_damaged_records_are_made_again(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """A run takes a truncated record and a broken link for missing, says so, and replaces them."""
    config, folder = tiny_yaml(seeds=3), tmp_path / "runs"
    assert forge.run("run", config, "--runs-dir", folder).returncode == 0
    paths = sorted(folder.glob("*/*.json"))
    whole = [path.read_bytes() for path in paths]
    paths[0].write_bytes(whole[0][:100])
    paths[1].unlink()
    paths[1].symlink_to(folder / "nowhere")
    done = forge.run("run", config, "--runs-dir", folder)
    assert done.returncode == 0, done.stderr
    for path in paths[:2]:
        assert f"warning: {path}: skipped: not a run record" in done.stderr
        assert not path.is_symlink()
    assert done.stderr.count("; the run is repeated") == 2
    assert paths[2].read_bytes() == whole[2]
    assert_comparable(folder)
