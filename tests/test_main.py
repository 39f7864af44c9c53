"""The program from its first moment to its exit code: signals, closed streams, full devices."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.evidence.store import RecordStore
from tests.conftest import ROOT

INTERRUPTED = b"bnbench: interrupted; the same command goes on from what is recorded\n"
# It calls `main` as a console script does, and before that says that Python itself has started.
SCRIPT = "import os; from bnbench.__main__ import main; os.write(1, b'.'); main()"


def interrupted(number: signal.Signals, seconds: float) -> tuple[int, bytes]:
    """Send a signal so long after the start; return the exit code and what is on standard error."""
    command = [sys.executable, "-c", SCRIPT, "compare", "--runs-dir", "nowhere"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as started:
        assert started.stdout is not None
        assert started.stdout.read(1) == b"."
        time.sleep(seconds)
        started.send_signal(number)
        err = started.communicate(timeout=60)[1]
    return started.returncode, err


def assert_interrupted_or_ended(code: int, err: bytes) -> None:
    """A command that had ended says that there is nothing to compare."""
    if code != 2:
        assert (code, err) == (130, INTERRUPTED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_while_the_program_is_imported(number: signal.Signals) -> None:
    """Wherever they fall among the imports, it ends with 130 and one line."""
    draw = random.Random(number)
    for first, last in ((0.01, 0.02), (0.02, 0.1), (0.1, 0.2), (0.2, 0.3)):
        assert_interrupted_or_ended(*interrupted(number, draw.uniform(first, last)))


@pytest.mark.endurance
def test_many_signals_while_the_program_is_imported() -> None:
    """At 60 moments of the first 0.6 seconds."""
    draw = random.Random(0)
    ends = [
        interrupted(draw.choice([signal.SIGINT, signal.SIGTERM]), draw.uniform(0.005, 0.6))
        for _ in range(60)
    ]
    for end in ends:
        assert_interrupted_or_ended(*end)
    assert sum(code == 130 for code, _ in ends) > 20


@pytest.mark.slow
def test_a_run_with_standard_error_closed(tiny_yaml: Callable[..., Path], tmp_path: Path) -> None:
    """Worker processes get an open one too, and train."""
    command = f"{sys.executable} -m bnbench run {tiny_yaml()} --jobs 1 --runs-dir {tmp_path}/runs"
    done = subprocess.run(f"{command} 2>&-", shell=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    assert done.returncode == 0
    records, warnings = RecordStore(tmp_path / "runs").read_all()
    assert (len(records), warnings) == (2, [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--help"], {}),
        (["run", "--help"], {}),
        (["--version"], {}),
        ([], {}),
        (["--show-completion", "bash"], {}),
        ([], {"_BNBENCH_COMPLETE": "complete_bash", "COMP_WORDS": "bnbench r", "COMP_CWORD": "1"}),
        (["schema"], {}),
    ],
)
def test_a_full_device(arguments: list[str], environment: dict[str, str]) -> None:
    """Where the output cannot be written, it ends with 3 and one line."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bnbench", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            cwd=ROOT,
        )
    assert done.returncode == 3
    assert done.stderr.startswith("bnbench: standard output: cannot be written: No space left on ")
    assert len(done.stderr.splitlines()) == 1
