"""Starts the worker processes of `processes.Processes`, learns how they ended, and ends them."""

import itertools
import os
import signal
import socket
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Literal, Protocol

from bnbench.errors import EnvironmentFault
from bnbench.training.engines import nursery, worker
from bnbench.training.engines.nursery import ENDED, NUMBER
from bnbench.training.engines.worker import Setup

Method = Literal["forkserver", "fork", "spawn"]

_PATIENCE_SECONDS = 0.5


class Launcher(Protocol):
    """A way to start workers, each known by its number."""

    def start(self) -> tuple[int, Connection]:
        """Start a worker; raises `EnvironmentFault` where the system allows none."""
        ...

    def cause(self, number: int) -> str:
        """Say how the process of a worker that is gone ended."""
        ...

    def close(self) -> None:
        """End every process at once."""
        ...


def launcher(method: Method, setup: Setup) -> Launcher:
    """Return the launcher of this method; all start their workers with ``setup``."""
    match method:
        case "spawn":
            return Spawner(setup)
        case "forkserver" | "fork":
            return Nursery(setup, method)
    raise ValueError(f"no way to start processes: {method}")


@dataclass
class Nursery:
    """Has workers forked by a process that has TensorFlow imported; see `nursery.serve`.

    By ``fork`` that process is itself a fork of this one, which must have imported TensorFlow but
    not started it.
    """

    setup: Setup
    method: Method
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _process: BaseProcess | None = None
    _requests: socket.socket | None = None

    def start(self) -> tuple[int, Connection]:
        try:
            return self._start()
        except OSError:  # it was killed; the workers it has forked live on
            self.close()
        try:
            return self._start()
        except OSError as error:
            raise _none_starts(error) from error

    def _start(self) -> tuple[int, Connection]:
        if self._requests is None:
            self._requests = self._open()
        number = next(self._numbers)
        ours, theirs = Pipe()
        with theirs:
            socket.send_fds(self._requests, [NUMBER.pack(number)], [theirs.fileno()])
        return number, ours

    def _open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            if self.method == "fork":
                self._process = _forked(nursery.serve, theirs, ours)
            else:
                self._process = _spawned(nursery.serve, theirs)
        with Connection(os.dup(ours.fileno())) as opened:
            opened.send(self.setup)
        return ours

    def cause(self, number: int) -> str:
        assert self._requests is not None
        assert self._process is not None
        try:
            self._requests.sendall(NUMBER.pack(number))
            answer = self._requests.recv(ENDED.size)
        except OSError:
            answer = b""
        if answer:
            return _in_words(ENDED.unpack(answer)[0])
        self._process.join(_PATIENCE_SECONDS)
        return _in_words(self._process.exitcode)

    def close(self) -> None:
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self._process is not None:
            _end(self._process)
            self._process = None


@dataclass
class Spawner:
    """Starts every worker as a fresh interpreter, as macOS and Windows need it.

    A worker is whatever ``target`` does with its connection, of which the first message is
    ``setup``.
    """

    setup: object
    target: Callable[[Connection], None] = worker.work
    _processes: list[BaseProcess] = field(default_factory=list)

    def start(self) -> tuple[int, Connection]:
        ours, theirs = Pipe()
        try:
            with theirs:
                self._processes.append(_spawned(self.target, theirs))
            ours.send(self.setup)
        except OSError as error:
            raise _none_starts(error) from error
        return len(self._processes) - 1, ours

    def cause(self, number: int) -> str:
        self._processes[number].join(_PATIENCE_SECONDS)
        return _in_words(self._processes[number].exitcode)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            _end(process)
        self._processes.clear()


def _spawned(target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = get_context("spawn").Process(target=target, args=arguments, daemon=True)
    with _signals_held_back(), _main_module_hidden(), _streams_hidden():
        process.start()
    return process


def _forked(target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = get_context("fork").Process(target=target, args=arguments, daemon=True)
    with _signals_held_back():
        process.start()
    return process


def _none_starts(error: OSError) -> EnvironmentFault:
    return EnvironmentFault(f"no worker process can be started: {error.strerror or error}")


def _end(process: BaseProcess) -> None:
    process.join(_PATIENCE_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
    process.close()


def _in_words(exit_code: int | None) -> str:
    if exit_code is None:
        return "does not answer"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM from a new process until it has said how it takes them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep a new interpreter from running the caller's script once more.

    multiprocessing imports the main module in every spawned process, in case something it sends is
    defined there. Nothing of ours is, and a script that trains at its top level, as one does in a
    notebook, would train again in each worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _streams_hidden() -> Iterator[None]:
    """Keep multiprocessing from flushing both streams first: on a full disk that fails."""
    streams = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = None
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
