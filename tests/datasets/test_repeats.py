"""Equal rows are found whatever they hold, and told from those that are equal by chance."""

import numpy as np
import pytest

from bnbench.datasets import repeats


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_equal_rows_are_counted(dtype: type) -> None:
    """Rows that repeat an earlier one, and rows that stand in another array too."""
    rows = np.array([[0, 1], [1, 0], [0, 1], [0, 1]], dtype)
    others = np.array([[1, 0], [1, 1]], dtype)
    keys = repeats.keys(rows)
    assert repeats.repeated(keys) == 2
    assert repeats.among(keys, repeats.keys(others)) == 1


def test_zero_has_one_key() -> None:
    """0 and -0 are equal, so rows of them are."""
    first, second = repeats.keys(np.array([[0.0], [-0.0]], np.float32))
    assert first == second


def test_rows_that_are_looked_at_in_blocks() -> None:
    """Wide rows, of which few are looked at once, have their keys in order."""
    rows = np.random.default_rng(0).integers(0, 256, (30, 100_000)).astype(np.uint8)
    keys = repeats.keys(np.concatenate([rows, rows[::-1]]))
    assert keys[:30].tolist() == keys[:29:-1].tolist()
    assert repeats.repeated(keys) == 30


def test_measurements_are_equal_by_no_chance() -> None:
    """Numbers that hardly ever agree are expected never to agree in a whole row."""
    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    assert repeats.by_chance(x, np.arange(300) % 3) == 0


def test_few_values_are_equal_by_chance() -> None:
    """Of 20 rows of a class that hold one of 1,000 numbers, each has an equal one in 50."""
    x = np.random.default_rng(0).integers(0, 10, (20_000, 3)).astype(np.float32)
    assert repeats.by_chance(x, np.arange(20_000) % 1000) == pytest.approx(0.02, rel=0.1)
    assert repeats.by_chance(x, np.arange(20_000) % 2) == 1


def test_a_class_of_one_row_has_none_alike() -> None:
    """Nothing can agree with it."""
    assert repeats.by_chance(np.zeros((2, 1), np.uint8), np.array([0, 1])) == 0
