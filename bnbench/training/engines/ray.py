"""Runs made on a Ray cluster, one to a CPU of any of its nodes."""

import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from time import monotonic

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training.engines.engine import Event
from bnbench.training.engines.launch import Spawner
from bnbench.training.engines.ray_driver import Done, Errand, Noted, drive
from bnbench.training.trial import Trial

_PROBE_SECONDS = 5.0
_JOIN_SECONDS = 60.0
_GLANCE_SECONDS = 0.2


@dataclass(frozen=True)
class Ray:
    """As many runs at once as the cluster at ``address``, HOST:PORT, has CPUs free.

    A process of its own speaks to the cluster, as Ray takes over the signals and the standard
    error of a process that does, and tries for minutes where nobody answers. ``report`` gets a
    line on what is odd about the cluster.
    """

    address: str
    report: Callable[[str], object] = lambda line: None

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield what comes of the trials; see `Engine.make`."""
        self._check()
        driver = Spawner(Errand(self.address, tuple(trials), dict(data), models), drive)
        try:
            number, connection = driver.start()
            with connection:
                yield from self._listen(connection)
        except (EOFError, ConnectionError):
            how = driver.cause(number)
            raise self._fault(f"the process that speaks to it {how}") from None
        finally:
            driver.close()

    def _check(self) -> None:
        """Raise `EnvironmentFault` where Ray is not installed or nobody answers."""
        if find_spec("ray") is None:
            raise EnvironmentFault("Ray is not installed; get it with: pip install 'bnbench[ray]'")
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), _PROBE_SECONDS).close()
        except (OSError, ValueError, OverflowError) as error:
            raise self._fault(f"no cluster answers there ({error})") from error

    def _listen(self, driver: Connection) -> Generator[Event, None, None]:
        deadline = monotonic() + _JOIN_SECONDS
        while True:
            if not driver.poll(_GLANCE_SECONDS):
                if monotonic() > deadline:
                    raise self._fault("what answers there is no Ray cluster, or a very busy one")
                continue
            told = driver.recv()
            deadline = float("inf")
            match told:
                case Done():
                    return
                case BnbenchError():
                    raise self._fault(str(told))
                case Noted():
                    self.report(told.line)
                case _:
                    yield told

    def _fault(self, reason: str) -> EnvironmentFault:
        return EnvironmentFault(f"Ray cluster at {self.address}: {reason}")
