"""The question to the records: one object, with one default for each part."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bnbench.errors import InputError
from bnbench.evidence.metrics import METRICS, Metric

if TYPE_CHECKING:
    from bnbench.experiments.config import PlanConfig


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which experiments to compare, by which metric, and what difference would not matter.

    ``names`` restricts the experiments and orders them. ``margin`` is in the unit of differences:
    percentage points for accuracies; without it, and without ``plan``, those of the configs count.
    Raises `InputError` for an unknown metric and for a margin that is negative or not finite.
    """

    names: tuple[str, ...] = ()
    baseline: str | None = None
    metric: str = "test_accuracy"
    margin: float | None = None
    all_pairs: bool = False
    plan: "PlanConfig | None" = None

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise InputError(f"no metric named {self.metric}; there are: {', '.join(METRICS)}")
        if self.margin is not None and not 0 <= self.margin < float("inf"):
            raise InputError(f"margin: expected a number from 0, got {self.margin}")

    @property
    def measure(self) -> Metric:
        """The metric itself."""
        return METRICS[self.metric]

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of all experiments to compare; empty for all."""
        return (*self.names, self.baseline) if self.names and self.baseline else self.names


DEFAULT = Question()
