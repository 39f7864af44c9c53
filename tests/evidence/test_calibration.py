"""How often the verdicts are wrong, and how soon they find what is there, by simulation.

``python -m tests.evidence.test_calibration`` prints the table.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from bnbench.evidence import stats
from bnbench.evidence.decisions import SequentialDecision, replay
from bnbench.evidence.levels import ALPHA, nominal_levels
from bnbench.evidence.pairs import Evidence, Pairs
from bnbench.evidence.verdicts import judge
from bnbench.experiments.config import PlanConfig

STUDIES = 2_000
PLAN = PlanConfig()
LONG = PlanConfig(most=60)
MARGIN = PLAN.margin  # percentage points, as all that is simulated here

DEVIATIONS = (0.25, 0.4, 0.8)  # of paired differences
FAMILIES = (1, 3, 6)  # contrasts

every_deviation = pytest.mark.parametrize("deviation", DEVIATIONS)
every_family = pytest.mark.parametrize("contrasts", FAMILIES)


def simulated(
    deviation: float, contrasts: int, true: float = 0.0, plan: PlanConfig = PLAN
) -> np.ndarray:
    """Draw differences (studies, contrasts, seeds) to one baseline, which all contrasts share."""
    generator = np.random.default_rng([round(100 * deviation), contrasts, round(100 * true)])
    scores = generator.normal(0, deviation / math.sqrt(2), (STUDIES, 1 + contrasts, plan.most))
    return true + scores[:, 1:] - scores[:, :1]


class Study(NamedTuple):
    """What the verdicts on all contrasts of one study rest on, contrast by contrast and look by
    look.
    """

    signs: np.ndarray
    p_difference: np.ndarray
    p_equivalence: np.ndarray

    def evidence(self, contrast: int, look: int) -> Evidence:
        at = contrast, look
        p_difference = float(self.p_difference[at])
        assert p_difference <= 1  # none was left out that is asked for
        return Evidence(int(self.signs[at]), p_difference, float(self.p_equivalence[at]))


def studied(
    differences: np.ndarray, looks: Sequence[int] = PLAN.looks, margin: float = MARGIN
) -> list[Study]:
    """Test the contrasts of all studies at once.

    Two kinds of sign-flip p are not computed. Where p of the t test, which is used as the larger of
    both, is above the whole level of a look, nothing is rejected. Where the smallest level that
    Holm knows has been met before, none is asked for; it is NaN.
    """
    count, contrasts, _ = differences.shape
    levels = [nominal_levels(tuple(looks), ALPHA / contrasts, sides) for sides in (2, 1)]
    whole = nominal_levels(tuple(looks))
    signs, p_difference, p_equivalence = (np.ones((count, contrasts, len(looks))) for _ in range(3))
    decided = np.zeros((count, contrasts), bool)
    for place, seeds in enumerate(looks):
        seen = differences[..., :seeds]
        signs[..., place] = np.sign(seen.mean(axis=-1))
        p_equivalence[..., place] = stats.equivalence_p_value(seen, margin)
        p = stats.t_test_p_value(seen)
        wanted = (p <= whole[place]) & ~decided
        p[wanted] = np.maximum(p[wanted], stats.sign_flip_p_value(seen[wanted]))
        p[decided] = np.nan
        p_difference[..., place] = p
        decided |= p <= levels[0][place]
        decided |= p_equivalence[..., place] <= levels[1][place]
    return [Study(*arrays) for arrays in zip(signs, p_difference, p_equivalence, strict=True)]


def decisions(study: Study, looks: tuple[int, ...] = PLAN.looks) -> list[SequentialDecision]:
    """Let all looks take place."""
    return replay(looks, [len(looks)] * len(study.signs), study.evidence)


def share_saying(verdicts: set[str], studies: Iterable[Study]) -> float:
    """Return the share of studies in which any contrast has one of these verdicts."""
    reported = [{decision.verdict for decision in decisions(study)} for study in studies]
    return sum(bool(found & verdicts) for found in reported) / STUDIES


@cache
def false_differences(deviation: float, contrasts: int) -> float:
    """Share of studies without a true difference in which any contrast is better or worse.

    Only those are replayed in which any would be if it were alone.
    """
    alone = nominal_levels(PLAN.looks)
    studies = studied(simulated(deviation, contrasts))
    suspect = [study for study in studies if np.any(study.p_difference <= alone)]
    return share_saying({"better", "worse"}, suspect)


@cache
def false_equivalences(deviation: float, contrasts: int) -> float:
    """Share of studies whose differences are all the margin in which any is equivalent.

    Only those are tested further, and replayed, in which any would be if it were alone.
    """
    differences = simulated(deviation, contrasts, MARGIN)
    suspect = np.zeros(STUDIES, bool)
    for seeds, alone in zip(PLAN.looks, nominal_levels(PLAN.looks, sides=1), strict=True):
        p_values = stats.equivalence_p_value(differences[..., :seeds], MARGIN)
        suspect |= np.any(p_values <= alone, axis=-1)
    return share_saying({"equivalent"}, studied(differences[suspect]))


def coverage(studies: int = 20_000) -> float:
    """Share of studies whose intervals, at all looks, have the true difference."""
    differences = np.random.default_rng(0).normal(0, 1, (studies, PLAN.most))
    held = np.ones(studies, bool)
    for seeds, level in zip(PLAN.looks, nominal_levels(PLAN.looks), strict=True):
        low, high = stats.mean_interval(differences[:, :seeds], level)
        held &= (low <= 0) & (high >= 0)
    return float(held.mean())


@cache
def course(true: float) -> tuple[float, float]:
    """Return the share of studies found better and the mean number of seeds until they stop.

    One contrast with a deviation of 0.4 points, looked at up to 60 seeds.
    """
    looks = LONG.looks
    ends = [decisions(study, looks)[0] for study in studied(simulated(0.4, 1, true, LONG), looks)]
    better = sum(end.verdict == "better" for end in ends) / STUDIES
    seeds = [looks[-1 if end.look is None else end.look] for end in ends]
    return better, sum(seeds) / STUDIES


def at_most(share: float) -> float:
    """A share of the studies and three standard errors of it."""
    return share + 3 * math.sqrt(share * (1 - share) / STUDIES)


@every_deviation
@every_family
def test_no_true_difference_is_rarely_called_one(deviation, contrasts):
    """Any contrast is better or worse in at most 5 % of studies of like with like, however often
    one looks.
    """
    assert false_differences(deviation, contrasts) <= at_most(0.05)


@every_deviation
@every_family
def test_a_difference_of_the_margin_is_rarely_called_equivalent(deviation, contrasts):
    """Where all contrasts lie at the margin, at most 5 % of studies take any to be inside."""
    assert false_equivalences(deviation, contrasts) <= at_most(0.05)


def test_the_intervals_of_all_looks_hold_together():
    """Whoever reads the interval of every look is misled by any of them in 6 % at most; that it is
    5.4 % comes of Student's t at levels that were worked out for the normal distribution.
    """
    assert coverage() >= 0.94


def test_a_difference_of_the_margin_is_found():
    """Up to 60 seeds it is better in 95 % of studies."""
    assert course(MARGIN)[0] >= 0.95


@pytest.mark.parametrize(("true", "most"), [(0.0, 23), (2 * MARGIN, 12)])
def test_few_seeds_decide_where_little_or_much_differs(true, most):
    """Without a difference 23 seeds decide on average, at twice the margin 12."""
    assert course(true)[1] <= most


def test_skewed_differences_are_called_better_or_worse_twice_as_often():
    """Signs are flipped as if differences were symmetric. Those of an exponential variable, less
    its mean, are not: up to 40 seeds 11.3 % of 20,000 studies were called better or worse, nearly
    all of them worse. The margin is zero, so that nothing else ends a study.
    """
    differences = np.random.default_rng(8).exponential(1, (STUDIES, 1, PLAN.most)) - 1
    share = share_saying({"better", "worse"}, studied(differences, margin=0.0))
    assert share == pytest.approx(0.113, abs=3 * math.sqrt(0.113 * 0.887 / STUDIES))


@pytest.mark.parametrize(("deviation", "true"), [(0.25, 0.0), (0.4, MARGIN), (0.8, 2 * MARGIN)])
def test_the_simulated_path_is_the_one_that_compare_takes(deviation, true):
    """`judge` says of a few families what the simulation says of them, with the same intervals."""
    differences = simulated(deviation, 3, true)[:8]
    levels = nominal_levels(PLAN.looks)
    for family, study in zip(differences, studied(differences), strict=True):
        nothing = dict.fromkeys(range(PLAN.most), 0.0)
        pairs = [Pairs(tuple(nothing), dict(enumerate(row.tolist())), nothing) for row in family]
        judged = judge(pairs, PLAN.looks, MARGIN)
        for contrast, decision, row in zip(judged, decisions(study), family, strict=True):
            assert contrast.verdict == (decision.verdict or "undecided")
            decided_at = PLAN.looks[decision.look] if decision.verdict else None
            assert contrast.decided_at == decided_at
            for look, level in zip(contrast.looks, levels, strict=True):
                expected = stats.mean_interval(row[: look.seeds], level)
                assert look.interval == pytest.approx(tuple(map(float, expected)))


def table() -> str:
    """All shares as a plain text table, in percent."""
    lines = [
        f"{STUDIES} studies each; looks at {', '.join(map(str, PLAN.looks))}; margin {MARGIN}",
        "deviation  contrasts  false difference  false equivalence",
    ]
    for deviation in DEVIATIONS:
        for contrasts in FAMILIES:
            differ = 100 * false_differences(deviation, contrasts)
            alike = 100 * false_equivalences(deviation, contrasts)
            lines.append(f"{deviation:9}  {contrasts:9}  {differ:16.1f}  {alike:17.1f}")
    lines.append(f"intervals of all looks that have the true difference: {100 * coverage():.1f}")
    for true in (0.0, MARGIN, 2 * MARGIN):
        better, seeds = course(true)
        lines.append(
            f"deviation 0.4, to 60 seeds, true difference {true}: "
            f"better in {100 * better:.1f}, decided after {seeds:.1f} seeds"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201 - this is what the command is for
