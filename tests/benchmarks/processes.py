"""Worker processes as their parent sees them: how they are started, asked and ended."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
_THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
_ONE_THREAD = dict.fromkeys(_THREAD_COUNTS, "1")


class WorkerFailed(Exception):
    """A worker could not do what it was asked; the message says why."""


def cores() -> list[int]:
    """Return the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """Return the environment of a child: byte code is kept, no thread counts are inherited."""
    unwanted = {"PYTHONDONTWRITEBYTECODE", *_THREAD_COUNTS}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", **extra}


class Worker:
    """One child process; ``core`` ties it to that core with one thread."""

    def __init__(self, core: int | None = None, extra: Mapping[str, str] = {}) -> None:
        threads = {} if core is None else _ONE_THREAD
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker"],
            cwd=ROOT,
            env=environment({**threads, **extra}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {core})

    def send(self, command: str, **arguments: Any) -> None:
        """Give a command and return at once."""
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps([command, arguments]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerFailed("the process ended") from error

    def receive(self) -> Any:
        """Wait for the answer; raises `WorkerFailed`."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailed(f"the process ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "failure" in answer:
            raise WorkerFailed(answer["failure"])
        return answer["answer"]

    def ask(self, command: str, **arguments: Any) -> Any:
        """Give a command and wait for the answer."""
        self.send(command, **arguments)
        return self.receive()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def ask_all(workers: list[Worker], command: str, **arguments: Any) -> list[Any]:
    """Give all workers a command at once and wait for every answer; raises `WorkerFailed`."""
    for worker in workers:
        worker.send(command, **arguments)
    answers, failures = [], []
    for worker in workers:
        try:
            answers.append(worker.receive())
        except WorkerFailed as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
    return answers


@contextmanager
def hired() -> Iterator[Any]:
    """Give a function that starts workers; all of them are ended afterwards."""
    with ExitStack() as stack:

        def hire(core: int | None = None, extra: Mapping[str, str] = {}) -> Worker:
            worker = Worker(core, extra)
            stack.callback(worker.end)
            return worker

        yield hire
