"""The metrics that experiments can be compared by, in one table."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bnbench.evidence.records import RunRecord


@dataclass(frozen=True)
class Metric:
    """A number that a completed run has; ``read`` returns it in its own unit, such as a share of 1.

    Tables show ``scale`` times that number in ``unit``; differences, and the margin, are shown in
    ``difference_unit``. More is better where ``direction`` is 1, less where it is -1. A metric is
    ``by_row`` if it is the share of test rows that are right.
    """

    name: str
    heading: str
    read: Callable[["RunRecord"], float | None]
    unit: str = "%"
    difference_unit: str = "pp"
    scale: float = 100.0
    direction: int = 1
    by_row: bool = False


def _balanced(record: "RunRecord") -> float | None:
    """Mean, over the classes that have test rows, of the share of them that are right."""
    if record.data.test_correct_by_class is None:
        return None
    by_class = zip(record.data.test_correct_by_class, record.data.test_rows_by_class, strict=True)
    return fmean(correct / rows for correct, rows in by_class if rows)


_ALL = (
    Metric("test_accuracy", "test accuracy", lambda record: record.test_accuracy, by_row=True),
    Metric("test_balanced_accuracy", "balanced test accuracy", _balanced),
    Metric("val_accuracy", "validation accuracy", lambda record: record.history.val_accuracy[-1]),
)
METRICS = {metric.name: metric for metric in _ALL}
