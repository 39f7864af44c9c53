"""How many seeds will do, by simulation of the seeds to come and by the noncentral t."""

import math

import numpy as np
import pytest
import scipy.stats

from bnbench.evidence import power, stats
from bnbench.evidence.levels import nominal_levels
from bnbench.evidence.pairs import Sample
from bnbench.experiments.config import PlanConfig

LOOKS = PlanConfig().looks
MARGIN = 0.3
FUTURES = 1_000
TEN = scipy.stats.zscore([-3, -2, -2, -1, 0, 0, 1, 2, 2, 3], ddof=1)

SETTINGS = [  # mean and deviation of the ten seen, the truth, the look that is named
    (0.27, 0.3, 0.27, 15),
    (0.2, 0.4, 0.2, 35),
    (0.2, 0.4, 0.3, 30),
    (0.05, 0.4, 0.0, 25),
]


def named(
    mean: float, std: float, truth: float, seen: int = 10, margin: float = MARGIN
) -> int | None:
    """Return the look of the default plan that is named once so many pairs were seen."""
    levels = zip(LOOKS, nominal_levels(LOOKS), nominal_levels(LOOKS, sides=1), strict=True)
    coming = [look for look in levels if look[0] > seen]
    pairs = Sample(tuple(mean + std * np.resize(TEN, seen)))
    return power.seeds_needed(pairs, truth, margin, coming)


def decided(mean: float, std: float, truth: float, seeds: int) -> float:
    """Share of the futures of ten such pairs that this look alone decides."""
    generator = np.random.default_rng(seeds)
    coming = generator.normal(truth, std, (FUTURES, seeds - 10))
    differences = np.hstack([np.tile(mean + std * TEN, (FUTURES, 1)), coming])
    place = LOOKS.index(seeds)
    differ = stats.sign_flip_p_value(differences) <= nominal_levels(LOOKS)[place]
    alike = stats.equivalence_p_value(differences, MARGIN) <= nominal_levels(LOOKS, sides=1)[place]
    return float(np.mean(differ | alike))


@pytest.mark.parametrize(("mean", "std", "truth", "look"), SETTINGS)
def test_the_look_that_is_named_decides_with_80_percent_power(mean, std, truth, look):
    """By the tests themselves it decides in 75 % at least, as the 80 % are an approximation, and
    the look before it in less than 85 %.
    """
    assert named(mean, std, truth) == look
    assert decided(mean, std, truth, look) >= 0.75
    if look > 15:
        assert decided(mean, std, truth, look - 5) < 0.85


def test_what_is_nearly_decided_needs_the_next_look():
    """Ten pairs that miss their level by a hair are decided by five more of the kind."""
    just_missed = stats.mean_interval(TEN, nominal_levels(LOOKS)[0])[1]
    assert named(mean=0.98 * float(just_missed), std=1.0, truth=0.98 * float(just_missed)) == 15


def test_no_look_is_named_where_none_will_do():
    """A difference too small for the plan, or too near the margin, has no number."""
    assert named(0.1, 2.0, 0.1) is None
    assert named(0.1, 2.0, 0.1, margin=0.0) is None
    assert named(0.24, 0.3, 0.24, seen=40) is None


@pytest.mark.parametrize(("mean", "margin"), [(0.2, 0.3), (0.0, 0.3), (0.2, 0.0)])
def test_without_a_deviation_the_next_look_decides(mean, margin):
    """Pairs that never vary are better or equivalent as soon as one may look."""
    assert named(mean, 0.0, mean, margin=margin) == 15


def test_the_sign_of_the_mean_is_of_no_account():
    """What is worse needs as many seeds as what is better."""
    for mean, std, truth, look in SETTINGS:
        assert named(-mean, std, -truth) == look


@pytest.mark.parametrize("pairs", [2, 9, 30])
@pytest.mark.parametrize("level", [0.05, 0.0125])
def test_resolvable_difference_has_the_power_by_the_noncentral_t(pairs, level):
    """scipy's noncentral t finds it in 80 % of cases."""
    effect = power.resolvable_difference(0.2, pairs, level) / 0.2 * math.sqrt(pairs)
    quantile = scipy.stats.t.ppf(1 - level / 2, pairs - 1)
    assert scipy.stats.nct.sf(quantile, pairs - 1, effect) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("place", [0, 6])
def test_t_tests_find_the_resolvable_difference_four_times_in_five(place):
    """scipy's t test of 10,000 studies finds it in 80 % of them, to three standard errors (1.2 %),
    and the sign-flip test of a tenth of these in no less, by the rougher error of theirs.
    """
    pairs, level = LOOKS[place], nominal_levels(LOOKS)[place]
    true = power.resolvable_difference(0.4, pairs, level)
    studies = np.random.default_rng(place).normal(true, 0.4, (10_000, pairs))
    t_test = scipy.stats.ttest_1samp(studies, 0, axis=-1).pvalue
    assert np.mean(t_test <= level) == pytest.approx(0.8, abs=0.012)
    assert np.mean(stats.sign_flip_p_value(studies[:1_000]) <= level) >= 0.8 - 0.038
