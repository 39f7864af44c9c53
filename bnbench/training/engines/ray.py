"""Runs made on a Ray cluster, one to a CPU of any of its nodes."""

import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec

from bnbench.datasets.dataset import Dataset
from bnbench.errors import BnbenchError, EnvironmentFault
from bnbench.experiments.config import Config
from bnbench.training.engines import driver
from bnbench.training.engines.engine import Event
from bnbench.training.engines.ray_driver import DriverRequest, Note, drive
from bnbench.training.trial import Trial

_PROBE_SECONDS = 5.0
_JOIN_SECONDS = 60.0


@dataclass(frozen=True)
class Ray:
    """As many runs at once as the cluster at ``address``, HOST:PORT, has CPUs free.

    A driver joins the cluster: Ray takes over the signals and the standard error of the process
    that joins, and tries for minutes if nobody answers. ``report`` gets lines about the cluster.
    """

    address: str
    report: Callable[[str], object] = lambda line: None

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield what happens to the trials; see `Engine.make`."""
        self._check()
        request = DriverRequest(self.address, tuple(trials), dict(data), models)
        try:
            with closing(driver.messages(drive, request, patience=_JOIN_SECONDS)) as messages:
                for message in messages:
                    if isinstance(message, Note):
                        self.report(message.line)
                    else:
                        yield message
        except driver.DriverLost as lost:
            raise self._fault(f"the process that joined it {lost}") from lost
        except TimeoutError:
            raise self._fault("what answers is not a Ray cluster, or a very busy one") from None
        except BnbenchError as fault:
            raise self._fault(str(fault)) from None

    def _check(self) -> None:
        """Raise `EnvironmentFault` if Ray is not installed or nobody answers."""
        if find_spec("ray") is None:
            raise EnvironmentFault("Ray is not installed; get it with: pip install 'bnbench[ray]'")
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), _PROBE_SECONDS).close()
        except (OSError, ValueError, OverflowError) as error:
            raise self._fault(f"no cluster answers there ({error})") from error

    def _fault(self, reason: str) -> EnvironmentFault:
        return EnvironmentFault(f"Ray cluster at {self.address}: {reason}")
