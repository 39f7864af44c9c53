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
from tests.conftest import CONFIGS, ROOT
from tests.forge import FAST

PROGRAM = [sys.executable, "-m", "bnbench"]
INTERRUPTED = b"bnbench: interrupted; the same command goes on from what is recorded\n"
# Prints a line when the interpreter is there and `main` is called next, as a console script does.
SCRIPT = [
    *(sys.executable, "-X", "faulthandler", "-c"),
    "import os; from bnbench.__main__ import main; os.write(1, b'.'); main()",
]


def interrupted(number: signal.Signals, seconds: float) -> tuple[int, bytes]:
    """Send a signal so long after the start; return the exit code and what is on standard error."""
    command = [*SCRIPT, "compare", "--runs-dir", "nowhere", "--baseline", "x"]
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
