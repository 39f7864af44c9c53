"""Ctrl-C and SIGTERM, raised as `Interrupted`."""

import signal
import sys

from bnbench.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_count = 0


def catch() -> None:
    """From now on raise `Interrupted` in the main thread, wherever it is."""
    sys.unraisablehook = _report_unraisable
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on let nothing interrupt, as the program is ending."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def came() -> bool:
    """Whether there has been one."""
    return _count > 0


def _interrupt(number: int, frame: object) -> None:
    global _count
    _count += 1
    raise Interrupted


def _report_unraisable(lost: "sys.UnraisableHookArgs") -> None:
    if lost.exc_type is not Interrupted:  # it may fall into a callback of the garbage collector
        sys.__unraisablehook__(lost)
