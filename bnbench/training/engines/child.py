"""Child processes: how one is started, what it does first, and how it ended."""

import ctypes
import io
import os
import signal
import sys
import threading
import types
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from bnbench.memory import CURE
from bnbench.training.variables import replaced

Method = Literal["fork", "spawn"]

_PATIENCE_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def start(method: Method, target: Callable[..., None], *arguments: object) -> BaseProcess:
    """Start a process that calls ``target``, which calls `begin` first.

    Ctrl-C and SIGTERM wait until then. A new interpreter imports no files such as ``types.py`` of
    the working folder, nor the main module: a script that trains at its top level would train
    again. The output streams are not flushed, which fails on a full disk, and a forked process does
    not write what is in their buffers again. Raises `OSError` if the system refuses.
    """
    context: Any = get_context(method)
    process: BaseProcess = context.Process(target=target, args=arguments, daemon=True)
    unused = io.StringIO()
    with (
        replaced(os.environ, "PYTHONSAFEPATH", "1"),
        replaced(sys.modules, "__main__", types.ModuleType("__main__")),
        redirect_stdout(unused),
        redirect_stderr(unused),
    ):
        if method == "spawn" and sys.platform != "win32":
            from multiprocessing import resource_tracker

            resource_tracker.ensure_running()  # later it would let the signals through
        before = _mask("SIG_BLOCK")
        try:
            process.start()
        finally:
            _mask("SIG_SETMASK", before)
    return process


def begin() -> None:
    """Ignore Ctrl-C, which a terminal sends to every process; end with SIGTERM and the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _mask("SIG_UNBLOCK")
    parent = parent_process()
    assert parent is not None
    if sys.platform == "linux":
        end_with(parent.pid)
    else:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def end_with(parent: int | None) -> None:
    """Let Linux kill this process, even if it is stopped, when the process ``parent`` ends.

    That takes no thread, so this process may fork. The thread of the parent counts that started it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def end(process: BaseProcess) -> None:
    """End a process that has been asked to, after half a second by force."""
    process.join(_PATIENCE_SECONDS)
    process.kill()
    process.join()


def how_it_ended(process: BaseProcess) -> str:
    """Return how a process ended, as the rest of a sentence."""
    process.join(_PATIENCE_SECONDS)
    if process.exitcode is None:
        return "does not answer"
    if process.exitcode >= 0:
        return f"ended with exit code {process.exitcode}"
    name = signal.Signals(-process.exitcode).name
    return f"was killed by {name}" + (f" (out of memory? {CURE})" if name == "SIGKILL" else "")


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _mask(how: str, signals: Any = _SIGNALS) -> Any:
    if hasattr(signal, "pthread_sigmask"):  # Windows has none
        return signal.pthread_sigmask(getattr(signal, how), signals)
    return None
