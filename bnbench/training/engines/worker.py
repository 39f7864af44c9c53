"""What a worker process of `processes.Processes` does from its first to its last moment."""

import os
import queue
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines.workshop import Workshop, reason
from bnbench.training.trial import Trial


@dataclass(frozen=True)
class Setup:
    """What every worker has to know before its first run."""

    request: device.Request
    jobs: int
    models: bool
    data: Mapping[Config, Dataset]


@dataclass(frozen=True)
class Ready:
    """A worker's first word: TensorFlow is started, on this device."""

    device: str


def work(parent: Connection, setup: Setup | None = None) -> None:
    """Make the runs whose trials come from the parent, until it closes its end.

    Where there is no ``setup`` yet it comes first.
    """
    leave_signals_to_the_parent()
    with suppress(EOFError, ConnectionError):  # nobody is there any more
        setup = setup or parent.recv()
        try:
            trials = _incoming(parent)
            workshop = _open(setup)
        except BnbenchError as fault:
            parent.send(fault)
            return
        except Exception as failure:
            parent.send(EnvironmentFault(f"TensorFlow cannot be started: {reason(failure)}"))
            return
        parent.send(Ready(workshop.device))
        while True:
            trial = trials.get()
            for event in workshop.make(trial, setup.data[trial.config], setup.models):
                parent.send(event)


def leave_signals_to_the_parent() -> None:
    """Ignore Ctrl-C, which a terminal sends to every process, and let SIGTERM end this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))


def _open(setup: Setup) -> Workshop:
    chosen = device.start(setup.request)
    return Workshop(chosen, "processes", 1 if chosen.startswith("GPU") else setup.jobs)


def _incoming(parent: Connection) -> "queue.SimpleQueue[Trial]":
    """Return a queue that fills with what the parent sends; the process ends when it is gone."""
    trials: queue.SimpleQueue[Trial] = queue.SimpleQueue()
    end_with(parent, trials.put)
    return trials


def end_with(parent: Connection, take: Callable[[Any], object] = lambda told: None) -> None:
    """From now on end this process when the parent closes its end; ``take`` what it sends."""

    def listen() -> None:
        with suppress(EOFError, OSError):
            while True:
                take(parent.recv())
        os._exit(0)  # whatever is under way: it leaves nothing behind

    threading.Thread(target=listen, daemon=True).start()
