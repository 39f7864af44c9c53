"""The metrics that experiments can be compared by: one table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bnbench.evidence.records import RunRecord


@dataclass(frozen=True)
class Metric:
    """A number that a completed run has; ``read`` gives it in its own unit, such as a share of 1.

    People are shown ``scale`` times that number in ``unit``, and differences, and the margin, in
    ``difference_unit``.
    """

    name: str
    heading: str
    read: Callable[["RunRecord"], float | None]
    unit: str = "%"
    difference_unit: str = "pp"
    scale: float = 100.0
    higher_is_better: bool = True

    @property
    def direction(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.higher_is_better else -1


_ALL = (
    Metric("test_accuracy", "test accuracy", lambda record: record.test_accuracy),
    Metric("val_accuracy", "validation accuracy", lambda record: record.history.val_accuracy[-1]),
)
METRICS = {metric.name: metric for metric in _ALL}
