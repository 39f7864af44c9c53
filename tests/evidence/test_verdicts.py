"""Verdicts over the looks of a plan: gaps, divergence, families and the plan's end."""

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np
import pytest
import scipy.stats

from bnbench.evidence import stats
from bnbench.evidence.decisions import SequentialDecision, replay
from bnbench.evidence.levels import nominal_levels
from bnbench.evidence.pairs import Evidence, Pairs
from bnbench.evidence.power import seeds_needed
from bnbench.evidence.verdicts import Contrast, judge
from bnbench.experiments.config import PlanConfig

LOOKS = PlanConfig().looks
LEVELS = nominal_levels(LOOKS)
SEEDS = tuple(range(40))
MARGIN = 0.3
UNIT = scipy.stats.zscore([-3, -2, -2, -1, 0, 0, 1, 2, 2, 3], ddof=1)  # mean 0, deviation 1
NOISE = np.tile([0.2, -0.2], 30)
CLEAR = 1 + NOISE  # better at any look
SAME = 0.5 * NOISE  # equivalent at any look
OPEN = np.tile(0.2 + 0.8 * UNIT, 6)  # undecided at any look


def pairs(
    gains: Iterable[float] | Mapping[int, float | None], order: tuple[int, ...] = SEEDS
) -> Pairs:
    """Pairs of these gains; of None only this side diverged."""
    ours = dict(gains) if isinstance(gains, Mapping) else dict(enumerate(map(float, gains)))
    return Pairs(order, ours, dict.fromkeys(ours, 0.0))


def judged(gains: Iterable[float] | Mapping[int, float | None], margin: float = MARGIN) -> Contrast:
    (contrast,) = judge([pairs(gains)], LOOKS, margin)
    return contrast


# one contrast


def test_the_first_look_that_decides_gives_the_verdict():
    """What is decided at 10 seeds says so, and needs no further seed."""
    for gains, verdict in ((CLEAR, "better"), (-CLEAR, "worse"), (SAME, "equivalent")):
        contrast = judged(gains[:10])
        assert (contrast.verdict, contrast.decided_at, contrast.decided) == (verdict, 10, True)
        assert (contrast.next_look, contrast.missing, contrast.waits_for_others) == (
            None,
            (),
            False,
        )
        assert (contrast.seeds_needed, contrast.seeds_needed_at_margin) == (None, None)


def test_a_verdict_may_fall_at_a_later_look():
    """Ten undecided pairs and five clear ones are better at 15, not at 10."""
    gains = [*(0.4 + 0.5 * UNIT), *CLEAR[:5]]
    assert (judged(gains[:10]).verdict, judged(gains[:10]).decided_at) == ("undecided", None)
    assert (judged(gains).verdict, judged(gains).decided_at) == ("better", 15)


def test_equal_accuracies_are_equivalent_at_the_first_look():
    """Two experiments that agree exactly have p = 1, an interval without width and no NaN."""
    contrast = judged(np.zeros(10), margin=0.0)
    assert (contrast.verdict, contrast.decided_at) == ("equivalent", 10)
    assert (contrast.p_value, contrast.p_holm) == (1.0, 1.0)
    assert (contrast.sample.mean, contrast.sample.std) == (0.0, 0.0)
    assert contrast.interval == (0.0, 0.0)
    assert (contrast.sample.outcomes, contrast.sample.improvement[0]) == ((0, 10, 0), 0.5)
    assert (contrast.below_margin, contrast.contradicted_by_last_look) == (False, False)


@pytest.mark.parametrize("values", [[0.012, 0.012], [0.892 - 0.88, 0.894 - 0.882], [-1.0] * 10])
def test_equal_differences_have_no_interval(values):
    """Of a few seeds with one difference no spread is known, unless that difference is zero."""
    sample = pairs(values).sample()
    assert (sample.mean, sample.interval(0.05)) == (pytest.approx(values[0]), None)
    assert pairs([0.0] * len(values)).sample().interval(0.05) == (0.0, 0.0)
    contrast = judged([1.0] * 15)
    assert (contrast.verdict, contrast.decided_at, contrast.interval) == ("better", 10, None)
    assert (contrast.below_margin, contrast.contradicted_by_last_look) == (False, False)


def test_before_the_first_look_there_is_an_estimate_and_no_verdict():
    """Nine pairs, however clear, have a mean and lack the tenth; their p is not shown."""
    contrast = judged(CLEAR[:9])
    assert (contrast.verdict, contrast.decided_at, contrast.decided) == (None, None, False)
    assert contrast.sample.mean == pytest.approx(CLEAR[:9].mean())
    assert contrast.sample.std == pytest.approx(CLEAR[:9].std(ddof=1))
    assert (contrast.sample.pairs, contrast.sample.outcomes) == (9, (9, 0, 0))
    assert (contrast.looks, contrast.interval) == ((), None)
    assert (contrast.p_value, contrast.p_holm, contrast.p_required) == (None, None, None)
    assert (contrast.seeds_needed, contrast.seeds_needed_at_margin) == (None, None)
    assert (contrast.next_look, contrast.missing) == (10, (9,))


def test_what_is_unknown_of_no_and_of_one_pair_is_none():
    """Without a pair there is no mean, with one no deviation."""
    none, one = judge([pairs([]), pairs([0.25])], LOOKS, MARGIN)
    assert (none.sample.pairs, none.sample.mean, none.sample.std) == (0, None, None)
    assert none.sample.improvement == (None, None)
    assert (none.next_look, none.missing) == (10, SEEDS[:10])
    assert (one.sample.mean, one.sample.std, one.verdict) == (0.25, None, None)
    assert one.sample.improvement[0] == 1.0


def test_between_looks_the_last_look_counts():
    """Seeds 15 and 16, far off as they are, wait for the look at 20."""
    fifteen, more = judged(OPEN[:15]), judged([*OPEN[:15], 50.0, 50.0])
    assert fifteen.missing == (15, 16, 17, 18, 19)
    assert more == dataclasses.replace(fifteen, missing=(17, 18, 19), unused=2)
    assert (more.sample, more.next_look) == (fifteen.sample, 20)


def test_every_look_has_its_t_interval_at_its_own_level():
    """Mean and interval are of the seeds so far, and the last are the contrast's."""
    contrast = judged(OPEN[:22])
    assert [look.seeds for look in contrast.looks] == [10, 15, 20]
    assert [look.level for look in contrast.looks] == list(LEVELS[:3])
    for look in contrast.looks:
        seen = OPEN[: look.seeds]
        expected = scipy.stats.t.interval(
            1 - look.level, look.seeds - 1, seen.mean(), scipy.stats.sem(seen)
        )
        assert look.sample.mean == pytest.approx(seen.mean())
        assert look.interval == pytest.approx(tuple(expected))
    assert contrast.interval == contrast.looks[-1].interval
    assert contrast.sample.mean == contrast.looks[-1].sample.mean


def test_a_missing_seed_holds_the_look_back():
    """Without seed 4 no look takes place, however many seeds follow, and it is named."""
    gains = dict(enumerate(CLEAR[:14].tolist()))
    del gains[4]
    contrast = judged(gains)
    assert (contrast.verdict, contrast.looks, contrast.sample.pairs) == (None, (), 13)
    assert (contrast.next_look, contrast.missing) == (10, (4,))
    one_sided = Pairs(SEEDS, gains | {4: 1.0}, dict.fromkeys(gains, 0.0))
    (still,) = judge([one_sided], LOOKS, MARGIN)
    assert still == contrast


def test_a_verdict_that_the_last_look_contradicts_is_marked():
    """Verdict and look stay, the estimate is of the last look, and the contradiction is marked."""
    for first, later, verdict in (
        (CLEAR, -CLEAR, "better"),
        (-CLEAR, CLEAR, "worse"),
        (SAME, CLEAR, "equivalent"),
    ):
        before, after = judged(first[:10]), judged([*first[:10], *later[:20]])
        assert (before.verdict, before.decided_at, before.contradicted_by_last_look) == (
            verdict,
            10,
            False,
        )
        assert (after.verdict, after.decided_at, after.contradicted_by_last_look) == (
            verdict,
            10,
            True,
        )
        assert after.p_value == before.p_value
        assert (after.sample.pairs, after.interval) == (30, after.looks[-1].interval)


def test_seeds_beyond_the_plans_end_are_counted_and_change_nothing():
    """At 40 the plan ends; five pairs more are not used, even where nothing is decided."""
    for gains in (OPEN, CLEAR):
        forty, more = judged(gains[:40]), judged([*gains[:40], *[50.0] * 5])
        assert (forty.unused, more.unused) == (0, 5)
        assert dataclasses.replace(more, unused=0) == forty
        assert (more.next_look, more.missing, more.seeds_needed) == (None, (), None)
    assert judged(OPEN[:40]).verdict == "undecided"


def test_the_seeds_come_in_the_order_of_the_plan():
    """Where they are listed, the first ten of the list are looked at first, and by number others
    that were recorded too.
    """
    order = tuple(range(101, 141))
    listed = dict(zip(order, CLEAR.tolist(), strict=False)) | dict.fromkeys(range(5), -9.0)
    (contrast,) = judge([pairs(listed, order)], LOOKS, MARGIN)
    assert contrast.unused == 5
    assert dataclasses.replace(contrast, unused=0) == judged(CLEAR[:40])


def test_a_small_certain_difference_is_below_the_margin():
    """A difference can be certain and yet too small to matter."""
    tiny, large = judged(np.arange(1, 11) / 100), judged(np.arange(11, 21) / 10)
    assert (tiny.verdict, tiny.below_margin) == ("better", True)
    assert (large.verdict, large.below_margin) == ("better", False)


@pytest.mark.parametrize("truth", ["seen", "margin"])
def test_an_undecided_contrast_names_the_look_that_likely_decides(truth):
    """Seeds needed follow from mean and deviation so far and the levels of the coming looks."""
    contrast = judged(0.5 * OPEN[:10] - 0.3)
    expected = seeds_needed(
        contrast.sample,
        truth=contrast.sample.mean if truth == "seen" else -MARGIN,
        margin=MARGIN,
        looks=[*zip(LOOKS, LEVELS, nominal_levels(LOOKS, sides=1), strict=True)][1:],
    )
    assert expected in LOOKS
    named = contrast.seeds_needed if truth == "seen" else contrast.seeds_needed_at_margin
    assert named == expected


# runs that diverged


def test_a_diverged_side_loses_its_pairs():
    """They count in wins, losses and their probability, not in the mean."""
    gains = dict(enumerate([0.1] * 9)) | {9: None}
    contrast = judged(gains)
    assert (contrast.sample.pairs, contrast.sample.diverged) == (9, (1, 0))
    assert contrast.sample.outcomes == (9, 0, 1)
    assert contrast.sample.improvement[0] == 0.9
    assert contrast.sample.mean == pytest.approx(0.1)
    both = Pairs(SEEDS, {0: None, 1: 0.5}, {0: None, 1: None}).sample()
    assert (both.pairs, both.diverged, both.only_ours, both.only_theirs) == (0, (1, 2), 1, 0)


@pytest.mark.parametrize(
    ("gains", "ours", "theirs", "verdict"),
    [
        (CLEAR, 1, 0, "undecided"),
        (CLEAR, 0, 1, "better"),
        (CLEAR, 1, 1, "better"),
        (-CLEAR, 1, 0, "worse"),
        (-CLEAR, 0, 1, "undecided"),
        (SAME, 1, 0, "undecided"),
        (SAME, 0, 1, "undecided"),
        (SAME, 1, 1, "equivalent"),
    ],
)
def test_the_side_that_diverged_more_often_is_never_better_nor_equivalent(
    gains, ours, theirs, verdict
):
    """A mean over survivors does not make up for those that did not."""
    left = dict(enumerate(gains[:40].tolist())) | dict.fromkeys(range(ours))
    right = dict.fromkeys(range(40), 0.0) | dict.fromkeys(range(5, 5 + theirs))
    (contrast,) = judge([Pairs(SEEDS, left, right)], LOOKS, MARGIN)
    assert contrast.verdict == verdict


def test_where_all_diverged_a_look_has_nothing_to_test():
    """It takes place and says nothing, without an error."""
    contrast = judged(dict.fromkeys(range(10)))
    assert (contrast.verdict, contrast.sample.outcomes) == ("undecided", (0, 0, 10))
    assert (contrast.sample.mean, contrast.interval, contrast.p_value) == (None, None, None)
    assert (contrast.seeds_needed, contrast.next_look) == (None, 15)


# families


def replayed(*p_values: Iterable[float], sides: int = 2) -> list[SequentialDecision]:
    """Replay looks at which contrasts have these p of a difference, or of equivalence."""
    rows = [list(row) for row in p_values]

    def evidence(contrast: int, look: int) -> Evidence:
        p = rows[contrast][look]
        return Evidence(1, p, 1.0) if sides == 2 else Evidence(1, 1.0, p)

    return replay(LOOKS, [len(row) for row in rows], evidence)


def level(look: int, left: int, sides: int = 2) -> float:
    return nominal_levels(LOOKS, 0.05 / left, sides)[look]


@pytest.mark.parametrize(("sides", "verdict"), [(2, "better"), (1, "equivalent")])
def test_a_look_follows_holms_procedure(sides, verdict):
    """Of three contrasts the smallest p needs the level of three, the next that of two, and the
    largest the whole; at the first that fails the rest is left, small as its p may be.
    """
    needed = [level(0, left, sides) for left in (3, 2, 1)]
    assert needed[0] < needed[1] < needed[2]
    passed = replayed([needed[1]], [needed[2]], [needed[0]], sides=sides)
    assert [decision.verdict for decision in passed] == [verdict] * 3
    above = [p * 1.0001 for p in needed]
    failed = replayed([above[1]], [needed[2]], [needed[0]], sides=sides)
    assert [decision.verdict for decision in failed] == [None, None, verdict]
    none = replayed([needed[1]], [needed[2]], [above[0]], sides=sides)
    assert [decision.verdict for decision in none] == [None, None, None]


def test_p_holm_and_what_is_required_are_those_of_the_step():
    """The adjusted p is p times the contrasts left, never below that of an earlier step."""
    smallest, middle, largest = replayed([0.001], [0.004], [0.006])
    assert smallest.p_holm == pytest.approx(0.003)
    assert (middle.p_holm, largest.p_holm) == pytest.approx((0.008, 0.008))
    required = [s.p_required for s in (smallest, middle, largest)]
    assert required == [level(0, 3), level(0, 2), level(0, 1)]
    (one,) = replayed([0.6])
    assert (one.p_holm, one.verdict) == (0.6, None)
    assert max(s.p_holm for s in replayed([0.6], [0.7])) == 1.0


def test_a_contrast_rejected_earlier_leaves_its_level_to_the_others():
    """A contrast that is better at 10 leaves the whole level to the other at 15."""
    p = (level(1, 2) + level(1, 1)) / 2
    first, second = replayed([1e-4, 1.0], [1.0, p])
    assert (first.verdict, first.look) == ("better", 0)
    assert (second.verdict, second.look, second.left) == ("better", 1, (0, 2))
    undecided, alone = replayed([1.0, 1.0], [1.0, p])
    assert (undecided.verdict, alone.verdict) == (None, None)


def test_difference_and_equivalence_have_a_family_each():
    """An equivalent contrast leaves no level to the difference of another."""
    p = (level(0, 2) + level(0, 1)) / 2
    evidence = [Evidence(1, 1.0, 1e-9), Evidence(1, p, 1.0)]
    same, other = replay(LOOKS, [1, 1], lambda contrast, look: evidence[contrast])
    assert (same.verdict, other.verdict) == ("equivalent", None)


def test_a_difference_comes_before_equivalence():
    """What is certainly different, if only by little, is better or worse."""
    (decision,) = replay(LOOKS, [1], lambda contrast, look: Evidence(-1, 1e-4, 1e-4))
    assert decision.verdict == "worse"


RANKS = np.array([1, 2, -3, 4, 5, 6, 7, 8, 9, 10]) / 10
RANKS_P = 10 / 1024  # five sets of ranks have a sum of 3 or less, and as many on the other side


def test_a_verdict_that_depends_on_seeds_of_another_contrast_waits():
    """Alone, these ten pairs are better; beside one without seeds they are if that one is better
    too, whatever they say themselves later on.
    """
    assert judged(RANKS).p_value == RANKS_P
    assert judged(RANKS).verdict == "better"
    assert level(0, 2) < RANKS_P < level(0, 1)
    for gains in (RANKS, [*RANKS, *CLEAR[:20]]):
        waiting, absent = judge([pairs(gains), pairs([])], LOOKS, MARGIN)
        assert (waiting.waits_for_others, absent.waits_for_others) == (True, False)
        assert (waiting.verdict, waiting.decided_at) == ("undecided", None)
        assert (waiting.p_value, waiting.p_holm) == (RANKS_P, 2 * RANKS_P)
        assert waiting.p_required == level(0, 2)
        assert (absent.verdict, absent.next_look) == (None, 10)

    gains = [*RANKS, *CLEAR[:20]]
    better, clear = judge([pairs(gains), pairs(CLEAR[:10])], LOOKS, MARGIN)
    assert (better.verdict, better.decided_at, better.waits_for_others) == ("better", 10, False)
    assert clear.decided_at == 10
    later, _ = judge([pairs(gains), pairs(OPEN[:10])], LOOKS, MARGIN)
    assert (later.verdict, later.decided_at, later.waits_for_others) == ("better", 15, False)


def test_what_is_certain_does_not_wait():
    """A p that passes whatever the others turn out to be gives a verdict at once."""
    clear, *absent = judge([pairs(CLEAR[:10]), pairs([]), pairs([])], LOOKS, MARGIN)
    assert (clear.verdict, clear.decided_at, clear.waits_for_others) == ("better", 10, False)
    assert [contrast.verdict for contrast in absent] == [None, None]


def test_a_family_of_none_has_no_contrast():
    """Nothing to judge is no error."""
    assert judge([], LOOKS, MARGIN) == ()


def test_fewer_contrasts_left_name_an_earlier_look():
    """Seeds needed go by the level of those not yet better or worse."""
    gains = 0.5 * OPEN[:10]
    needed = [
        judge([pairs(gains), *(pairs(other[:10]) for other in others)], LOOKS, MARGIN)[0]
        for others in ((), (CLEAR,) * 5, (OPEN,) * 5)
    ]
    alone, after_others, among_others = (contrast.seeds_needed_at_margin for contrast in needed)
    assert alone <= after_others < among_others


def test_better_contrasts_leave_no_level_to_equivalence():
    """A contrast beside five that are better needs its seeds by the whole level for a difference
    and by a sixth of it for equivalence.
    """
    gains = 0.5 * (OPEN[:10] - 0.2)
    alone, beside = (
        judge([pairs(gains), *[pairs(CLEAR[:10])] * others], LOOKS, MARGIN)[0] for others in (0, 5)
    )
    sixth = nominal_levels(LOOKS, 0.05 / 6, 1)
    expected = seeds_needed(
        beside.sample,
        truth=beside.sample.mean,
        margin=MARGIN,
        looks=[*zip(LOOKS, LEVELS, sixth, strict=True)][1:],
    )
    assert beside.seeds_needed == expected
    assert alone.seeds_needed < beside.seeds_needed


# errors, withheld verdicts and metrics of which less is better


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_a_margin_is_zero_or_more(margin):
    """A margin that is negative or no number is an error."""
    with pytest.raises(ValueError, match="margin"):
        judged(CLEAR, margin)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_are_finite(value):
    """A look at a value that is not finite is an error, not a verdict."""
    with pytest.raises(ValueError, match="finite"):
        judged([*CLEAR[:9], value])


def test_a_verdict_that_is_withheld_leaves_the_estimate():
    """Where the sides were not chosen on equal terms, all is shown but what would decide."""
    contrast = judged(CLEAR[:15])
    without = contrast.withheld()
    assert (without.verdict, without.decided_at, without.decided) == (None, None, False)
    assert without.looks == contrast.looks
    assert (without.sample.mean, without.interval) == (
        contrast.sample.mean,
        contrast.interval,
    )
    undecided = judged(OPEN[:10]).withheld()
    assert (undecided.seeds_needed, undecided.seeds_needed_at_margin) == (None, None)


def test_of_a_metric_of_which_less_is_better_the_lower_side_wins():
    """Mean and intervals keep their sign, and whoever has less is better."""
    gains = judged(CLEAR[:15])
    less = Pairs(SEEDS, dict(enumerate(-CLEAR[:15])), dict.fromkeys(range(15), 0.0), direction=-1)
    (contrast,) = judge([less], LOOKS, MARGIN)
    assert contrast.sample.mean == pytest.approx(-gains.sample.mean)
    low, high = gains.interval
    assert contrast.interval == pytest.approx((-high, -low))
    assert (contrast.verdict, contrast.sample.outcomes) == ("better", (15, 0, 0))
    assert not contrast.contradicted_by_last_look
    later = dict(enumerate([*-CLEAR[:10], *CLEAR[:20]]))
    turned = Pairs(SEEDS, later, dict.fromkeys(later, 0.0), direction=-1)
    (contrast,) = judge([turned], LOOKS, MARGIN)
    assert (contrast.verdict, contrast.contradicted_by_last_look) == ("better", True)


def test_p_of_a_look_is_the_larger_of_two_tests():
    """It is of the look that decided, else of the last that took place."""
    for gains, seeds in ((OPEN[:17], 15), (CLEAR[:20], 10)):
        tests = stats.sign_flip_p_value, stats.t_test_p_value
        assert judged(gains).p_value == max(float(test(gains[:seeds])) for test in tests)


def test_a_few_far_seeds_decide_nothing():
    """What the sign-flip test alone would find is not found while the interval holds zero."""
    gains = [0.1] * 9 + [5.0]
    assert stats.sign_flip_p_value(gains) < 0.0125
    contrast = judged(gains)
    assert contrast.interval[0] < 0 < contrast.interval[1]
    assert contrast.verdict == "undecided"
