"""Intervals and paired tests: pure functions on arrays whose last axis is the seeds.

They are written out here, with distributions of scipy.special, as the import of scipy.stats would
add half a second to the start of every command.

Sources: Schuirmann 1987 (equivalence), Wilson 1927 (shares), Efron and Tibshirani 1993 (bootstrap),
Agarwal et al. 2021 (probability of improvement).
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]
Interval = tuple[float, float]

EXACT_UP_TO = 16  # pairs; beyond, the patterns are drawn
_DRAWN_PATTERNS = 16_383
_RESAMPLES = 2_000
ROUNDING = 1e-9  # two sums closer than this share of their terms' sizes are a tie


def mean_interval(values: ArrayLike, level: float = 0.05) -> tuple[Array, Array]:
    """Student's t interval of the mean, ``mean ± t(n - 1) · s / √n``, missed in ``level`` of cases.

    ``values`` (..., n) gives low and high (...), in their unit; ValueError for n < 2.
    """
    values = _checked(values, at_least=2)
    pairs = values.shape[-1]
    mean = values.mean(axis=-1)
    quantile = special.stdtrit(pairs - 1, 1 - level / 2)
    half = quantile * values.std(axis=-1, ddof=1) / math.sqrt(pairs)
    return mean - half, mean + half


def sign_flip_p_value(differences: ArrayLike) -> Array:
    """Two-sided p of the sign-flip test: if the two sides are alike, all signs are equally likely.

    ``differences`` (..., n) gives (...). Up to ``EXACT_UP_TO`` pairs all 2**n patterns of signs are
    counted; beyond, 16,383 are drawn with a fixed seed, and p = (1 + hits) / (1 + patterns). A hit
    is a pattern whose mean is at least as far from zero as the observed one, rounding errors aside.
    Neither the order of the pairs nor a flip of all signs changes p. Raises ValueError for n < 1.
    """
    differences = _checked(differences, at_least=1)
    pairs = differences.shape[-1]
    rows = differences.reshape(-1, pairs)
    sizes = np.sort(np.abs(rows), axis=-1)
    observed = np.abs(rows.sum(axis=-1)) - ROUNDING * sizes.sum(axis=-1)
    hits = np.zeros(len(rows), dtype=np.int64)
    patterns = len(_signs(pairs))
    for first in range(0, patterns, 1024):  # parts that stay in the processor's cache
        signs = _signs(pairs)[first : first + 1024]
        for start in range(0, len(rows), 128):
            part = slice(start, start + 128)
            sums = np.abs(signs @ sizes[part].T)
            hits[part] += np.count_nonzero(sums >= observed[part], axis=0)
    p_values = hits / patterns if pairs <= EXACT_UP_TO else (1 + hits) / (1 + patterns)
    return p_values.reshape(differences.shape[:-1])


@lru_cache(maxsize=16)
def _signs(pairs: int) -> Array:
    """Return patterns (patterns, pairs) of 1 and -1, drawn where there are too many for all.

    Of all patterns it is the half with the last sign positive, as the other half mirrors it.
    """
    if pairs <= EXACT_UP_TO:
        bits = np.arange(2 ** (pairs - 1))[:, None] >> np.arange(pairs) & 1
    else:
        shape = (_DRAWN_PATTERNS, pairs)
        bits = np.random.default_rng(0).integers(2, size=shape, dtype=np.int8)
    return 1.0 - 2.0 * bits.astype(np.float64)


def t_test_p_value(differences: ArrayLike) -> Array:
    """Two-sided p of Student's t test of the mean against zero; ``differences`` (..., n).

    Without any deviation it is 0, or 1 where the mean is zero. Raises ValueError for n < 2.
    """
    differences = _checked(differences, at_least=2)
    return np.minimum(2 * _one_sided(differences, np.abs(differences.mean(axis=-1))), 1.0)


def _one_sided(differences: Array, distance: Array) -> Array:
    """Return the p of a mean that lies so far from a bound; without any deviation, 0 or 1."""
    pairs = differences.shape[-1]
    error = differences.std(axis=-1, ddof=1) / math.sqrt(pairs)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = special.stdtr(pairs - 1, -distance / error)
    return np.where(error > 0, p_values, np.where(distance > 0, 0.0, 1.0))


def smallest_p_value(pairs: int) -> float:
    """Return the smallest p that the sign-flip test of so many pairs can have."""
    return float(2.0 ** (1 - pairs)) if pairs <= EXACT_UP_TO else 1 / (1 + _DRAWN_PATTERNS)


def equivalence_p_value(differences: ArrayLike, margin: float) -> Array:
    """P of the two one-sided t tests that the mean lies inside ± ``margin`` (Schuirmann 1987).

    It is the larger of both. ``differences`` (..., n) gives (...), ``margin`` is in their unit. All
    zero lie inside any margin. Raises ValueError for n < 2 and for a negative margin.
    """
    differences = _checked(differences, at_least=2)
    if not 0 <= margin < math.inf:
        raise ValueError(f"expected a margin of zero or more, got {margin}")
    inside = margin * (1 - ROUNDING) - np.abs(differences.mean(axis=-1))
    p_values = _one_sided(differences, inside)
    return np.where(np.all(differences == 0, axis=-1), 0.0, p_values)


def probability_of_improvement(
    wins: int, ties: int, losses: int
) -> tuple[float, Interval] | tuple[None, None]:
    """Share of pairs won, a tie counting half, with its 95 % interval (Wilson 1927), if any."""
    pairs = wins + ties + losses
    if pairs == 0:
        return None, None
    share = (wins + ties / 2) / pairs
    square = float(special.ndtri(0.975)) ** 2 / pairs
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return share, (max(middle - half, 0.0), min(middle + half, 1.0))


def ratio_interval(numerator: ArrayLike, denominator: ArrayLike) -> tuple[float, float, float]:
    """Median over pairs of the ratio of positive values (n,), with its 95 % bootstrap interval.

    Returns ratio, low, high, without unit. Raises ValueError for n < 2 or values not above zero.
    """
    top, bottom = _checked(numerator, at_least=2), _checked(denominator, at_least=2)
    if top.shape != bottom.shape or min(top.min(), bottom.min()) <= 0:
        raise ValueError("expected pairs of positive values")
    ratios = top / bottom
    middles = np.sort(ratios)[_resampled_middles(len(ratios))].mean(axis=-1)
    low, high = np.quantile(middles, [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


@lru_cache(maxsize=2)
def _resampled_middles(count: int) -> NDArray[np.int64]:
    """Return the places (resamples, 2), in the sorted values, of each resample's middle two."""
    places = np.random.default_rng(0).integers(count, size=(_RESAMPLES, count))
    return np.sort(places, axis=-1)[:, [(count - 1) // 2, count // 2]]


def _checked(values: ArrayLike, at_least: int) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 1 or array.shape[-1] < at_least:
        raise ValueError(f"expected at least {at_least} values along the last axis")
    if not np.all(np.abs(array) < 1e100):  # beyond it, squares overflow
        raise ValueError("expected finite values")
    return array
