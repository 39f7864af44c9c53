"""How often the verdicts are wrong, and how often they find what is there, by simulation.

``python -m tests.evidence.test_calibration`` prints the table.
"""

import math
from functools import cache

import numpy as np
import pytest
import scipy.stats

from bnbench.evidence import stats

COMPARISONS = 2000
CONTRASTS = 3
MARGIN = 0.003
STD = 0.004  # of one network's test accuracy over seeds
GRID = 10_000  # test images: accuracies are multiples of 1/10000

SETTINGS = [
    (pairs, correlation, rounded)
    for pairs in (6, 10, 30)
    for correlation in (0.0, 0.9)
    for rounded in (False, True)
]

pytestmark = pytest.mark.slow
every_setting = pytest.mark.parametrize(("pairs", "correlation", "rounded"), SETTINGS)


def simulated(
    pairs: int, correlation: float, rounded: bool, shift: float, contrasts: int = CONTRASTS
) -> np.ndarray:
    """Differences (comparisons, contrasts, pairs) to one shared baseline that lies ``shift`` lower.

    Any two experiments correlate over the seeds, as networks do that share their first weights.
    """
    generator = np.random.default_rng([pairs, round(10 * correlation), round(shift * 1e6)])
    shared = generator.standard_normal((COMPARISONS, 1, pairs))
    own = generator.standard_normal((COMPARISONS, 1 + contrasts, pairs))
    scores = 0.87 + STD * (math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own)
    scores[:, 1:] += shift
    if rounded:
        scores = np.round(scores * GRID) / GRID
    return scores[:, 1:] - scores[:, :1]


def verdicts(differences: np.ndarray) -> np.ndarray:
    """What ``judge`` says (comparisons, contrasts), all families at once."""
    return stats.verdicts(differences, stats.holm(stats.sign_flip_p_value(differences)), MARGIN)


def significant(found: np.ndarray) -> np.ndarray:
    return (found == "better") | (found == "worse")


@cache
def false_alarms(pairs: int, correlation: float, rounded: bool) -> float:
    """Share of comparisons without any true difference in which a contrast claims one."""
    found = verdicts(simulated(pairs, correlation, rounded, shift=0.0))
    return float(significant(found).any(axis=-1).mean())


@cache
def false_equivalences(pairs: int, correlation: float, rounded: bool) -> float:
    """Share of contrasts called equivalent whose true difference is the margin."""
    found = verdicts(simulated(pairs, correlation, rounded, shift=MARGIN))
    return float((found == "equivalent").mean())


@cache
def power(pairs: int, correlation: float, rounded: bool) -> float:
    """Share found better of single contrasts with a true difference of three standard errors."""
    error = STD * math.sqrt(2 * (1 - correlation) / pairs)
    found = verdicts(simulated(pairs, correlation, rounded, shift=3 * error, contrasts=1))
    return float((found == "better").mean())


def theoretical_power(pairs: int) -> float:
    """The power against three standard errors, for independent normal differences.

    Six pairs are significant only where all have one sign: Φ(3 / √6) ** 6. With more, the t test
    at the level that the sign-flip test attains: the largest multiple of 2 / 2**n below 0.05.
    """
    if pairs == 6:
        return float(scipy.stats.norm.cdf(3 / math.sqrt(6)) ** 6)
    step = 2.0 ** (1 - pairs)
    level = (math.ceil(0.05 / step) - 1) * step
    quantile = scipy.stats.t.ppf(1 - level / 2, pairs - 1)
    return float(scipy.stats.nct.sf(quantile, pairs - 1, 3))


def table() -> str:
    """The three shares of every setting, in percent, as a plain text table."""
    lines = [
        f"{COMPARISONS} comparisons per row; {CONTRASTS} contrasts each, one for the power; in %",
        "pairs  correlation  rounded  false alarm  false equivalence  power  in theory",
    ]
    for setting in SETTINGS:
        pairs, correlation, rounded = setting
        shares = (false_alarms(*setting), false_equivalences(*setting), power(*setting))
        alarm, equivalence, found = (f"{100 * share:.1f}" for share in shares)
        lines.append(
            f"{pairs:5}  {correlation:11}  {'yes' if rounded else 'no':>7}  {alarm:>11}"
            f"  {equivalence:>17}  {found:>5}  {100 * theoretical_power(pairs):9.1f}"
        )
    return "\n".join(lines)


def simulation_error(share: float) -> float:
    """Three standard errors of a share of the comparisons; contrasts of one count only once."""
    return 3 * math.sqrt(share * (1 - share) / COMPARISONS)


@every_setting
def test_no_true_difference_is_rarely_called_one(pairs, correlation, rounded):
    """Any of three contrasts claims a difference in at most 5 % of comparisons of like with like,
    and with six pairs, which cannot reach significance over three contrasts, in none.
    """
    found = false_alarms(pairs, correlation, rounded)
    assert found <= 0.05 + simulation_error(0.05)
    assert (found == 0) == (pairs == 6)


@every_setting
def test_a_difference_of_the_margin_is_rarely_called_equivalent(pairs, correlation, rounded):
    """At the edge of the margin at most 5 % of the contrasts are taken to be inside."""
    assert false_equivalences(pairs, correlation, rounded) <= 0.05 + simulation_error(0.05)


@every_setting
def test_power_is_what_theory_says(pairs, correlation, rounded):
    """Three standard errors are found as often as theory has it. Beyond the simulation error, one
    percentage point is allowed for the sign-flip test standing in for the t test (by which it
    falls behind at ten pairs by half a point), and two more for ties between rounded accuracies.
    """
    expected = theoretical_power(pairs)
    allowed = simulation_error(expected) + 0.01 + (0.02 if rounded else 0)
    assert power(pairs, correlation, rounded) == pytest.approx(expected, abs=allowed)


def test_one_contrast_of_six_pairs_errs_as_often_as_enumeration_says():
    """With no true difference all six signs agree in 2/64 of the comparisons."""
    found = verdicts(simulated(6, 0.0, False, shift=0.0, contrasts=1))
    share = significant(found).mean()
    assert share == pytest.approx(2 / 64, abs=simulation_error(2 / 64))


@pytest.mark.parametrize("pairs", [6, 10, 18])
def test_the_simulated_path_is_the_one_that_compare_takes(pairs):
    """``judge`` says of a family what the simulation says of it."""
    differences = simulated(pairs, 0.9, True, shift=0.0015)[:30]
    found = [
        [contrast.verdict for contrast in stats.judge([*map(stats.Pairs, family)], MARGIN)]
        for family in differences
    ]
    assert found == verdicts(differences).tolist()
    assert len(set(np.ravel(found))) > 1


if __name__ == "__main__":
    print(table())  # noqa: T201 - this is what the command is for
