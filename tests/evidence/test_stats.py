"""Each statistic against an independent implementation or an example worked out in the test."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats

from bnbench.evidence import stats
from bnbench.evidence.stats import Pairs, judge


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(20_190_613)


def enumerated_p_value(differences: np.ndarray) -> float:
    """Count every sign pattern by the letter of the definition, in whole 1/10000."""
    units = [round(difference * 10_000) for difference in differences]
    sums = [
        sum(sign * unit for sign, unit in zip(signs, units, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(units))
    ]
    return sum(abs(total) >= abs(sum(units)) for total in sums) / len(sums)


def on_the_grid(generator: np.random.Generator, n: int, shift: float) -> np.ndarray:
    """Differences of two accuracies on 10,000 images, with the rounding errors these have."""
    ours = np.round(generator.normal(0.87 + shift, 0.001, n), 4)
    return ours - np.round(generator.normal(0.87, 0.001, n), 4)


def test_mean_interval_worked_example():
    """Mean 5, squares 9+1+1+9 = 20, s² = 20/3, s/√4 = 1.29099, t(3; 0.975) = 3.18245."""
    low, high = stats.mean_interval([2.0, 4.0, 6.0, 8.0])
    assert low == pytest.approx(5 - 3.18245 * 1.29099, abs=1e-4)
    assert high == pytest.approx(5 + 3.18245 * 1.29099, abs=1e-4)


def test_mean_interval_is_vectorised_and_agrees_with_scipy(generator):
    """Leading axes stay, and every row has the interval that scipy gives it."""
    values = generator.normal(size=(2, 3, 9))
    low, high = stats.mean_interval(values, confidence=0.9)
    assert low.shape == high.shape == (2, 3)
    row = values[1, 2]
    expected = scipy.stats.t.interval(0.9, 8, row.mean(), scipy.stats.sem(row))
    assert (low[1, 2], high[1, 2]) == pytest.approx(expected)


def test_interval_of_values_without_deviation_is_the_point():
    """Equal values leave no width, and no warning."""
    assert stats.mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf], [1e200, 1.0], 3.0])
def test_mean_interval_refuses_what_has_no_interval(values):
    """Fewer than two values, or values that are no finite numbers, are an error."""
    with pytest.raises(ValueError, match="expected"):
        stats.mean_interval(values)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 11])
@pytest.mark.parametrize("shift", [0.0, 0.0005])
def test_sign_flip_equals_full_enumeration(generator, n, shift):
    """On accuracies, whose ties binary rounding blurs, p is exactly the share that is counted."""
    for _ in range(5):
        differences = on_the_grid(generator, n, shift)
        assert stats.sign_flip_p_value(differences) == enumerated_p_value(differences)


def test_sign_flip_agrees_with_scipy(generator):
    """For one sample of pairs, scipy's exact permutation test of paired values gives the same p."""
    ours, theirs = generator.normal(size=(2, 10))
    expected = scipy.stats.permutation_test(
        (ours, theirs), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=2**11
    )
    assert stats.sign_flip_p_value(ours - theirs) == pytest.approx(expected.pvalue)


def test_sign_flip_is_vectorised(generator):
    """Each row of a stack gets the p that it gets alone, drawn patterns included."""
    for n in (7, 18):
        differences = generator.normal(0.3, 1, size=(2, 100, n))
        p_values = stats.sign_flip_p_value(differences)
        assert p_values.shape == (2, 100)
        assert p_values[1, 77] == stats.sign_flip_p_value(differences[1, 77])


@pytest.mark.parametrize("shift", [0.0, 0.0003, 0.0006])
def test_drawn_patterns_come_near_the_exact_value(generator, shift):
    """With 20 pairs the drawn p lies within four standard errors of the enumerated one."""
    differences = on_the_grid(generator, 20, shift)
    units = [round(difference * 10_000) for difference in differences]
    ways = Counter({0: 1})  # to reach each sum with some of the 2**20 patterns, in whole 1/10000
    for unit in units:
        up = Counter({total + unit: count for total, count in ways.items()})
        ways = up + Counter({total - unit: count for total, count in ways.items()})
    assert ways.total() == 2**20
    exact = sum(ways[total] for total in ways if abs(total) >= abs(sum(units))) / 2**20
    error = 4 * math.sqrt(exact * (1 - exact) / 16_383) + 1 / 16_384
    assert stats.sign_flip_p_value(differences) == pytest.approx(exact, abs=error)


def test_exact_and_drawn_branch_agree(generator, monkeypatch):
    """The same pairs, enumerated and drawn, have the same p to simulation error."""
    differences = generator.normal(0.4, 1, size=16)
    exact = float(stats.sign_flip_p_value(differences))
    monkeypatch.setattr(stats, "EXACT_UP_TO", 15)
    error = 4 * math.sqrt(exact * (1 - exact) / 16_383) + 1 / 16_384
    assert float(stats.sign_flip_p_value(differences)) == pytest.approx(exact, abs=error)


def test_the_order_of_the_seeds_is_no_information(generator):
    """Drawn patterns and resamples meet the values in an order of the values' own."""
    values = generator.normal(0.3, 1, size=25)
    shuffled = generator.permutation(values)
    assert stats.sign_flip_p_value(shuffled) == stats.sign_flip_p_value(values)
    assert stats.sign_flip_p_value(-shuffled) == stats.sign_flip_p_value(values)
    spreads = [stats.bootstrap_interval(x, lambda y: y.std(axis=-1)) for x in (values, shuffled)]
    assert spreads[0] == pytest.approx(spreads[1], rel=1e-12)


@pytest.mark.parametrize(
    ("pairs", "smallest"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (7, 0.015625), (40, 2**-14)]
)
def test_smallest_p_value(pairs, smallest):
    """Pairs that all differ by the same amount reach the smallest p there is, 2 / 2**n."""
    assert stats.sign_flip_p_value(np.full(pairs, 0.004)) == smallest


def test_holm_worked_example():
    """Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04; the last rises."""
    assert stats.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_is_capped_vectorised_and_takes_an_empty_family():
    """No adjusted p exceeds 1 (2 · 0.6), every row is a family, and no contrasts give no p."""
    adjusted = stats.holm([[0.6, 0.7], [0.01, 0.04]])
    assert adjusted.tolist() == [[1.0, 1.0], [0.02, 0.04]]
    assert stats.holm([]).shape == (0,)


def test_within_margin_is_two_one_sided_t_tests(generator):
    """The 90 % interval lies inside the margin exactly where both of scipy's tests reject."""
    differences = generator.normal(0.001, 0.002, size=(300, 8))
    below = scipy.stats.ttest_1samp(differences, 0.003, axis=-1, alternative="less").pvalue
    above = scipy.stats.ttest_1samp(differences, -0.003, axis=-1, alternative="greater").pvalue
    expected = np.maximum(below, above) < 0.05
    assert 0 < expected.sum() < 300
    assert (stats.within_margin(differences, 0.003) == expected).all()


def test_verdicts_put_significance_first():
    """A significant difference is better or worse even inside the margin; else the margin rules."""
    small = np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    differences = np.array([small, -small, small, small])
    found = stats.verdicts(differences, [0.04, 0.04, 0.05, 0.04], margin=2.0)
    assert found.tolist() == ["better", "worse", "equivalent", "better"]
    assert stats.verdicts(small, 0.05, margin=1.2) == "inconclusive"


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_a_margin_is_zero_or_more(margin):
    """A margin that is negative or no number is an error, wherever it comes in."""
    with pytest.raises(ValueError, match="margin"):
        stats.within_margin([0.0, 0.1], margin)
    with pytest.raises(ValueError, match="margin"):
        judge([], margin)
    with pytest.raises(ValueError, match="margin"):
        stats.seeds_needed(1.0, margin)


@pytest.mark.parametrize(
    ("contrasts", "fewest"), [(1, 6), (2, 7), (3, 7), (4, 8), (6, 8), (7, 9), (21, 10)]
)
def test_fewest_pairs_can_reach_significance(contrasts, fewest):
    """The smallest p, 2 / 2**n, times the number of contrasts falls below 0.05 there first."""
    assert stats.fewest_pairs(contrasts) == fewest
    assert contrasts * 2 / 2**fewest < 0.05
    assert fewest == 6 or contrasts * 2 / 2 ** (fewest - 1) >= 0.05


@pytest.mark.parametrize("pairs", [9, 30])
def test_resolvable_difference_has_the_power_by_the_noncentral_t(pairs):
    """scipy's noncentral t gives 80 % at the attained level, 12/256 with 9 and 0.05 with 30."""
    attained = 12 / 256 if pairs == 9 else 0.05
    effect = stats.resolvable_difference(0.2, pairs) / 0.2 * math.sqrt(pairs)
    quantile = scipy.stats.t.ppf(1 - attained / 2, pairs - 1)
    assert scipy.stats.nct.sf(quantile, pairs - 1, effect) == pytest.approx(0.8, abs=1e-4)


def test_resolvable_difference_with_the_fewest_pairs():
    """Six pairs must all have one sign: 0.8 = Φ(d/s)**6, so Φ(d/s) = 0.96349, d/s = 1.7927."""
    assert stats.resolvable_difference(2.0, 6) == pytest.approx(2 * 1.7927, abs=2e-4)


def test_resolvable_difference_refuses_too_few_pairs():
    """Where no p reaches 0.05 no difference is found, however large."""
    with pytest.raises(ValueError, match="6 pairs cannot"):
        stats.resolvable_difference(1.0, 6, contrasts=3)
    with pytest.raises(ValueError, match="deviation"):
        stats.resolvable_difference(math.nan, 6)


@pytest.mark.parametrize("spread", [0.3, 0.6, 1.0, 2.0])
def test_seeds_needed_gives_either_answer_with_the_power(generator, spread):
    """By simulation no answer falls short of 80 % by more than 2 % for t against sign-flip and
    three standard errors of 4,000 trials (1.9 %), and one pair less is too few for one of them.
    """
    needed = stats.seeds_needed(spread, 1.0)
    short = 0.8 - 0.02 - 3 * math.sqrt(0.8 * 0.2 / 4000)
    noise = generator.normal(0, spread, size=(4000, needed))
    assert np.mean(stats.within_margin(noise, 1.0)) > short
    assert np.mean(stats.sign_flip_p_value(noise + 1.0) < 0.05) > short
    if needed > 6:
        fewer = noise[:, :-1]
        equivalent = np.mean(stats.within_margin(fewer, 1.0))
        assert min(equivalent, np.mean(stats.sign_flip_p_value(fewer + 1.0) < 0.05)) < 0.82


def test_seeds_needed_is_the_least_with_enough_power_for_equivalence():
    """With a wide spread two one-sided tests decide: 1 - 2 · P(one fails) passes 0.8 there."""

    def power(pairs: int) -> float:
        quantile = scipy.stats.t.ppf(0.95, pairs - 1)
        return 1 - 2 * scipy.stats.nct.cdf(quantile, pairs - 1, math.sqrt(pairs) / 3)

    needed = stats.seeds_needed(3.0, 1.0)
    assert power(needed - 1) < 0.8 <= power(needed)


def test_seeds_needed_exceeds_the_pairs_that_did_not_settle_it():
    """Bad luck at a sufficient number of pairs (mean 0.5, s = 0.8) still asks for more of them."""
    unit = scipy.stats.zscore([-3, -2, -2, -1, 0, 0, 1, 2, 2, 3], ddof=1)
    (found,) = judge([Pairs(0.5 + 0.8 * unit)], margin=0.9)
    assert found.verdict == "inconclusive"
    assert stats.seeds_needed(0.8, 0.9) <= 10
    assert found.seeds_needed == 11


def test_seeds_needed_at_its_ends():
    """Without deviation the fewest pairs suffice; a hopeless margin still gives a number."""
    assert stats.seeds_needed(0.0, 0.003) == 6
    assert stats.seeds_needed(0.0, 0.003, contrasts=3) == 7
    assert stats.seeds_needed(0.1, 1e-300) > 10**12
    with pytest.raises(ValueError, match="positive margin"):
        stats.seeds_needed(1.0, 0.0)


def test_probability_of_improvement_counts_ties_half():
    """Two wins, one tie and one loss are (2 + 0.5) / 4."""
    assert stats.probability_of_improvement(2, 1, 1) == 0.625
    with pytest.raises(ValueError, match="at least one pair"):
        stats.probability_of_improvement(0, 0, 0)


def test_bootstrap_agrees_with_scipy(generator):
    """For a mean and a median scipy's percentile bootstrap is the same to simulation error."""
    values = generator.normal(size=25)
    for statistic in (np.mean, np.median):
        ours = stats.bootstrap_interval(
            values, lambda x, s=statistic: s(x, axis=-1), resamples=10_000
        )
        theirs = scipy.stats.bootstrap(
            (values,), statistic, method="percentile", n_resamples=10_000, rng=1
        ).confidence_interval
        assert ours == pytest.approx(tuple(theirs), abs=0.03)


def test_ratio_interval(generator):
    """The ratio is the median over pairs, inside its interval, and the pairing takes out drift."""
    drift = generator.uniform(1, 3, size=12)
    ratio, low, high = stats.ratio_interval(1.25 * drift, drift)
    assert (ratio, low, high) == pytest.approx((1.25, 1.25, 1.25))
    ratios = generator.lognormal(0.2, 0.5, 12)
    ratio, low, high = stats.ratio_interval(drift * ratios, drift)
    assert ratio == pytest.approx(np.median(ratios))
    assert low < ratio < high
    for wrong in ([1.0], [1.0, 0.0], [1.0, 1.0, 1.0]):
        with pytest.raises(ValueError, match="expected"):
            stats.ratio_interval(wrong, [1.0] if len(wrong) == 1 else [1.0, 1.0])


def test_all_zero_differences_are_equivalent():
    """Two experiments that agree exactly have p = 1, an interval without width and no NaN."""
    for n in (6, 20):
        (found,) = judge([Pairs(np.zeros(n))], margin=0.0)
        assert (found.verdict, found.p_value, found.p_holm) == ("equivalent", 1.0, 1.0)
        assert (found.mean_difference, found.std_difference, found.ci95) == (0.0, 0.0, (0.0, 0.0))
        assert (found.ties, found.probability_of_improvement) == (n, 0.5)
        assert (found.pairs_required, found.seeds_needed, found.below_margin) == (None, None, False)


def test_what_few_pairs_cannot_tell_is_absent():
    """No pair has no mean, one no deviation, under six no verdict: the number it takes is."""
    none, one, four = judge([Pairs([]), Pairs([0.25]), Pairs([0.25, 0.5, 0.0, -0.25])], 0.1)
    assert (none.mean_difference, none.probability_of_improvement) == (None, None)
    assert none.pairs_required == 6
    assert (one.mean_difference, one.std_difference, one.ci95, one.p_value) == (0.25,) + (None,) * 3
    assert (one.probability_of_improvement, one.probability_ci95) == (1.0, None)
    assert one.pairs_required == 6
    assert (four.wins, four.ties, four.losses) == (2, 1, 1)
    assert four.std_difference == pytest.approx(math.sqrt((0.125**2 * 2 + 0.375**2 * 2) / 3))
    assert (four.p_value, four.p_holm, four.verdict) == (0.75, None, None)
    assert four.pairs_required == 6


def test_a_diverged_side_loses_its_pairs():
    """Diverged pairs count in wins and losses and in their probability, not in the mean."""
    (found,) = judge([Pairs([0.1] * 5 + [-0.1], won=1, lost=3)], margin=0.1)
    assert (found.pairs, found.wins, found.ties, found.losses) == (6, 6, 0, 4)
    assert found.probability_of_improvement == 0.6
    assert found.mean_difference == pytest.approx(0.4 / 6)
    expected = scipy.stats.bootstrap(
        ([1.0] * 6 + [0.0] * 4,), np.mean, method="percentile", n_resamples=10_000, rng=1
    ).confidence_interval
    assert found.probability_ci95 == pytest.approx(tuple(expected), abs=0.1)


def test_a_family_is_judged_by_holm():
    """Of p = 2/128 and twice 4/128, Holm keeps the first (3 · 2/128) and not the others."""
    steady = np.arange(1, 8) / 10_000 + 0.01
    shaky = np.array([-1, 8, 8, 8, 8, 8, 8]) / 1000
    found = judge([Pairs(shaky), Pairs(steady), Pairs(-shaky), Pairs([0.1, 0.2])], margin=0.003)
    assert [c.p_value for c in found[:3]] == [4 / 128, 2 / 128, 4 / 128]
    assert [c.p_holm for c in found] == [8 / 128, 6 / 128, 8 / 128, None]
    assert [c.verdict for c in found] == ["inconclusive", "better", "inconclusive", None]
    assert found[0].pairs_required is None
    assert found[0].seeds_needed == stats.seeds_needed(found[0].std_difference, 0.003, 3)


def test_a_small_significant_difference_is_below_the_margin():
    """A difference can be certain and yet too small to matter."""
    tiny, large = judge([Pairs(np.arange(1, 11) / 10_000), Pairs(np.arange(11, 21) / 1000)], 0.003)
    assert (tiny.verdict, tiny.below_margin) == ("better", True)
    assert (large.verdict, large.below_margin) == ("better", False)


def test_a_family_too_large_for_its_pairs_says_so():
    """Six pairs can be equivalent among three contrasts, but neither better nor worse."""
    family = [Pairs(np.full(6, 0.5)), Pairs(np.full(6, 0.001)), Pairs(np.zeros(6))]
    certain, small, same = judge(family, margin=0.003)
    assert (certain.verdict, certain.seeds_needed) == ("inconclusive", 7)
    assert certain.pairs_required == 7
    assert (small.verdict, same.verdict) == ("equivalent", "equivalent")
    assert small.pairs_required is None


def test_more_pairs_elsewhere_can_make_room_for_few():
    """After Holm has rejected the contrast with many pairs, six pairs need only reach 0.05."""
    many, few = judge([Pairs(np.full(12, 0.01)), Pairs(np.full(6, 0.01))], margin=0.003)
    assert (many.p_holm, few.p_holm) == (2 * 2 / 2**12, 2 / 2**6)
    assert few.verdict == "better"


def test_no_number_of_seeds_settles_a_margin_of_zero():
    """Without a margin an inconclusive contrast has no number of seeds to name."""
    (found,) = judge([Pairs([0.1, -0.1, 0.2, -0.2, 0.3, -0.1])], margin=0.0)
    assert (found.verdict, found.seeds_needed) == ("inconclusive", None)
