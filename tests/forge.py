"""Starts `bnbench` from a process that has TensorFlow imported, which saves every start 4 s.

Each child is a process of its own, forked before TensorFlow's runtime starts, and runs the real
`main` to its end. Run as a script this file is that server: it reads one JSON request a line,
forks, and answers with the process id. Each process ends with the one that started it, so all end
with the tests, even if these are killed.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bnbench.training.engines.child import end_with

ROOT = Path(__file__).parent.parent
FAST = {  # compiling is most of a tiny run
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
    "BNBENCH_KEEP": "XLA_FLAGS",
}


class Started:
    """A `bnbench` that was started, with its output in files."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid, self._folder = pid, folder

    @property
    def ended(self) -> bool:
        return (self._folder / "code").exists()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            if not self.ended:
                os.kill(self.pid, number)

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Return exit code (negative: the signal that ended it) and output."""
        deadline = time.monotonic() + 120
        while not self.ended:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} goes on for ever")
            time.sleep(0.005)
        code = int((self._folder / "code").read_text())
        out, err = ((self._folder / name).read_text("utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess([], code, out, err)


class Forge:
    """The server, seen from the tests."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._asking = threading.Lock()  # else one thread gets the process id of another's child
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.forge", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"

    def start(self, *arguments: object, cwd: Path | None = None, **environment: str) -> Started:
        """Start `bnbench` with these arguments."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._asking:
            self._count += 1
            folder = self._folder / str(self._count)
            folder.mkdir()
            request = {
                "arguments": [str(argument) for argument in arguments],
                "cwd": str(cwd or folder),
                "environment": environment,
                "folder": str(folder),
            }
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            return Started(int(self._server.stdout.readline()), folder)

    def run(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Start `bnbench` and wait for its end."""
        return self.start(*arguments, **options).wait()

    def close(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait(timeout=60)


def _serve() -> None:
    end_with(int(sys.argv[1]))
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras
    import scipy.stats
    import tensorflow

    from bnbench import campaign
    from bnbench.__main__ import main
    from bnbench.show import terminal
    from bnbench.training import program
    from bnbench.training.engines import processes

    assert all((keras, scipy.stats, tensorflow, terminal, campaign, program))
    processes.driver_method = "fork"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _answer("ready")
    server = os.getpid()
    for line in sys.stdin:
        request = json.loads(line)
        if os.fork() == 0 and _supervise(request, server):
            _run_to_the_end(main)


def _answer(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _run_to_the_end(main: Callable[[], None]) -> None:
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking TensorFlow down properly takes longer than the runs


def _supervise(request: dict[str, Any], server: int) -> bool:
    """Return True in the child that becomes `bnbench`; its parent notes how it ends, and ends."""
    end_with(server)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        end_with(supervisor)
        _become(request)
        return True
    _answer(pid)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    folder = Path(request["folder"])
    (folder / "code.part").write_text(str(code))
    (folder / "code.part").rename(folder / "code")
    os._exit(0)


def _become(request: dict[str, Any]) -> None:
    for descriptor, name in enumerate(("in", "out", "err")):
        path = os.devnull if name == "in" else os.path.join(request["folder"], name)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, descriptor)
        os.close(handle)
    os.setsid()  # a signal to this `bnbench` and its workers, as from a terminal, reaches no other
    os.chdir(request["cwd"])
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"} | FAST | request["environment"]
    sys.argv = ["bnbench", *request["arguments"]]


if __name__ == "__main__":
    _serve()
