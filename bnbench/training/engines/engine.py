"""What every engine does: it takes trials with their data and yields what happens to them."""

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
    """A run has finished so many epochs; when it is repeated they are counted from 1 again."""

    trial: Trial
    epochs_done: int


@dataclass(frozen=True)
class RunEnded:
    """A run completed or diverged; ``model`` is its ``.keras`` file, or ``fault`` why not."""

    trial: Trial
    record: RunRecord
    model: bytes | None = None
    fault: EnvironmentFault | None = None


@dataclass(frozen=True)
class RunFailed:
    """A run ended without a record: the reason in one line, and the traceback if there is one."""

    trial: Trial
    reason: str
    details: str = ""


Event = EpochEnded | RunEnded | RunFailed


class Engine(Protocol):
    """A way to make runs; it writes no records, the caller does."""

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield events, in any order, until every trial has ended or failed.

        ``data`` has the data set of every trial's config; ``models`` asks for trained models. When
        the generator is closed or an exception such as KeyboardInterrupt leaves it, its runs end.
        Raises `EnvironmentFault` if no runs can be made at all.
        """
        ...
