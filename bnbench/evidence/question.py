"""What is asked of the records: one object, with one default for each part, passed whole."""

from dataclasses import dataclass

from bnbench.errors import InputError
from bnbench.evidence.metrics import METRICS, Metric


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which experiments are held against which, by what, and what difference would not matter.

    ``names`` restricts the experiments and orders them. ``margin`` is in the unit in which the
    metric's differences are shown: percentage points for accuracies. Raises `InputError` for a
    metric that is none and a margin that is negative or no number.
    """

    names: tuple[str, ...] = ()
    baseline: str | None = None
    metric: str = "test_accuracy"
    margin: float = 0.3
    all_pairs: bool = False

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise InputError(f"no metric named {self.metric}; there are: {', '.join(METRICS)}")
        if not 0 <= self.margin < float("inf"):
            raise InputError(f"margin: expected a number from 0, got {self.margin}")

    @property
    def measure(self) -> Metric:
        """The metric itself."""
        return METRICS[self.metric]

    @property
    def margin_in_metric(self) -> float:
        """The margin in the metric's own unit: a share of 1 for accuracies."""
        return self.margin / self.measure.scale

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of all experiments that have a part in the answer; none stands for all."""
        return (*self.names, self.baseline) if self.names and self.baseline else self.names


DEFAULT = Question()
