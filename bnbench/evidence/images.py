"""Whether a contrast holds for new images: seeds and test rows are crossed random effects.

Sources: Searle, Casella and McCulloch 1992 (mean squares of a two-way layout), Satterthwaite 1946
(degrees of freedom), Owen and Eckles 2012 and Miller 2024 (rows and questions as a sample).
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bnbench.evidence.decisions import Verdict
from bnbench.evidence.levels import ALPHA
from bnbench.evidence.stats import Interval


@dataclass(frozen=True)
class CrossedRandomEffects:
    """A mean over seeds and test rows with its uncertainty, as a share of 1.

    ``variance`` is that of the mean for new seeds and new rows, with ``df`` degrees of freedom;
    ``floor`` is half the 95 % interval that any number of seeds would leave on so many ``rows``.
    """

    mean: float
    variance: float
    df: float
    floor: float
    rows: int

    @classmethod
    def of(cls, differences: NDArray[np.int8]) -> Self | None:
        """Return the mean of the differences of correctness (n seeds, m rows), each -1, 0 or 1.

        Their mean squares between seeds (a), between rows (b) and of the rest (e) give its variance
        V = max(MSa + MSb - MSe, MSa, MSb) / nm. The degrees of freedom are Satterthwaite's, n - 1
        at least. None for fewer than two seeds or two rows.
        """
        seeds, rows = differences.shape
        if seeds < 2 or rows < 2:
            return None
        by_seed = differences.sum(axis=1, dtype=np.int64) / rows
        by_row = differences.sum(axis=0, dtype=np.int64) / seeds
        mean = float(by_seed.mean())
        squares = int(np.count_nonzero(differences)) - seeds * rows * mean**2
        between_seeds = rows * float(np.sum((by_seed - mean) ** 2))
        between_rows = seeds * float(np.sum((by_row - mean) ** 2))
        rest = max(squares - between_seeds - between_rows, 0.0)  # below zero by rounding alone
        a = between_seeds / (seeds - 1)
        b = between_rows / (rows - 1)
        e = rest / ((seeds - 1) * (rows - 1))
        total = max(a + b - e, a, b)
        terms = a**2 / (seeds - 1) + b**2 / (rows - 1) + e**2 / ((seeds - 1) * (rows - 1))
        return cls(
            mean=mean,
            variance=total / (seeds * rows),
            df=max(seeds - 1.0, total**2 / terms if terms else 0.0),
            floor=1.96 * math.sqrt(max(b - e, 0.0) / seeds) / math.sqrt(rows),
            rows=rows,
        )

    def interval(self, level: float) -> Interval:
        """Return the interval that misses the true mean in a share ``level`` of all cases."""
        half = float(special.stdtrit(self.df, 1 - level / 2)) * math.sqrt(self.variance)
        return self.mean - half, self.mean + half

    def rows_needed(self, margin: float) -> int | None:
        """Return how many test rows bring the floor down to the margin; None where these do."""
        if self.floor <= margin or margin == 0:
            return None
        return math.ceil(self.rows * (self.floor / margin) ** 2)


@dataclass(frozen=True)
class NewImages:
    """The interval for new seeds on new test rows, in shares of 1, at the level of the last look.

    ``holds`` says whether it confirms the verdict; None where nothing is decided. The others are
    those of `CrossedRandomEffects`, ``rows_needed`` for the margin.
    """

    interval: Interval
    df: float
    floor: float
    rows: int
    rows_needed: int | None
    holds: bool | None


def for_new_images(
    differences: NDArray[np.int8],
    verdict: Verdict | None,
    levels: tuple[float, float],
    margin: float,
) -> NewImages | None:
    """Return whether a verdict holds for new images, from differences of correctness.

    ``levels`` are the last look's, two- and one-sided; ``margin`` is a share of 1. None for fewer
    than two seeds or two rows. A few rows without a difference prove no equivalence: it takes so
    many that a share of the margin would be seen in one of them with 95 %.
    """
    effects = CrossedRandomEffects.of(differences)
    if effects is None:
        return None
    low, high = effects.interval(levels[0])
    inner_low, inner_high = effects.interval(2 * levels[1])
    enough_rows = 1 - ALPHA ** (1 / effects.rows) < margin
    confirmed = {
        "better": low > 0,
        "worse": high < 0,
        "equivalent": enough_rows and -margin < inner_low and inner_high < margin,
    }
    needed, holds = effects.rows_needed(margin), confirmed.get(verdict or "")
    return NewImages((low, high), effects.df, effects.floor, effects.rows, needed, holds)
