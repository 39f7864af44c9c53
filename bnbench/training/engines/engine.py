"""What every engine does: it takes trials with their data and tells, as it happens, what comes."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bnbench.datasets.dataset import Dataset
from bnbench.errors import EnvironmentFault
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.training.trial import Trial


@dataclass(frozen=True)
class EpochEnded:
    """A run has so many epochs behind it; after a lost worker they are counted from 1 again."""

    trial: Trial
    epochs_done: int


@dataclass(frozen=True)
class RunEnded:
    """A run reached its end, completed or diverged; ``model`` is its ``.keras`` file if wanted.

    ``fault`` says why there is no model where one was wanted.
    """

    trial: Trial
    record: RunRecord
    model: bytes | None = None
    fault: EnvironmentFault | None = None


@dataclass(frozen=True)
class RunFailed:
    """A run ended without a record: why, in one line, and the traceback where there is one."""

    trial: Trial
    reason: str
    details: str = ""


Event = EpochEnded | RunEnded | RunFailed


class Engine(Protocol):
    """A place where runs are made; it writes nothing, the caller does."""

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield events until every trial has ended or failed, in whatever order they come.

        ``data`` has the data set of every trial's config; ``models`` asks for trained models. An
        iterator that is closed, or left by an exception such as KeyboardInterrupt, ends its runs.
        Raises `EnvironmentFault` where runs cannot be made at all.
        """
        ...
