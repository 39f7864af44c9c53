"""Ctrl-C and SIGTERM: raised as `Interrupted`, and held back where they would do harm."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bnbench.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_count = 0
_holding_back = False


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


@contextmanager
def held_back() -> Iterator[None]:
    """Raise `Interrupted` only at the end of the block; a second one ends the process at once."""
    global _holding_back
    _holding_back = True
    try:
        yield
    finally:
        _holding_back = False
    if came():
        raise Interrupted


def _interrupt(number: int, frame: object) -> None:
    global _count
    _count += 1
    if not _holding_back:
        raise Interrupted
    if _count > 1:
        os._exit(Interrupted.exit_code)


def _report_unraisable(lost: "sys.UnraisableHookArgs") -> None:
    if lost.exc_type is not Interrupted:  # it may fall into a callback of the garbage collector
        sys.__unraisablehook__(lost)
