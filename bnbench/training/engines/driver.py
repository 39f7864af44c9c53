"""Drivers: an engine has its runs made by a process that sends what happens to them.

So the caller's process needs neither TensorFlow nor Ray, and does not fork.
"""

import math
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from multiprocessing import Pipe, current_process
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.training.engines import child
from bnbench.training.engines.runner import reason

Drive = Callable[[Any, Connection], Iterable[object]]

_POLL_SECONDS = 0.2  # a signal that arrives just before a wait is handled only after it


class DriverLost(EnvironmentFault):
    """The driver's process ended too early; the text says how."""


def messages(
    drive: Drive, request: object, method: child.Method = "spawn", patience: float = math.inf
) -> Generator[Any, None, None]:
    """Call ``drive(request, connection)`` in a process of its own and yield what it yields.

    ``connection`` becomes readable when nobody listens any more. An exception in ``drive`` is
    raised here as a `BnbenchError`. Raises `DriverLost` if the process dies, and `TimeoutError` if
    nothing arrives for the first ``patience`` seconds. The process ends with this generator.
    """
    ours, theirs = Pipe()
    try:
        with theirs:
            process = child.start(method, _serve, theirs, ours, drive)
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
        how = child.how_it_ended(process)
        raise DriverLost(f"the process that manages the runs {how}") from error
    finally:
        child.end(process)


def _receive(driver: Connection, deadline: float) -> Any:
    while not driver.poll(_POLL_SECONDS):
        if monotonic() > deadline:
            raise TimeoutError
    return driver.recv()


def _serve(parent: Connection, other_end: Connection, drive: Drive) -> None:
    child.begin()
    other_end.close()  # else it would not be seen that the parent has closed it
    current_process().daemon = False  # only such a process may have children
    with suppress(EOFError, ConnectionError):  # nobody listens any more
        try:
            for message in drive(parent.recv(), parent):
                parent.send(message)
            parent.send(None)
        except BnbenchError as fault:
            parent.send(fault)
        except Exception as failure:
            parent.send(EnvironmentFault(reason(failure)))
    os._exit(0)  # taking TensorFlow or Ray down takes longer
