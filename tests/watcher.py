"""Ends whatever the tests have started once they end, also where pytest itself is killed.

`watch` puts a mark into the environment, which every process that the tests start inherits, and
starts this file as a process of its own session. It waits for the end of the tests' process and
then kills all that bear the mark: servers, browsers and what they started in turn.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def watch() -> None:
    """Let all that this process starts from now on end with it."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        return
    mark = f"BNBENCH_TESTS_{os.getpid()}"
    os.environ[mark] = "1"
    command = [sys.executable, "-S", "-E", __file__, str(os.getpid()), mark]
    os.posix_spawn(sys.executable, command, os.environ, setsid=True)


def _wait_for_the_end_of(process: int) -> None:
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process)
        if os.getppid() == process:  # else it ended before, and another may have its number
            waiting = select.poll()
            waiting.register(descriptor, select.POLLIN)
            waiting.poll()


def _marked(mark: str) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            if f"{mark}=1".encode() in variables and int(folder.name) != os.getpid():
                yield int(folder.name)


def _kill_all(mark: str) -> None:
    while found := list(_marked(mark)):  # until none is left that could start another
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


if __name__ == "__main__":
    _wait_for_the_end_of(int(sys.argv[1]))
    _kill_all(sys.argv[2])
