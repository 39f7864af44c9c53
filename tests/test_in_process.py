"""What the tests drive in their own process, and what they start, leaves nothing behind."""

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bnbench.cli import options
from tests.conftest import CONFIGS, ROOT, bnbench, bnbench_process, record


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "--runs-dir", "{runs}"),
        ("compare", "nothing", "--runs-dir", "{runs}", "--debug"),
        ("compare", "--runs-dir", "{runs}", "--fail-under", 90),
        ("show", CONFIGS / "smoke.yaml", "--no-such-option"),
        ("--version",),
    ],
)
def test_the_same_output_and_exit_code(
    arguments: tuple[object, ...], runs: Callable[..., Path]
) -> None:
    """Tables, messages and usage errors, byte for byte; of a traceback its last line."""
    folder = runs(record(), record("pre_act"))
    command = [str(argument).format(runs=folder) for argument in arguments]
    here, there = bnbench(*command), bnbench_process(*command)
    assert here.returncode == there.returncode
    assert here.stdout == there.stdout
    if "--debug" in command:
        assert here.stderr.splitlines()[-2:] == there.stderr.splitlines()[-2:]
        assert "Traceback" in here.stderr
    else:
        assert here.stderr == there.stderr


def state() -> list[object]:
    return [
        dict(os.environ),
        os.getcwd(),
        sys.argv,
        (sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook),
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        list(warnings.filters),
        gc.isenabled(),
        options.debugging,
        os._exit,
    ]


def test_a_command_leaves_the_process_as_it_was(runs: Callable[..., Path], tmp_path: Path) -> None:
    """Whether it ends well, in a message or in a bug."""
    folder, before = runs(record()), state()
    for arguments in (("compare", "--runs-dir", folder), ("compare", "no", "--debug"), ("--help",)):
        bnbench(*arguments, cwd=tmp_path, env={"BNBENCH_DATA_DIR": "x"})
        assert state() == before
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("bnbench.cli.commands.app", lambda **options: 1 / 0)
        broken = bnbench("schema")
    assert (broken.returncode, broken.stderr.splitlines()[-1]) == (
        1,
        "ZeroDivisionError: division by zero",
    )
    assert state() == before


OUTLIVE = """
import subprocess, sys, time
from tests import watcher
watcher.watch()
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
print(subprocess.Popen(sleep, start_new_session=True).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the watcher needs Linux")
def test_what_the_tests_start_ends_with_them() -> None:
    """Where pytest is killed, whatever it started is killed too, in a session of its own or not."""
    with subprocess.Popen(
        [sys.executable, "-c", OUTLIVE], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as tests:
        assert tests.stdout is not None
        orphan = psutil.Process(int(tests.stdout.readline()))
        assert orphan.is_running()
        tests.kill()
    deadline = time.monotonic() + 20
    while orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.01)
