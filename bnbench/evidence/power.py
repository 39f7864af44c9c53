"""Power: how many seeds have an 80 % chance of deciding, and which difference so many find.

Normal and noncentral t approximations for one look; the true chance is a little larger, as an
earlier look may already decide. Source: Julious 2004.
"""

import math
from collections.abc import Sequence

from scipy import special

from bnbench.evidence.pairs import Sample

POWER = 0.8


def seeds_needed(
    seen: Sample, truth: float, margin: float, looks: Sequence[tuple[int, float, float]]
) -> int | None:
    """Return the first of the coming looks that decides with 80 % power; None where none does.

    The pairs ``seen`` remain in the sample; those to come are taken to be normal with mean
    ``truth`` and the same deviation. ``looks`` are numbers of pairs, each with the two-sided level
    of a difference and the one-sided of equivalence. A mean decides if it is far enough from zero
    or, inside ± ``margin``, far enough from either end.
    """
    mean, std = seen.mean, seen.std
    if mean is None or std is None:
        return None
    for pairs, two_sided, one_sided in looks:
        coming = pairs - seen.pairs
        centre = (seen.pairs * mean + coming * truth) / pairs
        error = std / math.sqrt(pairs)
        outer = special.stdtrit(pairs - 1, 1 - two_sided / 2) * error
        inner = max(margin - special.stdtrit(pairs - 1, 1 - one_sided) * error, 0.0)
        spread = std * math.sqrt(coming) / pairs
        undecided = sum(_within(s * centre, spread, inner, outer) for s in (1, -1))
        if undecided <= 1 - POWER:
            return pairs
    return None


def _within(centre: float, spread: float, low: float, high: float) -> float:
    """Return the probability that a normal variable lies between two bounds."""
    if low >= high:
        return 0.0
    if spread == 0:
        return float(low < centre < high)
    return float(special.ndtr((high - centre) / spread) - special.ndtr((low - centre) / spread))


def resolvable_difference(std: float, pairs: int, level: float) -> float:
    """Return the smallest true mean difference that one look finds with 80 % power.

    ``std`` is that of the paired differences, whose unit the answer has; ``level`` is two-sided.
    With T noncentral t, P(T(pairs - 1, d √pairs / std) > t(1 - level / 2)) = 0.8.
    """
    quantile = special.stdtrit(pairs - 1, 1 - level / 2)
    return float(special.nctdtrinc(pairs - 1, 1 - POWER, quantile)) * std / math.sqrt(pairs)
