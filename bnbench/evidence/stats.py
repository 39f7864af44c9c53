"""Intervals, paired tests and verdicts: pure functions on arrays whose last axis is the seeds.

Sources: Holm 1979 (many contrasts), Schuirmann 1987 and Julious 2004 (equivalence, numbers of
pairs), Efron and Tibshirani 1993 (bootstrap), Agarwal et al. 2021 (probability of improvement).
"""

import bisect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]
Interval = tuple[float, float]

ALPHA = 0.05
POWER = 0.8
MINIMUM_PAIRS = 6  # five pairs allow no two-sided sign-flip p below 2 / 2**5 = 0.0625
EXACT_UP_TO = 16  # pairs; beyond, the patterns are drawn
_DRAWN_PATTERNS = 16_383
_RESAMPLES = 2_000
_ROUNDING = 1e-9  # two sums closer than this share of their terms' sizes are a tie


@dataclass(frozen=True)
class Pairs:
    """One experiment against another: what a contrast is computed from.

    ``differences`` (n,) are this minus the other, in the metric's unit, over the seeds that both
    completed; ``won`` and ``lost`` count the further seeds at which the other or this one diverged.
    """

    differences: ArrayLike
    won: int = 0
    lost: int = 0


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What the pairs say. None stands for what so few pairs cannot tell, never for zero.

    ``pairs``, mean, deviation (n - 1 in the divisor), interval and p-values are over the seeds that
    both sides completed; wins, losses and the probability of improvement also count the diverged.
    ``p_holm`` is adjusted over the contrasts of the family that have ``MINIMUM_PAIRS``. Without a
    verdict, or where so many contrasts could not find one better or worse, ``pairs_required`` is
    the number of pairs from which they can. ``below_margin`` marks a better or worse whose 90 %
    interval lies inside the margin. ``seeds_needed`` is given where the verdict is inconclusive
    (and the margin not zero) and always exceeds ``pairs``.
    """

    pairs: int
    mean_difference: float | None
    std_difference: float | None = None
    ci95: Interval | None = None
    p_value: float | None = None
    p_holm: float | None = None
    wins: int
    ties: int
    losses: int
    probability_of_improvement: float | None = None
    probability_ci95: Interval | None = None
    verdict: str | None = None
    pairs_required: int | None = None
    below_margin: bool = False
    seeds_needed: int | None = None


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[Array, Array]:
    """Student's t interval of the mean, ``mean ± t(n - 1) · s / √n``.

    ``values`` (..., n) gives low and high (...), in the unit of the values. Without any deviation
    both are the mean. Raises ValueError for n < 2.
    """
    values = _checked(values, at_least=2)
    pairs = values.shape[-1]
    mean = values.mean(axis=-1)
    quantile = special.stdtrit(pairs - 1, 0.5 + confidence / 2)
    half = quantile * values.std(axis=-1, ddof=1) / math.sqrt(pairs)
    return mean - half, mean + half


def sign_flip_p_value(differences: ArrayLike) -> Array:
    """Two-sided p of the sign-flip test on the mean: if the two sides are alike, every sign is.

    ``differences`` (..., n) gives (...). Up to ``EXACT_UP_TO`` pairs all 2**n patterns are counted,
    beyond it 16,383 drawn with a fixed seed, and p = (1 + hits) / (1 + patterns). A pattern whose
    mean is as far from zero as the observed one is a hit, rounding errors aside. Neither the order
    of the pairs nor a flip of all signs changes p. Raises ValueError for n < 1.
    """
    differences = _checked(differences, at_least=1)
    pairs = differences.shape[-1]
    rows = differences.reshape(-1, pairs)
    sizes = np.sort(np.abs(rows), axis=-1)
    observed = np.abs(rows.sum(axis=-1)) - _ROUNDING * sizes.sum(axis=-1)
    hits = np.zeros(len(rows), dtype=np.int64)
    patterns = 0
    for signs in _sign_patterns(pairs):
        patterns += len(signs)
        for start in range(0, len(rows), 128):
            part = slice(start, start + 128)
            sums = signs @ sizes[part].T
            np.abs(sums, out=sums)
            hits[part] += np.count_nonzero(sums >= observed[part], axis=0)
    p_values = hits / patterns if pairs <= EXACT_UP_TO else (1 + hits) / (1 + patterns)
    return p_values.reshape(differences.shape[:-1])


def _sign_patterns(pairs: int, chunk: int = 1024) -> Iterator[Array]:
    if pairs <= EXACT_UP_TO:  # the half with the last sign positive; the other half mirrors it
        patterns = 2 ** (pairs - 1)
        for start in range(0, patterns, chunk):
            codes = np.arange(start, min(start + chunk, patterns))
            yield _signs(codes[:, None] >> np.arange(pairs) & 1)
    else:
        drawn = _drawn_bits(pairs)
        for start in range(0, _DRAWN_PATTERNS, chunk):
            yield _signs(drawn[start : start + chunk])


@lru_cache(maxsize=1)
def _drawn_bits(pairs: int) -> NDArray[np.int8]:
    shape = (_DRAWN_PATTERNS, pairs)
    return np.random.default_rng(0).integers(2, size=shape, dtype=np.int8)


def _signs(bits: NDArray[np.integer]) -> Array:
    return 1.0 - 2.0 * bits.astype(np.float64)


def holm(p_values: ArrayLike) -> Array:
    """Holm's step-down adjusted p-values (..., k) of families of k, each at most 1 (Holm 1979)."""
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, axis=-1)
    count = p_values.shape[-1]
    steps = np.take_along_axis(p_values, order, axis=-1) * np.arange(count, 0, -1)
    adjusted = np.empty_like(p_values)
    rising = np.minimum(np.maximum.accumulate(steps, axis=-1), 1.0)
    np.put_along_axis(adjusted, order, rising, axis=-1)
    return adjusted


def within_margin(differences: ArrayLike, margin: float) -> NDArray[np.bool_]:
    """Whether the 90 % t interval of the mean lies inside ± ``margin``, the metric's own unit.

    The same as two one-sided t tests at 5 % each (Schuirmann 1987). ``differences`` (..., n) gives
    (...). Differences that are all zero lie inside any margin. Raises ValueError for n < 2 or a
    negative margin.
    """
    inner = _checked_margin(margin) * (1 - _ROUNDING)
    low, high = mean_interval(differences, confidence=1 - 2 * ALPHA)
    nothing = np.all(np.asarray(differences) == 0, axis=-1)
    return np.asarray(nothing | ((-inner < low) & (high < inner)))


def verdicts(differences: ArrayLike, p_holm: ArrayLike, margin: float) -> NDArray[np.str_]:
    """``better`` or ``worse`` (``p_holm`` < 0.05), else ``equivalent``, else ``inconclusive``.

    ``differences`` (..., n) and ``p_holm`` (...) give (...). The sign of the mean tells better from
    worse; equivalent is what ``within_margin`` holds for. Below ``MINIMUM_PAIRS`` the answer says
    too little to be shown. Raises ValueError for n < 2 or a negative margin.
    """
    inside = within_margin(differences, margin)
    mean = np.asarray(differences, dtype=np.float64).mean(axis=-1)
    significant = np.asarray(p_holm) < ALPHA
    conditions = [significant & (mean > 0), significant & (mean < 0), inside]
    return np.select(conditions, ["better", "worse", "equivalent"], "inconclusive")


def fewest_pairs(contrasts: int = 1) -> int:
    """Return the number of pairs from which a family of ``contrasts`` can find a difference."""
    pairs = MINIMUM_PAIRS
    while not _attainable_level(pairs, contrasts):
        pairs += 1
    return pairs


def _attainable_level(pairs: int, contrasts: int) -> float:
    """Return the largest sign-flip p that Holm's first step calls significant, 0 if none is."""
    step = _smallest_p_value(pairs)
    return (math.ceil(ALPHA / contrasts / step) - 1) * step


def _smallest_p_value(pairs: int) -> float:
    return float(2.0 ** (1 - min(pairs, 50)))


def resolvable_difference(std: float, pairs: int, contrasts: int = 1) -> float:
    """Return the smallest true mean difference that is found significant with 80 % power.

    ``std`` is that of the paired differences, whose unit the answer has, and Holm's first step over
    ``contrasts`` sets the level. Where only differences of one sign reach it, the power is
    Φ(difference / std) ** pairs. Elsewhere the t test at the level that the sign-flip test attains
    stands for it: with d the answer and T noncentral t, P(T(pairs - 1, d √pairs / std) > t) = 0.8.
    Raises ValueError below ``fewest_pairs(contrasts)`` and for a std that is negative or no number.
    """
    if not 0 <= std < math.inf:
        raise ValueError(f"expected a standard deviation of zero or more, got {std}")
    if pairs < fewest_pairs(contrasts):
        raise ValueError(f"{pairs} pairs cannot find a difference over {contrasts} contrasts")
    level = _attainable_level(pairs, contrasts)
    if level == _smallest_p_value(pairs):
        return float(special.ndtri(POWER ** (1 / pairs)) * std)
    return _noncentrality(pairs, level / 2, POWER) * std / math.sqrt(pairs)


def _noncentrality(pairs: int, level: float, power: float) -> float:
    quantile = special.stdtrit(pairs - 1, 1 - level)
    return float(special.nctdtrinc(pairs - 1, 1 - power, quantile))


def seeds_needed(std: float, margin: float, contrasts: int = 1) -> int:
    """Return the number of pairs that settles the margin, at least ``fewest_pairs(contrasts)``.

    With it a true difference of the margin is found significant (see ``resolvable_difference``) and
    a true difference of zero is found equivalent, each with 80 % power or a little more. For the
    latter either one-sided t test may fail once in ten: P(T(n - 1, margin √n / std) > t) = 0.9 with
    T noncentral t (Julious 2004). ``std`` is as in ``resolvable_difference``. A margin under a
    millionth of the std counts as that. Raises ValueError unless the margin is positive.
    """
    if _checked_margin(margin) == 0:
        raise ValueError("expected a positive margin, got 0")
    spread = min(std / margin, 1e6)

    def settles(pairs: int) -> bool:
        equivalence = _noncentrality(pairs, ALPHA, (1 + POWER) / 2) * spread / math.sqrt(pairs)
        return equivalence <= 1 and resolvable_difference(spread, pairs, contrasts) <= 1

    fewest = most = fewest_pairs(contrasts)
    while not settles(most):
        most *= 2
    return fewest + bisect.bisect_left(range(fewest, most), True, key=settles)


def probability_of_improvement(wins: int, ties: int, losses: int) -> float:
    """Share of pairs that are won, a tie counting half. Raises ValueError where there are none."""
    if wins + ties + losses < 1:
        raise ValueError("expected at least one pair")
    return (wins + ties / 2) / (wins + ties + losses)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[[Array], ArrayLike],
    confidence: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval over the seeds (Efron and Tibshirani 1993, chapter 13).

    ``statistic`` takes (resamples, n) to (resamples,). The order of ``values`` (n,) does not
    matter. Raises ValueError for n < 2.
    """
    values = np.sort(_checked(values, at_least=2))
    drawn = _resampled_places(seed, resamples, len(values))
    tail = (1 - confidence) / 2
    resampled = np.asarray(statistic(values[drawn]), dtype=np.float64)
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


@lru_cache(maxsize=2)
def _resampled_places(seed: int, resamples: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(count, size=(resamples, count))


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
    """Return where (resamples, 2) in the sorted values the middle two of each resample stand."""
    places = np.sort(_resampled_places(0, _RESAMPLES, count), axis=-1)
    return places[:, [(count - 1) // 2, count // 2]]


def judge(family: Sequence[Pairs], margin: float) -> tuple[Contrast, ...]:
    """Return one ``Contrast`` for each of the family's ``Pairs``, judged together.

    ``margin`` is in the metric's own unit. No finite input yields NaN. Raises ValueError for values
    that are not finite and for a negative margin.
    """
    _checked_margin(margin)
    rows = [np.sort(_checked(pairs.differences, at_least=0)) for pairs in family]
    contrasts = [_described(row, pairs) for row, pairs in zip(rows, family, strict=True)]
    judged = [i for i, row in enumerate(rows) if len(row) >= MINIMUM_PAIRS]
    p_holm = holm(np.array([contrasts[i].p_value for i in judged], dtype=np.float64))
    too_few = holm([_smallest_p_value(len(rows[i])) for i in judged]) >= ALPHA
    for i, p, hopeless in zip(judged, p_holm.tolist(), too_few.tolist(), strict=True):
        contrast = replace(contrasts[i], p_holm=p, verdict=str(verdicts(rows[i], p, margin)))
        if contrast.verdict == "inconclusive":
            contrasts[i] = _explained(contrast, rows[i], margin, len(judged), hopeless)
        else:
            inside = contrast.verdict != "equivalent" and bool(within_margin(rows[i], margin))
            contrasts[i] = replace(contrast, pairs_required=None, below_margin=inside)
    return tuple(contrasts)


def negated(contrast: Contrast) -> Contrast:
    """Return the contrast of gains as one of differences in a metric of which less is better."""
    mean, interval = contrast.mean_difference, contrast.ci95
    return replace(
        contrast,
        mean_difference=None if mean is None else -mean,
        ci95=(-interval[1], -interval[0]) if interval else None,
    )


def _described(differences: Array, pairs: Pairs) -> Contrast:
    count = len(differences)
    several = count > 1
    low, high = mean_interval(differences) if several else (np.nan, np.nan)
    wins = int(np.sum(differences > 0)) + pairs.won
    ties = int(np.sum(differences == 0))
    losses = int(np.sum(differences < 0)) + pairs.lost
    outcomes = np.repeat([0.0, 0.5, 1.0], [losses, ties, wins])
    mean = partial(np.mean, axis=-1)
    return Contrast(
        pairs=count,
        mean_difference=float(differences.mean()) if count else None,
        std_difference=float(differences.std(ddof=1)) if several else None,
        ci95=(float(low), float(high)) if several else None,
        p_value=float(sign_flip_p_value(differences)) if several else None,
        wins=wins,
        ties=ties,
        losses=losses,
        probability_of_improvement=(
            probability_of_improvement(wins, ties, losses) if len(outcomes) else None
        ),
        probability_ci95=bootstrap_interval(outcomes, mean) if len(outcomes) > 1 else None,
        pairs_required=MINIMUM_PAIRS,
    )


def _explained(
    contrast: Contrast, differences: Array, margin: float, contrasts: int, hopeless: bool
) -> Contrast:
    """Say what an inconclusive contrast lacks; the pairs it has did not settle it."""
    required = fewest_pairs(contrasts) if hopeless else None
    needed = None
    if margin > 0:
        std = float(differences.std(ddof=1))
        needed = max(seeds_needed(std, margin, contrasts), contrast.pairs + 1)
    return replace(contrast, pairs_required=required, seeds_needed=needed)


def _checked(values: ArrayLike, at_least: int) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 1 or array.shape[-1] < at_least:
        raise ValueError(f"expected at least {at_least} values along the last axis")
    if not np.all(np.abs(array) < 1e100):  # beyond it, squares overflow
        raise ValueError("expected finite values")
    return array


def _checked_margin(margin: float) -> float:
    if not 0 <= margin < math.inf:
        raise ValueError(f"expected a margin of zero or more, got {margin}")
    return margin
