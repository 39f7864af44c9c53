"""What holds for new images: the crossed layout by plain loops, and its coverage by simulation."""

import math

import numpy as np
import pytest
import scipy.stats

from bnbench.evidence.images import CrossedRandomEffects, for_new_images

LEVELS = (0.0125, 0.00625)  # two- and one-sided
REPETITIONS = 400
CONTESTED = 0.1  # of all rows; two networks agree on the rest with every seed
DISAGREEMENT = 0.5  # on a contested row, so that it is 5 % of all

EASY_ROWS = 0.23  # lean of a contested row to one side: at 10,000 rows a floor of 0.07 points
HARD_ROWS = 0.7  # 0.22 points


def layout(
    generator: np.random.Generator, seeds: int, rows: int, deviation: float, lean: float
) -> np.ndarray:
    """Draw differences of correctness for new seeds on new rows; the true mean is zero.

    A contested row leans to one side or the other, and a seed shifts all contested rows, so that
    its share of all moves with the standard ``deviation``.
    """
    count = generator.binomial(rows, CONTESTED)
    leaning = DISAGREEMENT * lean * generator.choice([-1, 1], count)
    shift = generator.normal(0, deviation / CONTESTED, (seeds, 1))
    ahead = (DISAGREEMENT + leaning + shift) / 2
    drawn = generator.random((seeds, count), dtype=np.float32)
    differences = np.zeros((seeds, rows), np.int8)
    differences[:, :count] = (drawn < ahead).astype(np.int8) - (drawn > 1 - DISAGREEMENT + ahead)
    return differences


def by_loops(differences: np.ndarray) -> tuple[float, float, float]:
    """Return variance, degrees of freedom and floor by the letter of their definitions."""
    n, m = differences.shape
    y = differences.tolist()
    mean = sum(map(sum, y)) / (n * m)
    of_seed = [sum(row) / m for row in y]
    of_row = [sum(y[i][j] for i in range(n)) / n for j in range(m)]
    a = m * sum((of_seed[i] - mean) ** 2 for i in range(n)) / (n - 1)
    b = n * sum((of_row[j] - mean) ** 2 for j in range(m)) / (m - 1)
    e = 0.0
    for i in range(n):
        for j in range(m):
            e += (y[i][j] - of_seed[i] - of_row[j] + mean) ** 2
    e /= (n - 1) * (m - 1)
    variance = max(a + b - e, a, b) / (n * m)
    parts = ((a, n - 1), (b, m - 1), (e, (n - 1) * (m - 1)))
    df = variance**2 / sum((square / (n * m)) ** 2 / own for square, own in parts)
    floor = 1.96 * math.sqrt(max(b - e, 0) / n) / math.sqrt(m)
    return variance, max(n - 1, df), floor


@pytest.mark.parametrize("seeds", [2, 3, 8])
@pytest.mark.parametrize("rows", [2, 5, 40])
@pytest.mark.parametrize("chances", [(0.1, 0.8, 0.1), (0.3, 0.3, 0.4)])
def test_the_mean_squares_are_those_of_plain_loops(seeds, rows, chances):
    """Mean, variance, degrees of freedom and floor are what the definitions give, cell by cell."""
    generator = np.random.default_rng([seeds, rows])
    for _ in range(5):
        differences = generator.choice([-1, 0, 1], (seeds, rows), p=chances).astype(np.int8)
        differences[0, 0], differences[-1, -1] = 1, 0  # not all alike
        found = CrossedRandomEffects.of(differences)
        assert found.mean == pytest.approx(differences.mean(), abs=1e-12)
        expected = by_loops(differences)
        assert (found.variance, found.df, found.floor) == pytest.approx(expected, abs=1e-7)
        assert found.rows == rows


@pytest.mark.parametrize(("seeds", "rows"), [(10, 500), (10, 10_000), (30, 10_000)])
@pytest.mark.parametrize("deviation", [0.001, 0.004])
@pytest.mark.parametrize("lean", [EASY_ROWS, HARD_ROWS])
def test_the_interval_holds_for_new_seeds_and_new_images(seeds, rows, deviation, lean):
    """The 95 % interval has the true mean, over all seeds and images, in 93 to 98.5 % of cases."""
    generator = np.random.default_rng([seeds, rows, round(1e4 * deviation), round(100 * lean)])
    held = 0
    for _ in range(REPETITIONS):
        low, high = CrossedRandomEffects.of(
            layout(generator, seeds, rows, deviation, lean)
        ).interval(0.05)
        held += low <= 0 <= high
    assert 0.93 <= held / REPETITIONS <= 0.985


def test_the_floor_is_what_more_seeds_do_not_change():
    """Its mean comes near 1.96 deviations of the rows' own means over the root of the rows."""
    generator = np.random.default_rng(0)
    for seeds in (10, 30):
        squares = [
            CrossedRandomEffects.of(layout(generator, seeds, 2_000, 0.002, HARD_ROWS)).floor ** 2
            for _ in range(100)
        ]
        own = math.sqrt(CONTESTED) * DISAGREEMENT * HARD_ROWS
        assert math.sqrt(np.mean(squares)) == pytest.approx(1.96 * own / math.sqrt(2_000), rel=0.05)


def test_the_interval_is_students_with_the_degrees_of_freedom():
    """At any level it is mean ± t · √V."""
    generator = np.random.default_rng(1)
    found = CrossedRandomEffects.of(layout(generator, 5, 300, 0.002, HARD_ROWS))
    expected = scipy.stats.t.interval(0.99, found.df, found.mean, math.sqrt(found.variance))
    assert found.interval(0.01) == pytest.approx(tuple(expected))


def test_rows_needed_bring_the_floor_down_to_the_margin():
    """The floor falls with the root of the rows: half as large a margin takes four times as many;
    where it lies below the margin already, and for a margin of zero, there is no number.
    """
    found = CrossedRandomEffects.of(layout(np.random.default_rng(2), 10, 1_000, 0.002, HARD_ROWS))
    assert found.rows_needed(found.floor) is None
    assert found.rows_needed(0.0) is None
    assert found.rows_needed(found.floor / 2) == pytest.approx(4_000, abs=1)


@pytest.mark.parametrize("value", [-1, 0, 1])
def test_where_all_is_alike_the_interval_is_the_point(value):
    """Equal differences leave no variance and no floor, and nothing that is no number."""
    found = CrossedRandomEffects.of(np.full((4, 6), value, np.int8))
    assert (found.mean, found.variance, found.df, found.floor) == (value, 0, 3, 0)
    assert found.interval(0.05) == (value, value)
    assert found.rows_needed(0.003) is None


@pytest.mark.parametrize(
    "differences",
    [[[1, 1, 1], [-1, -1, -1]], [[1, 0, -1], [1, 0, -1]], [[1, -1], [-1, 1]], [[0, 0], [0, 1]]],
    ids=["seeds differ", "rows differ", "ties on either side", "one cell"],
)
def test_lopsided_layouts_give_numbers(differences):
    """Where only seeds, only rows or neither differ, all is finite and no less than one freedom."""
    found = CrossedRandomEffects.of(np.array(differences, np.int8))
    numbers = found.mean, found.variance, found.df, found.floor, *found.interval(0.01)
    assert all(map(math.isfinite, numbers))
    assert found.df >= 1


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (1, 1), (0, 50)])
def test_one_seed_or_one_row_tells_nothing_of_others(shape):
    """Fewer than two of either are no sample."""
    assert CrossedRandomEffects.of(np.ones(shape, np.int8)) is None
    assert for_new_images(np.ones(shape, np.int8), "better", LEVELS, 0.003) is None


@pytest.mark.parametrize(
    ("shift", "verdict", "holds"),
    [
        (0.02, "better", True),
        (-0.02, "better", False),
        (-0.02, "worse", True),
        (0.0, "better", False),
        (0.0, "worse", False),
        (0.0, "equivalent", True),
        (0.02, "equivalent", False),
        (0.02, "undecided", None),
        (0.02, None, None),
    ],
)
def test_a_verdict_holds_where_the_interval_bears_it_out(shift, verdict, holds):
    """Better needs an interval above zero, equivalent one within the margin; else nothing is said
    to hold or not to.
    """
    generator = np.random.default_rng(3)
    ahead = generator.random((10, 4_000)) < 0.05
    differences = ahead.astype(np.int8) - (generator.random((10, 4_000)) < 0.05 - shift)
    found = for_new_images(differences, verdict, LEVELS, 0.01)
    assert found.holds is holds
    assert found.interval == CrossedRandomEffects.of(differences).interval(LEVELS[0])
    assert (found.rows, found.rows_needed) == (4_000, None)


def test_equivalence_takes_the_one_sided_level():
    """The interval that must lie within the margin leaves the one-sided level on either side."""
    differences = layout(np.random.default_rng(4), 10, 1_000, 0.001, EASY_ROWS)
    for level in LEVELS:
        widest = max(map(abs, CrossedRandomEffects.of(differences).interval(2 * level)))
        for margin, holds in ((1.001 * widest, True), (0.999 * widest, False)):
            found = for_new_images(differences, "equivalent", (0.9, level), margin)
            assert found.holds is holds


def test_networks_that_agree_on_every_image_are_equivalent_on_many():
    """That no row differs says little where there are few; a row that differs is not the margin."""
    nothing = np.zeros((10, 2000), np.int8)
    assert for_new_images(nothing, "equivalent", LEVELS, 0.003).holds is True
    assert for_new_images(nothing[:, :100], "equivalent", LEVELS, 0.003).holds is False
    assert for_new_images(nothing + np.int8(1), "equivalent", LEVELS, 0.003).holds is False
