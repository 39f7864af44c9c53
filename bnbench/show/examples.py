"""What the examples of a data set are called, so that one can say what a verdict holds for."""

from bnbench.experiments.config import DataConfig
from bnbench.experiments.fields import TRAINING_ROWS


def examples(data: DataConfig) -> str:
    """Return "images" for a data set that has a name and "rows" for a table.

    An array file may hold either, and records do not tell: its examples are "data".
    """
    if data.dataset in TRAINING_ROWS:
        return "images"
    return "rows" if data.is_table else "data"
