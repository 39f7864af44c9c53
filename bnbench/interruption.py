"""Ctrl-C and SIGTERM, raised as `Interrupted`."""

import signal
import sys

from bnbench.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_count = 0


def catch() -> None:
    """From now on a signal raises `Interrupted` in the main thread."""
    sys.unraisablehook = _report_unraisable
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on ignore the signals, as the program is ending."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def came() -> bool:
    """Return whether there has been a signal."""
    return _count > 0


def _interrupt(number: int, frame: object) -> None:
    global _count
    _count += 1
    raise Interrupted


def _report_unraisable(lost: "sys.UnraisableHookArgs") -> None:
    if lost.exc_type is not Interrupted:  # it may be raised in a callback of the garbage collector
        sys.__unraisablehook__(lost)
