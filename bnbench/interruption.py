"""Ctrl-C and SIGTERM, raised as `Interrupted`."""

import os
import signal
import sys
from contextlib import suppress
from time import monotonic
from typing import NoReturn

from bnbench.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE_SECONDS = 1.0
_came_at: float | None = None


def catch() -> None:
    """From now on a signal raises `Interrupted` in the main thread.

    More of them in the next second do nothing; a later one ends the program at once.
    """
    sys.unraisablehook = _report_unraisable
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on ignore the signals, as the program is ending."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def came() -> bool:
    """Return whether there has been a signal."""
    return _came_at is not None


def end() -> NoReturn:
    """End the program with one line, importing nothing: an import may have been interrupted."""
    ignore()
    with suppress(OSError):
        os.write(2, b"bnbench: interrupted; the same command goes on from what is recorded\n")
    os._exit(Interrupted.exit_code)


def _interrupt(number: int, frame: object) -> None:
    global _came_at
    if _came_at is None:
        _came_at = monotonic()
        raise Interrupted
    if monotonic() - _came_at > _PATIENCE_SECONDS:
        end()


def _report_unraisable(lost: "sys.UnraisableHookArgs") -> None:
    if lost.exc_type is Interrupted:  # raised in a callback of the garbage collector
        end()
    sys.__unraisablehook__(lost)
