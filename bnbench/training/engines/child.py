"""Child processes: how one is started, what it does first, and how it ended.

A driver is a child process that makes an engine's runs and sends their events to the caller. The
caller therefore imports neither TensorFlow nor Ray, and does not fork.
"""

import ctypes
import io
import math
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Generator, Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress
from multiprocessing import Pipe, current_process, get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any, Literal

from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.memory import CURE
from bnbench.training.engines.runner import reason
from bnbench.training.variables import replaced

Method = Literal["fork", "spawn"]
Drive = Callable[[Any, Connection], Iterable[object]]

_GRACE_SECONDS = 0.5
_POLL_SECONDS = 0.2  # a signal that arrives just before a wait is handled only after it
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def start(
    method: Method, target: Callable[..., None], *arguments: object
) -> tuple[BaseProcess, Connection]:
    """Start a process that calls ``target(connection, *arguments)``; return it and our connection.

    Ctrl-C and SIGTERM are blocked in the process until ``target`` calls `begin`, as it must do
    first. A spawned interpreter imports no file of the working folder, such as a ``types.py``, and
    not the main module: a script that trains at its top level would train again. Starting does not
    flush our output streams, which would fail on a full disk, and a fork has no copy of what is in
    their buffers, which it would write again. Raises `OSError` if the system refuses.
    """
    ours, theirs = Pipe()
    context: Any = get_context(method)
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    empty = io.StringIO()  # in place of the output streams and their buffers
    with (
        theirs,
        replaced(os.environ, "PYTHONSAFEPATH", "1"),
        replaced(sys.modules, "__main__", types.ModuleType("__main__")),
        redirect_stdout(empty),
        redirect_stderr(empty),
    ):
        if method == "spawn":
            resource_tracker.ensure_running()  # started by spawn, it would unblock the signals
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return process, ours


def begin() -> None:
    """Ignore Ctrl-C, which a terminal sends to children too; end on SIGTERM or with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    parent: Any = parent_process()
    if sys.platform == "linux":
        end_with(parent.pid)
    else:
        threading.Thread(target=lambda: os._exit(parent.join() or 1), daemon=True).start()


def end_with(parent: int | None) -> None:
    """Let Linux kill this process, even a suspended one, when the process ``parent`` ends.

    More exactly, when the thread ends that started it. Takes no thread here, so it may fork.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended before prctl was called
        os._exit(1)


def how_it_ended(process: BaseProcess) -> str:
    """Return how a process ended: the part of a sentence that follows its subject."""
    process.join(_GRACE_SECONDS)
    if process.exitcode is None:
        return "does not answer"
    if process.exitcode >= 0:
        return f"ended with exit code {process.exitcode}"
    name = signal.Signals(-process.exitcode).name
    return f"was killed by {name}" + (f" (out of memory? {CURE})" if name == "SIGKILL" else "")


class DriverLost(EnvironmentFault):
    """The driver ended before its last run; the text says how."""


def messages(
    drive: Drive, request: object, method: Method = "spawn", patience: float = math.inf
) -> Generator[Any, None, None]:
    """Call ``drive(request, connection)`` in a process of its own and yield what it yields.

    ``connection`` becomes readable when the caller stops listening. An exception in ``drive`` is
    raised here as a `BnbenchError`. Raises `DriverLost` if the process dies, and `TimeoutError` if
    nothing arrives for the first ``patience`` seconds. The process ends with this generator.
    """
    try:
        process, ours = start(method, _serve, drive)
    except OSError as error:
        raise EnvironmentFault(f"no process can be started: {error.strerror or error}") from error
    deadline = monotonic() + patience
    try:
        with ours:
            ours.send(request)
            while (message := _receive(ours, deadline)) is not None:
                deadline = math.inf
                if isinstance(message, BnbenchError):
                    raise message
                yield message
    except (EOFError, ConnectionError) as error:
        ended = how_it_ended(process)
        raise DriverLost(f"the process that manages the runs {ended}") from error
    finally:
        process.join(_GRACE_SECONDS)
        process.kill()
        process.join()


def _receive(driver: Connection, deadline: float) -> Any:
    while not driver.poll(_POLL_SECONDS):
        if monotonic() > deadline:
            raise TimeoutError
    return driver.recv()


def _serve(parent: Connection, drive: Drive) -> None:
    begin()
    current_process().daemon = False  # only such a process may have children
    with suppress(EOFError, ConnectionError):  # the caller has gone
        try:
            for message in drive(parent.recv(), parent):
                parent.send(message)
            parent.send(None)
        except BnbenchError as fault:
            parent.send(fault)
        except Exception as failure:
            parent.send(EnvironmentFault(reason(failure)))
    os._exit(0)  # a regular exit takes longer, as TensorFlow and Ray clean up
