"""One rule for all that writes files: nothing is replaced that the same command did not make."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench import api
from bnbench.errors import InputError
from tests.conftest import CONFIGS, bnbench, record

REFUSED = "is there already, and this command did not make it; move it away, or choose another name"
COMMANDS = {
    **{f"compare {name}": ("compare", "--format", name) for name in ("table", "json", "csv")},
    **{f"compare {name}": ("compare", "--format", name) for name in ("markdown", "latex")},
    "compare contrasts": ("compare", "--format", "csv", "--table", "contrasts"),
    **{f"plot.{ending}": ("plot", "--only", "curves") for ending in ("png", "svg", "pdf")},
    "report.html": ("report",),
}


@pytest.fixture
def folder(runs: Callable[..., Path]) -> Path:
    return runs(*(record(name, seed) for name in ("no_bn", "pre_act") for seed in range(2)))


def write(name: str, folder: Path, output: Path) -> tuple[int, str]:
    done = bnbench(*COMMANDS[name], "--runs-dir", folder, "--output", output)
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_may_be_repeated(name: str, folder: Path, tmp_path: Path) -> None:
    """Its own output is replaced, and so is an empty file."""
    output = tmp_path / name
    output.touch()
    for _ in range(2):
        code, stderr = write(name, folder, output)
        assert code == 0, stderr
    assert output.stat().st_size > 100


@pytest.mark.parametrize("name", ["compare csv", "compare table", "plot.png", "report.html"])
@pytest.mark.parametrize("theirs", ["table", "config", "record", "picture", "link", "folder"])
def test_a_file_of_the_user_stays(name: str, theirs: str, folder: Path, tmp_path: Path) -> None:
    """A data table, a config, a record, another picture, a link and a folder end it with 2."""
    output = tmp_path / f"mine{Path(name).suffix}"
    (kept,) = folder.glob("no_bn-*/seed-0000.json")
    contents = {
        "table": b"experiment,kind\n0.5,a\n",
        "config": (CONFIGS / "pre_act.yaml").read_bytes(),
        "record": kept.read_bytes(),
        "picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    }
    if theirs == "link":
        output.symlink_to(kept)
    elif theirs == "folder":
        output.mkdir()
    else:
        output.write_bytes(contents[theirs])
    before = os.lstat(output)
    assert write(name, folder, output) == (2, f"bnbench: {output}: {REFUSED}\n")
    assert os.lstat(output).st_mtime_ns == before.st_mtime_ns
    assert os.lstat(output).st_ino == before.st_ino


def test_a_notebook_keeps_to_the_rule(folder: Path, tmp_path: Path) -> None:
    """`Study.report` refuses what `bnbench report` refuses."""
    output = tmp_path / "report.html"
    study = api.compare(folder)
    assert study.report(study.report(output)) == output
    output.write_text("<!doctype html>\n<p>Mine")
    with pytest.raises(InputError, match="this command did not make it"):
        study.report(output)
    assert output.read_text() == "<!doctype html>\n<p>Mine"
