"""Each statistic against an independent implementation or an example worked out in the test."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats

from bnbench.evidence import stats


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
    low, high = stats.mean_interval(values, level=0.0125)
    assert low.shape == high.shape == (2, 3)
    row = values[1, 2]
    expected = scipy.stats.t.interval(1 - 0.0125, 8, row.mean(), scipy.stats.sem(row))
    assert (low[1, 2], high[1, 2]) == pytest.approx(expected)


def test_interval_of_values_without_deviation_is_the_point():
    """Equal values leave no width, and no warning."""
    assert stats.mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf], [1e200, 1.0], 3.0])
def test_what_has_no_interval_is_refused(values):
    """Fewer than two values, or values that are no finite numbers, are an error."""
    with pytest.raises(ValueError, match="expected"):
        stats.mean_interval(values)
    with pytest.raises(ValueError, match="expected"):
        stats.equivalence_p_value(values, 0.003)


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


def test_the_order_of_the_seeds_is_no_information(generator):
    """Drawn patterns meet the values in an order of the values' own."""
    values = generator.normal(0.3, 1, size=25)
    shuffled = generator.permutation(values)
    assert stats.sign_flip_p_value(shuffled) == stats.sign_flip_p_value(values)
    assert stats.sign_flip_p_value(-shuffled) == stats.sign_flip_p_value(values)


@pytest.mark.parametrize(
    ("pairs", "smallest"),
    [(3, 0.25), (5, 0.0625), (6, 0.03125), (7, 0.015625), (16, 2**-15), (17, 2**-14), (40, 2**-14)],
)
def test_smallest_p_value(pairs, smallest):
    """Pairs that all differ by the same amount reach the smallest p there is, 2 / 2**n."""
    assert stats.sign_flip_p_value(np.full(pairs, 0.004)) == smallest
    assert stats.smallest_p_value(pairs) == smallest


def test_equivalence_is_two_one_sided_t_tests(generator):
    """P is the larger of those that scipy gives for "not above" and "not below" the margin."""
    differences = generator.normal(0.001, 0.002, size=(2, 150, 8))
    below = scipy.stats.ttest_1samp(differences, 0.003, axis=-1, alternative="less").pvalue
    above = scipy.stats.ttest_1samp(differences, -0.003, axis=-1, alternative="greater").pvalue
    p_values = stats.equivalence_p_value(differences, 0.003)
    assert p_values == pytest.approx(np.maximum(below, above))
    assert 0 < np.sum(p_values < 0.05) < 300


@pytest.mark.parametrize(
    ("value", "margin", "p"), [(0.0, 0.0, 0), (0.2, 0.3, 0), (-0.3, 0.3, 1), (0.1, 0.0, 1)]
)
def test_without_any_deviation_equivalence_is_certain_or_out_of_the_question(value, margin, p):
    """Equal differences lie inside the margin or not, and zero lies inside any."""
    found = stats.equivalence_p_value(np.full(6, value), margin)
    assert found == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_a_margin_is_zero_or_more(margin):
    """A margin that is negative or no number is an error."""
    with pytest.raises(ValueError, match="margin"):
        stats.equivalence_p_value([0.0, 0.1], margin)


def test_probability_of_improvement_has_wilsons_interval():
    """None of ten gives 0 to 1.96² / (10 + 1.96²) = 0.2775, five of ten 0.2366 to 0.7634."""
    share, interval = stats.probability_of_improvement(0, 0, 10)
    assert share == 0
    assert interval == pytest.approx((0, 0.2775), abs=5e-5)
    share, interval = stats.probability_of_improvement(5, 0, 5)
    assert share == 0.5
    assert interval == pytest.approx((0.2366, 0.7634), abs=5e-5)


@pytest.mark.parametrize(("wins", "losses"), [(0, 1), (1, 0), (3, 4), (10, 0), (37, 3)])
def test_wilsons_interval_agrees_with_scipy(wins, losses):
    """Without ties scipy has the same interval."""
    expected = scipy.stats.binomtest(wins, wins + losses).proportion_ci(method="wilson")
    _, interval = stats.probability_of_improvement(wins, 0, losses)
    assert interval == pytest.approx(tuple(expected), abs=1e-12)


def test_a_tie_is_half_a_win():
    """Two wins, one tie and one loss are (2 + 0.5) / 4; ten ties say what five of each say."""
    share, _ = stats.probability_of_improvement(2, 1, 1)
    assert share == 0.625
    tied, even = (stats.probability_of_improvement(*counts) for counts in ((0, 10, 0), (5, 0, 5)))
    assert tied == even
    assert stats.probability_of_improvement(0, 0, 0) == (None, None)


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


@pytest.mark.parametrize("pairs", [9, 12])
def test_the_ratios_interval_is_a_bootstrap_of_the_median(generator, pairs):
    """scipy's percentile bootstrap of the median is the same to simulation error."""
    ratios = generator.lognormal(0.2, 0.1, pairs)
    _, *interval = stats.ratio_interval(ratios, np.ones(pairs))
    expected = scipy.stats.bootstrap(
        (ratios,), np.median, method="percentile", n_resamples=10_000, rng=1
    ).confidence_interval
    assert interval == pytest.approx(tuple(expected), abs=0.03)
