"""Completion in a real bash: what it offers is safe to run, and nothing makes it fail."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.cli.completion import complete_config
from tests.conftest import ROOT, record

HOSTILE = "x$(touch${IFS}PWNED)"
COMPLETE = """
source <(_BNBENCH_COMPLETE=source_bash bnbench)
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_bnbench_completion bnbench
for word in "${COMPREPLY[@]}"; do printf '%s\\n' "$word"; done
"""


@pytest.fixture
def press_tab(tmp_path: Path) -> Callable[..., list[str]]:
    """Ask bash what it offers when the tab key is pressed after these words."""
    program = tmp_path / "bin" / "bnbench"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m bnbench "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }

    def press(*words: str, cwd: Path) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", COMPLETE, "bash", "bnbench", *words],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=cwd,
        )
        assert done.stderr == ""
        return done.stdout.split("\n")[:-1]

    return press


def test_experiments_that_a_shell_would_act_on_are_not_offered(
    runs: Callable[..., Path], press_tab: Callable[..., list[str]]
) -> None:
    """Whatever folders lie among the records, an offered word is the name of an experiment."""
    folder = runs(record(), record("pre_act"))
    for name in (HOSTILE, "a;b", "a b", "`id`", "-x", "\x1b[31m", "a'b", "*", "ü", "x" * 65):
        (folder / f"{name}-deadbeef").mkdir()
    assert press_tab("compare", "", cwd=folder.parent) == ["no_bn", "pre_act"]
    assert press_tab("compare", "no_bn", "", cwd=folder.parent) == ["pre_act"]
    assert press_tab("compare", "--baseline", "p", cwd=folder.parent) == ["pre_act"]


def test_paths_that_a_shell_would_act_on_are_left_to_the_shell(
    tmp_path: Path, press_tab: Callable[..., list[str]]
) -> None:
    """Bash itself completes file names where nothing is offered, and quotes them."""
    for name in (HOSTILE, "a;b", "a b", "$HOME", "~", "-x", "a\nb", "q'q", "plain", "données"):
        (tmp_path / "configs" / name).mkdir(parents=True)
        (tmp_path / "configs" / name / "c.yaml").touch()
    (tmp_path / "-c.yaml").touch()
    offered = press_tab("show", "", cwd=tmp_path)
    assert offered == ["configs/-x/c.yaml", "configs/données/c.yaml", "configs/plain/c.yaml"]
    assert press_tab("show", "configs/x", cwd=tmp_path) == []


@pytest.mark.parametrize("start", ["missing/", "x" * 5000, "file/", "\udc80/", "//"])
def test_nothing_makes_it_raise(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odd words complete to nothing, or to what there is."""
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert all(path.startswith(start) for path in complete_config(start))


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is passed over, and its neighbours are offered."""
    for name in ("closed", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.yaml").touch()
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if Path(folder).name == "closed":
            raise PermissionError(folder)
        return scandir(folder)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "scandir", refuse)
    assert list(complete_config("")) == ["open/c.yaml"]
