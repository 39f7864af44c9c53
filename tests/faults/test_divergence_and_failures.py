"""A run that diverges or fails is reported at the end and stops no other run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.api import Study
from bnbench.cli import checks, options
from bnbench.errors import CheckFailed
from bnbench.memory import CURE
from bnbench.training.engines.engine import RunFailed
from bnbench.training.trial import Trial
from tests.conftest import ROOT, bnbench, record
from tests.faults.conftest import assert_comparable
from tests.forge import FAST, Forge


@pytest.mark.slow
def test_a_learning_rate_that_explodes(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """It is recorded as diverged in strict JSON, its neighbour ends, and the exit code is 1."""
    folder, good, bad = tmp_path / "runs", tiny_yaml("good"), tiny_yaml("bad")
    bad.write_text(bad.read_text().replace("epochs: 2", "epochs: 2, learning_rate: 1.0e+30"))
    done = forge.run("run", bad, good, "--jobs", 1, "--runs-dir", folder)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "bnbench: 0 runs failed, 2 diverged"
    assert "bad seed 0: diverged in epoch 1" in done.stderr
    assert "bad fails to train at these settings: each of its 2 runs diverged" in done.stdout
    assert "0/2" in done.stdout
    for seed in (0, 1):
        (path,) = folder.glob(f"bad-*/seed-000{seed}.json")
        record = json.loads(path.read_text(), parse_constant=pytest.fail)
        assert (record["test_correct"], record["test_loss"]) == (None, None)
        assert record["history"]["loss"] == []
    assert len(list(folder.glob("good-*/*.json"))) == 2
    assert_comparable(folder, experiments=2)
    again = forge.run("run", bad, good, "--runs-dir", folder)
    assert again.returncode == 1
    assert ", 4 recorded, 0 to make." in again.stderr
    under = bnbench("compare", "--runs-dir", folder, "--fail-under", 0)
    assert (under.returncode, under.stderr) == (1, "bnbench: bad: no run completed\n")


FAIL = r"""
import tensorflow as tf
from bnbench.__main__ import main
from bnbench.training.engines import processes
from bnbench.training.program import TrainingProgram

real = TrainingProgram.steps
failures = {
    1: MemoryError(),
    2: tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore lines"),
    3: ValueError("[/x] \x1b[31m \u202e \x9b31m in front\nsecond line"),
}

def steps(self, seed):
    if seed in failures:
        raise failures[seed]
    return real(self, seed)

TrainingProgram.steps = steps
processes.driver_method = "fork"
main()
"""


@pytest.mark.slow
def test_runs_that_raise(tiny_yaml: Callable[..., Path], tmp_path: Path) -> None:
    """Whatever a run raises, the others end, and it is listed last with its reason in one line."""
    config, folder = tiny_yaml(seeds=5), tmp_path / "runs"
    command = [sys.executable, "-c", FAIL, "run", str(config), "--runs-dir", str(folder)]
    done = subprocess.run(
        [*command, "--jobs", "1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | FAST,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-4:] == [
        f"failed: tiny seed 1: out of memory: {CURE} (MemoryError)",
        f"failed: tiny seed 2: out of memory: {CURE} (ResourceExhaustedError: OOM when allocating)",
        r"failed: tiny seed 3: ValueError: [/x] \x1b[31m \u202e \x9b31m in front",
        "bnbench: 3 runs failed, 0 diverged",
    ]
    assert "Traceback" not in done.stderr
    assert {path.name for path in folder.rglob("*.json")} == {"seed-0000.json", "seed-0004.json"}
    assert_comparable(folder)


def test_debugging_shows_the_traceback_of_a_failed_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--debug` adds where the exception came from to its reason."""
    details = "Traceback (most recent call last):\n  [][1]\nIndexError: list index out of range\n"
    failed = RunFailed(Trial(record().config, 3), "IndexError: list index out of range", details)
    monkeypatch.setattr(options, "debugging", True)
    with pytest.raises(CheckFailed, match=r"1 runs? failed, 0 diverged"):
        checks.check_runs(Study((), (), failures=(failed,)))
    reported = capsys.readouterr().err
    assert reported.startswith("failed: no_bn seed 3: IndexError: list index out of range\n")
    assert "Traceback" in reported
    assert "[][1]" in reported
