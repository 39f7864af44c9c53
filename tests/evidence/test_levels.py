"""The levels of the looks, against the walks they are made for and an integral done otherwise."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats

from bnbench.evidence.levels import nominal_levels
from bnbench.experiments.config import PlanConfig

DEFAULT = PlanConfig().looks
WALKS = 200_000
PLANS = {
    "default": (DEFAULT, 0.05),
    "a family of six": (DEFAULT, 0.05 / 6),
    "few seeds": (PlanConfig(first=6, step=3, most=30).looks, 0.05),
    "one look": ((12,), 0.05),
    "a look at each seed": (PlanConfig(first=5, step=1, most=20).looks, 0.05),
    "a last step that is short": ((10, 25, 40, 42), 0.05),
    "many looks": (PlanConfig(first=2, step=1, most=60).looks, 0.05),
}


def critical(looks: tuple[int, ...], alpha: float, sides: int) -> np.ndarray:
    """What the standardized mean must exceed at each look."""
    return -scipy.stats.norm.ppf(np.array(nominal_levels(looks, alpha, sides)) / sides)


def first_crossings(looks: tuple[int, ...], alpha: float, sides: int) -> np.ndarray:
    """Count, look by look, the walks without a drift that first cross the boundary there."""
    generator = np.random.default_rng(len(looks) * sides)
    position = np.zeros(WALKS)
    counts = []
    for before, pairs, boundary in zip(
        (0, *looks), looks, critical(looks, alpha, sides), strict=False
    ):
        position += generator.normal(0, math.sqrt(pairs - before), len(position))
        reach = np.abs(position) if sides == 2 else position
        crossed = reach >= boundary * math.sqrt(pairs)
        counts.append(np.count_nonzero(crossed))
        position = position[~crossed]
    return np.array(counts)


def test_the_default_plan_has_the_critical_values_of_its_recursion():
    """For 40 seeds, looked at from 10 on by 5, they are those that were worked out beforehand."""
    expected = [2.498, 2.561, 2.514, 2.462, 2.413, 2.369, 2.327]
    assert critical(DEFAULT, 0.05, 2) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("plan", PLANS)
def test_walks_without_a_drift_cross_as_often_as_the_level_says(plan, sides):
    """Up to n of N pairs the share that ever crossed is alpha · n / N, to three standard errors."""
    looks, alpha = PLANS[plan]
    share = np.cumsum(first_crossings(looks, alpha, sides)) / WALKS
    expected = alpha * np.array(looks) / looks[-1]
    error = np.sqrt(expected * (1 - expected) / WALKS)
    assert np.max(np.abs(share - expected) / error) <= 3


@pytest.mark.parametrize("sides", [1, 2])
def test_two_looks_spend_what_the_bivariate_normal_says(sides):
    """After 10 and 25 pairs scipy's own integral leaves 1 - alpha within both boundaries."""
    upper = critical((10, 25), 0.05, sides)
    lower = -upper if sides == 2 else np.full(2, -np.inf)
    correlation = math.sqrt(10 / 25)
    together = scipy.stats.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    assert together.cdf(upper, lower_limit=lower) == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize("sides", [1, 2])
def test_one_look_has_the_whole_level(sides):
    """Who looks once tests as if there were no plan."""
    assert nominal_levels((12,), 0.03, sides) == pytest.approx((0.03,), rel=1e-6)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("plan", PLANS)
def test_a_larger_level_is_larger_at_every_look(plan, sides):
    """Holm over several looks needs that: with fewer contrasts left nothing is rejected less."""
    looks, _ = PLANS[plan]
    levels = [nominal_levels(looks, 0.05 / left, sides) for left in (12, 6, 3, 2, 1)]
    for small, large in pairwise(levels):
        assert np.all(np.array(small) < large)


@pytest.mark.parametrize("looks", [DEFAULT, PlanConfig(step=1, most=400).looks])
def test_two_sides_are_twice_one_side(looks):
    """Hardly a walk crosses both boundaries, so that either side has half the level, also where
    hundreds of looks add little each.
    """
    one_side = nominal_levels(looks, 0.025, 1)
    assert nominal_levels(looks, 0.05, 2) == pytest.approx([2 * p for p in one_side], rel=0.002)


def test_levels_depend_on_the_shares_of_the_seeds_alone():
    """Ten times the seeds at each look make no difference."""
    tenfold = nominal_levels(tuple(10 * pairs for pairs in DEFAULT))
    assert tenfold == pytest.approx(nominal_levels(DEFAULT), rel=1e-6)


@pytest.mark.parametrize(
    ("looks", "alpha"),
    [((), 0.05), ((10, 10), 0.05), ((20, 10), 0.05), ((0, 10), 0.05), ((10,), 0.0), ((10,), 1.0)],
)
def test_looks_that_do_not_rise_and_levels_that_are_no_share_are_refused(looks, alpha):
    """A plan is rising numbers of pairs, a level lies between 0 and 1."""
    with pytest.raises(ValueError, match="rising"):
        nominal_levels(looks, alpha)
