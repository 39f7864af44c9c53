"""What holds for every set of accuracies, found by searching for a counterexample."""

import dataclasses
import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bnbench.evidence.stats import Contrast, Pairs, judge, sign_flip_p_value

MARGIN = 0.003
SWAPPED = {"better": "worse", "worse": "better"}

accuracies = st.integers(8600, 8680).map(lambda images: images / 10_000)
experiments = st.lists(st.tuples(accuracies, accuracies), min_size=0, max_size=19)
searched = settings(derandomize=True, deadline=None, max_examples=60)


def judged(pairs: list[tuple[float, float]], *, swap: bool = False) -> Contrast:
    ours, theirs = np.array(pairs, dtype=float).reshape(-1, 2).T
    (found,) = judge([Pairs(theirs - ours if swap else ours - theirs)], MARGIN)
    return found


@searched
@given(experiments)
def test_swapping_the_experiments_flips_sign_and_verdict(pairs):
    """What is better one way is worse the other way, by as much and with the same p."""
    one, other = judged(pairs), judged(pairs, swap=True)
    assert other.verdict == SWAPPED.get(one.verdict, one.verdict)
    assert (other.p_value, other.below_margin) == (one.p_value, one.below_margin)
    assert (other.wins, other.ties, other.losses) == (one.losses, one.ties, one.wins)
    if pairs:
        assert math.isclose(other.mean_difference, -one.mean_difference, abs_tol=1e-15)
        total = one.probability_of_improvement + other.probability_of_improvement
        assert math.isclose(total, 1)


@searched
@given(experiments, st.randoms(use_true_random=False))
def test_permuting_the_seeds_changes_nothing(pairs, random):
    """The order in which the seeds are read is no information, to the last bit."""
    shuffled = random.sample(pairs, len(pairs))
    assert judged(shuffled) == judged(pairs)


@searched
@given(experiments, st.integers(-5000, 1000).map(lambda images: images / 10_000))
def test_adding_a_constant_to_both_changes_nothing(pairs, constant):
    """Only differences count; rounding errors of the sums decide neither p nor verdict."""
    moved = [(round(ours + constant, 4), round(theirs + constant, 4)) for ours, theirs in pairs]
    one, other = judged(pairs), judged(moved)
    assert (other.verdict, other.p_value, other.p_holm) == (one.verdict, one.p_value, one.p_holm)
    assert (other.wins, other.ties, other.losses) == (one.wins, one.ties, one.losses)
    assert (other.below_margin, other.pairs_required) == (
        one.below_margin,
        one.pairs_required,
    )


@searched
@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(-1e99, 1e99) | st.sampled_from([0.0, 1e-4, 1e-320]), max_size=18),
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        max_size=4,
    ),
    st.sampled_from([0.0, 1e-300, 0.003, 1e99]),
)
def test_no_finite_input_yields_nan(rows, margin):
    """Any numbers and any margin give numbers, or None where there is too little to tell."""
    for found in judge([Pairs(np.array(row), won, lost) for row, won, lost in rows], margin):
        for value in dataclasses.asdict(found).values():
            for number in value if isinstance(value, tuple) else (value,):
                assert not isinstance(number, float) or math.isfinite(number)
        assert (found.verdict is None) == (found.pairs < 6)
        assert found.seeds_needed is None or found.seeds_needed > found.pairs


@searched
@given(experiments)
def test_p_lies_between_its_smallest_value_and_one(pairs):
    """The observed pattern and its mirror image are always among those counted."""
    assume(pairs)
    ours, theirs = np.array(pairs).T
    assert 2.0 ** (1 - len(pairs)) <= sign_flip_p_value(ours - theirs) <= 1
