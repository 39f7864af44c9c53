"""What holds for every set of accuracies, found by searching for a counterexample."""

import dataclasses
import math
import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bnbench.evidence.pairs import Outcomes, Pairs
from bnbench.evidence.stats import sign_flip_p_value
from bnbench.evidence.verdicts import Contrast, judge

MARGIN = 0.003
LOOKS = (9, 11, 13)  # few, so that judging is quick; at 9 the smallest of four contrasts can pass
SEEDS = tuple(range(LOOKS[-1]))
BEYOND = 2  # seeds recorded after the plan's end
SWAPPED = {"better": "worse", "worse": "better"}

accuracies = st.integers(8600, 8680).map(lambda images: images / 10_000)
shifted = st.tuples(accuracies, st.sampled_from([0, 0, 20, 60]), st.integers(0, 20)).map(
    lambda drawn: (drawn[0], round(drawn[0] + (drawn[1] - drawn[2]) / 10_000, 4))
)
experiments = st.lists(st.tuples(accuracies, accuracies), max_size=15) | st.lists(
    shifted, min_size=9, max_size=15
)
searched = settings(derandomize=True, deadline=None, max_examples=60)


def judged(rows: list[tuple[float, float]], *, swap: bool = False) -> Contrast:
    ours, theirs = (
        dict(enumerate(side)) for side in (zip(*rows, strict=True) if rows else ((), ()))
    )
    (contrast,) = judge(
        [Pairs(SEEDS, *((theirs, ours) if swap else (ours, theirs)))], LOOKS, MARGIN
    )
    return contrast


# families, drawn by a generator: hypothesis picks its seed and what bears on decisions


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Both sides of every contrast of a family, in the order in which the runs end."""

    runs: list[tuple[int, int, int, float | None]]  # contrast, side, seed, value
    contrasts: int

    def after(self, count: int) -> list[Pairs]:
        """What there is once so many runs have ended."""
        sides: list[tuple[dict[int, float | None], ...]] = [({}, {}) for _ in range(self.contrasts)]
        for contrast, side, seed, value in self.runs[:count]:
            sides[contrast][side][seed] = value
        return [Pairs(SEEDS, ours, theirs) for ours, theirs in sides]


@st.composite
def families(draw: st.DrawFn, most_contrasts: int = 4) -> Recorded:
    """Draw contrasts of any size, whose seeds are recorded in any order, at any pace."""
    generator = random.Random(draw(st.integers(0, 2**32)))
    contrasts = draw(st.integers(1, most_contrasts))
    disorder = draw(st.sampled_from([0, 2, 30]))  # in seeds
    ending = []
    for contrast in range(contrasts):
        shift = draw(st.sampled_from([0.0, 0.001, -0.003, 0.004, -0.01]))
        noise = draw(st.sampled_from([0.0, 0.0005, 0.002, 0.008]))
        divergent = draw(st.sampled_from([0.0, 0.0, 0.05]))
        lag = draw(st.sampled_from([0, 0, 5, 20]))
        for side in (0, 1):
            for seed in range(LOOKS[-1] + BEYOND):
                value = round(0.87 + (1 - side) * shift + generator.gauss(0, noise), 4)
                ends = lag + seed + disorder * generator.random()
                run = contrast, side, seed, None if generator.random() < divergent else value
                ending.append((ends, run))
    return Recorded([run for _, run in sorted(ending, key=lambda pair: pair[0])], contrasts)


def test_no_record_that_is_added_changes_a_verdict():
    """Whatever the order in which a family's runs end: once decided, verdict and look stay."""
    seen: Counter[str] = Counter()

    @searched
    @given(families(), st.integers(0, 2**32))
    def search(recorded: Recorded, seed: int) -> None:
        counts = sorted(random.Random(seed).sample(range(len(recorded.runs)), 12))
        decided: dict[int, tuple[str | None, int | None]] = {}
        for count in (*counts, len(recorded.runs)):
            for place, contrast in enumerate(judge(recorded.after(count), LOOKS, MARGIN)):
                reported = contrast.verdict, contrast.decided_at
                assert decided.get(place, reported) == reported
                seen["waits"] += contrast.waits_for_others
                if contrast.decided and place not in decided:
                    decided[place] = reported
                    seen[str(contrast.verdict)] += count < len(recorded.runs)
                    seen["in spite of a divergence"] += any(contrast.sample.diverged)

    search()
    assert min(seen[verdict] for verdict in ("better", "worse", "equivalent")) >= 10
    assert min(seen["waits"], seen["in spite of a divergence"]) >= 3


@searched
@given(families(), st.integers(0, 500), st.randoms(use_true_random=False))
def test_no_order_of_mappings_or_contrasts_is_information(recorded, count, shuffler):
    """The same records, read in another order, say the same to the last bit, and so does the same
    family whose contrasts are in another order.
    """
    family = recorded.after(count)
    expected = judge(family, LOOKS, MARGIN)

    def mixed(outcomes: Outcomes) -> Outcomes:
        return {seed: outcomes[seed] for seed in shuffler.sample(list(outcomes), len(outcomes))}

    read_otherwise = [Pairs(SEEDS, mixed(pairs.ours), mixed(pairs.theirs)) for pairs in family]
    assert judge(read_otherwise, LOOKS, MARGIN) == expected
    places = shuffler.sample(range(len(family)), len(family))
    turned = judge([family[place] for place in places], LOOKS, MARGIN)
    assert turned == tuple(expected[place] for place in places)


@pytest.mark.parametrize("seeds", [10, 12, 14, 15])
@searched
@given(families())
def test_between_looks_the_last_look_counts(seeds, recorded):
    """Ten seeds give the verdict of 9, twelve that of 11, and beyond the plan's end its last."""
    family = recorded.after(len(recorded.runs))
    look = max(look for look in LOOKS if look <= seeds)

    def cut(count: int) -> Iterator[Contrast]:
        kept = [
            Pairs(
                SEEDS, *({s: side[s] for s in range(count)} for side in (pairs.ours, pairs.theirs))
            )
            for pairs in family
        ]
        for contrast in judge(kept, LOOKS, MARGIN):
            yield dataclasses.replace(contrast, missing=(), unused=0)

    assert list(cut(seeds)) == list(cut(look))


@searched
@given(families(), st.integers(0, 500))
def test_a_contrast_says_nothing_that_does_not_fit_together(recorded, count):
    """A verdict has a look, a look its seeds, what is decided no next look, and what is not decided
    waits for its own missing seeds, for those of others or for nothing, as the plan is over.
    """
    for pairs, contrast in zip(
        recorded.after(count), judge(recorded.after(count), LOOKS, MARGIN), strict=True
    ):
        assert (contrast.verdict is None) == (pairs.complete < LOOKS[0])
        assert contrast.decided == (contrast.verdict in ("better", "worse", "equivalent"))
        assert [look.seeds for look in contrast.looks] == [n for n in LOOKS if n <= pairs.complete]
        assert not (
            contrast.decided
            and (contrast.next_look or contrast.waits_for_others or contrast.missing)
        )
        assert contrast.decided or (contrast.next_look is None) == (pairs.complete >= LOOKS[-1])
        assert bool(contrast.missing) == (contrast.next_look is not None)
        if contrast.looks:
            assert contrast.p_value is None or contrast.p_value <= contrast.p_holm <= 1
        if contrast.verdict in ("better", "worse"):
            assert contrast.p_value <= contrast.p_required


@searched
@given(experiments)
def test_swapping_the_experiments_flips_sign_and_verdict(rows):
    """What is better one way is worse the other way, by as much and with the same p."""
    one, other = judged(rows), judged(rows, swap=True)
    assert other.verdict == SWAPPED.get(one.verdict, one.verdict)
    assert (other.p_value, other.below_margin) == (one.p_value, one.below_margin)
    assert (other.decided_at, other.contradicted_by_last_look) == (
        one.decided_at,
        one.contradicted_by_last_look,
    )
    assert (other.seeds_needed, other.missing) == (one.seeds_needed, one.missing)
    assert other.sample.outcomes == one.sample.outcomes[::-1]
    if rows:
        assert math.isclose(other.sample.mean, -one.sample.mean, abs_tol=1e-15)
        total = one.sample.improvement[0] + other.sample.improvement[0]
        assert math.isclose(total, 1)


@searched
@given(
    st.lists(st.tuples(accuracies, accuracies), min_size=9, max_size=9), st.permutations(range(9))
)
def test_the_order_of_seeds_up_to_a_look_changes_nothing(rows, order):
    """Which of the first nine seeds was which is no information."""
    one, other = judged(rows), judged([rows[place] for place in order])
    assert (other.verdict, other.decided_at) == (one.verdict, one.decided_at)
    assert (other.p_value, other.interval) == (one.p_value, one.interval)


@searched
@given(experiments, st.integers(-5000, 1000).map(lambda images: images / 10_000))
def test_adding_a_constant_to_both_changes_nothing(rows, constant):
    """Only differences count; rounding errors of the sums decide neither p nor verdict."""
    moved = [(round(ours + constant, 4), round(theirs + constant, 4)) for ours, theirs in rows]
    one, other = judged(rows), judged(moved)
    assert other.verdict == one.verdict
    for moved_p, p in ((other.p_value, one.p_value), (other.p_holm, one.p_holm)):
        assert (p is None) == (moved_p is None)
        assert p is None or moved_p == pytest.approx(p, rel=1e-6)
    assert other.sample.outcomes == one.sample.outcomes
    assert (other.below_margin, other.decided_at) == (one.below_margin, one.decided_at)


@searched
@given(
    st.lists(
        st.lists(
            st.none() | st.floats(-1e99, 1e99) | st.sampled_from([0.0, 1e-4, 1e-320]), max_size=15
        ),
        max_size=4,
    ),
    st.sampled_from([0.0, 1e-300, 0.003, 1e99]),
)
def test_no_finite_input_yields_nan(rows, margin):
    """Any numbers and any margin give numbers, or None where there are too few values."""
    family = [Pairs(SEEDS, dict(enumerate(row)), dict.fromkeys(range(15), 0.0)) for row in rows]
    for contrast in judge(family, LOOKS, margin):
        assert all(map(math.isfinite, numbers(reported(contrast))))
        assert contrast.seeds_needed is None or contrast.seeds_needed in LOOKS


def reported(contrast: Contrast) -> tuple[object, ...]:
    """All that a contrast says in numbers."""
    return (
        *(contrast.sample.mean, contrast.sample.std, contrast.interval),
        *((look.sample.mean, look.interval) for look in contrast.looks),
        *(contrast.p_value, contrast.p_holm, contrast.p_required),
        *contrast.sample.improvement,
    )


def numbers(values: tuple[object, ...]) -> Iterator[float]:
    """Yield all numbers of nested tuples."""
    for value in values:
        if isinstance(value, tuple):
            yield from numbers(value)
        elif isinstance(value, float):
            yield value


@searched
@given(experiments)
def test_p_lies_between_its_smallest_value_and_one(rows):
    """The observed pattern and its mirror image are always among those counted."""
    assume(rows)
    ours, theirs = np.array(rows).T
    assert 2.0 ** (1 - len(rows)) <= sign_flip_p_value(ours - theirs) <= 1
