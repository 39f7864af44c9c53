"""The paired differences of two experiments, up to a look, and what they say."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from bnbench.evidence import stats
from bnbench.evidence.stats import ROUNDING, Interval

Outcomes = Mapping[int, float | None]  # by seed; None where the run diverged


class Evidence(NamedTuple):
    """The p-values of "no difference" and of "a difference of the margin or more" at one look."""

    sign: int  # of the mean: 1 where the first experiment is the better one
    p_difference: float
    p_equivalence: float


@dataclass(frozen=True)
class Sample:
    """The differences ``ours`` minus ``theirs`` of some seeds, in the metric's own unit.

    ``differences`` are of the seeds that both sides completed; ``only_ours`` and ``only_theirs``
    count those that one side alone completed, ``diverged`` the runs of each side that diverged.
    More is better where ``direction`` is 1, less where it is -1.
    """

    differences: tuple[float, ...]
    diverged: tuple[int, int] = (0, 0)
    only_ours: int = 0
    only_theirs: int = 0
    direction: int = 1

    @property
    def pairs(self) -> int:
        """How many seeds both sides completed."""
        return len(self.differences)

    @cached_property
    def mean(self) -> float | None:
        """Mean difference."""
        return float(np.sort(self.differences).mean()) if self.pairs else None

    @cached_property
    def std(self) -> float | None:
        """Standard deviation of the differences (n - 1 in the divisor)."""
        return float(np.sort(self.differences).std(ddof=1)) if self.pairs > 1 else None

    @cached_property
    def p_value(self) -> float | None:
        """Two-sided p of the sign-flip test or, where that is larger, of Student's t test.

        With a few seeds far off the former may find a difference where the interval, which is made
        by the latter, has zero.
        """
        if self.pairs < 2:
            return None
        tests = stats.sign_flip_p_value, stats.t_test_p_value
        return max(float(test(self.differences)) for test in tests)

    @property
    def outcomes(self) -> tuple[int, int, int]:
        """Wins, ties and losses, seeds at which one side diverged included."""
        gains = self.direction * np.array(self.differences)
        wins, losses = int(np.sum(gains > 0)), int(np.sum(gains < 0))
        return wins + self.only_ours, self.pairs - wins - losses, losses + self.only_theirs

    @property
    def improvement(self) -> tuple[float, Interval] | tuple[None, None]:
        """Share of wins, a tie counting half, and its 95 % interval."""
        return stats.probability_of_improvement(*self.outcomes)

    def interval(self, level: float) -> Interval | None:
        """Return the t interval of the mean that misses it in a share ``level`` of all cases.

        None for fewer than two pairs and for equal differences that are not zero: their spread is
        not known, and an interval without width would claim that it is.
        """
        if self.std is None or (self.mean and self.std <= ROUNDING * abs(self.mean)):
            return None
        low, high = stats.mean_interval(np.sort(self.differences), level)
        return float(low), float(high)

    def evidence(self, margin: float) -> Evidence:
        """Return the p-values of both tests, 1 where there is nothing to test.

        A side that diverged more often is never better or equivalent: its mean is of survivors.
        """
        if self.mean is None or self.p_value is None:
            return Evidence(0, 1.0, 1.0)
        sign = self.direction * int(np.sign(self.mean))
        ours, theirs = self.diverged
        difference = 1.0 if sign * (ours - theirs) > 0 else self.p_value
        equivalence = float(stats.equivalence_p_value(self.differences, margin))
        return Evidence(sign, difference, equivalence if ours == theirs else 1.0)


@dataclass(frozen=True)
class Pairs:
    """What a contrast is computed from: the outcomes of two experiments, seed by seed.

    ``order`` has the seeds in the order in which they are looked at. More is better where
    ``direction`` is 1, less where it is -1.
    """

    order: tuple[int, ...]
    ours: Outcomes
    theirs: Outcomes
    direction: int = 1

    @cached_property
    def both(self) -> frozenset[int]:
        """The seeds that both sides have recorded."""
        return frozenset(self.ours.keys() & self.theirs.keys())

    @cached_property
    def complete(self) -> int:
        """How many seeds both sides have, from the first on, before the first that one lacks."""
        return sum(1 for _ in takewhile(self.both.__contains__, self.order))

    def sample(self, seeds: int | None = None) -> Sample:
        """Return the sample of the first ``seeds`` that both sides have; by default, of all."""
        chosen = sorted(self.both) if seeds is None else self.order[:seeds]
        outcomes = [(self.ours[seed], self.theirs[seed]) for seed in chosen if seed in self.both]
        differences = tuple(a - b for a, b in outcomes if a is not None and b is not None)
        failed = Counter((a is None, b is None) for a, b in outcomes)
        ours, theirs, both = failed[True, False], failed[False, True], failed[True, True]
        diverged = ours + both, theirs + both
        return Sample(differences, diverged, theirs, ours, self.direction)
