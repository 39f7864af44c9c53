"""What is doubted of own data, and what is left alone."""

from typing import Any

import numpy as np
import pytest

from bnbench.datasets.dataset import Dataset
from bnbench.training.doubts import doubts, small_uint8

RANDOM = np.random.default_rng(0)


def split(x: Any, y: Any = None, rows: tuple[int, int] = (600, 100), **other: Any) -> Dataset:
    """Make a data set of the features of 800 rows, of two classes that take turns."""
    y = np.arange(len(x)) % 2 if y is None else y
    parts = [(x[a:b], y[a:b]) for a, b in ((0, rows[0]), (rows[0], sum(rows)), (sum(rows), None))]
    (x_train, y_train), (x_val, y_val), (x_test, y_test) = parts
    scale = 1 / 255 if x.dtype == np.uint8 else 1.0
    shape = other.pop("feature_shape", x.shape[1:])
    classes = int(y.max()) + 1
    return Dataset(
        x_train, y_train, x_val, y_val, x_test, y_test, classes, shape, scale, "0" * 64, **other
    )


def measured(columns: int = 3) -> np.ndarray:
    return RANDOM.normal(size=(800, columns)).astype(np.float32)


def of_table(x: np.ndarray, y: Any = None) -> list[str]:
    return list(doubts(split(x, y), [f"c{n}" for n in range(x.shape[1])], margin=0.3))


def of_arrays(x: np.ndarray, **other: Any) -> list[str]:
    return list(doubts(split(x, **other), [], margin=0.3))


def test_measurements_are_not_doubted() -> None:
    """Neither as a table nor as arrays."""
    assert of_table(measured()) == of_arrays(measured()) == []


def test_test_rows_of_a_table_that_are_trained_on() -> None:
    """How many there are, why, and what to do to the file, from which they were drawn."""
    x = measured()
    x[690:720] = x[:30]
    assert of_table(x) == [
        "20 of the 100 test rows (20.00 %) and 10 of the 100 validation rows also stand among the "
        "training rows, as 30 of the file's 800 rows repeat another: drop those from the file, "
        "unless they are different cases that are alike"
    ]


def test_test_rows_of_arrays_that_are_trained_on() -> None:
    """Who splits for himself is told what to do before."""
    x = measured()
    x[700:720] = x[:20]
    assert of_arrays(x) == [
        "20 of the 100 test rows (20.00 %) also stand among the training rows: drop duplicates "
        "before splitting, unless they are different cases that are alike"
    ]


def test_a_column_that_counts_hides_no_repeats() -> None:
    """Rows are alike where they differ in their number alone."""
    x = measured()
    x[700:720] = x[:20]
    x[:, 1] = np.arange(800)
    found, counts = of_table(x)
    assert "as 20 of the file's 800 rows repeat another but for column c1:" in found
    assert counts.startswith("column c1 holds another whole number in every row")


def test_nothing_but_a_number_of_the_row() -> None:
    """Where no other column is left, there is no row to be alike."""
    assert len(of_table(np.arange(800, dtype=np.float32)[:, None])) == 1


def test_training_rows_that_repeat_each_other() -> None:
    """They are counted where they weigh, if no test row is among them."""
    x = measured()
    x[500:520] = x[:20]
    assert of_arrays(x) == []
    x[500:560] = x[:60]
    assert of_arrays(x) == [
        "60 of the 600 training rows repeat another (10.00 %): drop them, unless they are "
        "different cases that are alike"
    ]


@pytest.mark.parametrize("values", [2, 3])
def test_few_values_repeat_by_chance(values: int) -> None:
    """Four columns of two or three values cannot but repeat."""
    x = RANDOM.integers(0, values, (800, 4)).astype(np.float32)
    assert of_table(x) == of_arrays(x) == []


def test_one_test_row_is_no_leak() -> None:
    """Two flowers may be alike to the millimetre."""
    x = measured()
    x[700] = x[0]
    assert of_table(x) == []


@pytest.mark.parametrize("codes", [[0, 1, 2], [0.1, 10, 20], [7, 5, 6]])
def test_a_feature_that_is_the_label(codes: list[float]) -> None:
    """Whatever stands for the classes, in whatever order."""
    y, x = np.arange(800) % 3, measured()
    x[:, 2] = np.array(codes)[y]
    assert of_table(x, y) == [
        "column c2 tells the class by itself: drop it if it is the label again"
    ]
    x[:, 0] = y + 3 * RANDOM.integers(0, 2, 800)  # two values a class
    assert of_arrays(x, y=y) == [
        "features 0 and 2 tell the class, each by itself: drop what is the label again"
    ]


def test_a_feature_that_only_divides_the_classes_is_none() -> None:
    """A measurement tells the class too where classes lie apart, and so may few rows by chance."""
    y, x = np.arange(800) % 2, measured()
    x[:, 1] = 10 * y + RANDOM.normal(size=800).round(1)
    assert of_table(x, y) == []
    few = RANDOM.normal(size=(12, 2)).astype(np.float32)
    few[:, 0] = y[:12]
    assert of_arrays(few, y=y[:12], rows=(8, 2)) == []


def test_rows_sorted_by_class_are_looked_at_too() -> None:
    """A thousand rows of one class tell nothing of the others."""
    y = np.repeat([0, 1], 5000)
    x = RANDOM.normal(size=(10_000, 2)).astype(np.float32)
    x[:, 1] = y
    (found,) = of_arrays(x, y=y, rows=(9000, 500))
    assert found.startswith("feature 1 tells the class")


def test_constant_columns() -> None:
    """A few are named, of arrays they are counted, and of images nothing is said."""
    x = measured(6)
    x[:600, 1] = 3
    assert of_table(x) == [
        "column c1 is constant over the training rows: drop it, as there is nothing to learn"
    ]
    x[:, 1:] = 3
    assert of_table(x) == [
        "columns c1, c2, c3 and 2 more are constant over the training rows: drop them, as there is "
        "nothing to learn"
    ]
    assert of_arrays(x) == [
        "5 of the 6 features are constant over the training rows: drop them, as there is nothing "
        "to learn"
    ]
    assert of_arrays(x, feature_shape=(2, 3)) == []


@pytest.mark.parametrize(
    ("largest", "small"), [(1, 1), (16, 16), (25, 25), (26, None), (255, None)]
)
def test_uint8_that_is_divided_too_far(largest: int, small: int | None) -> None:
    """A tenth of the scale or less is said, and what becomes of it."""
    x = RANDOM.integers(0, largest + 1, (800, 30)).astype(np.uint8)
    assert small_uint8(split(x)) == small
    assert small_uint8(split(x.astype(np.float32))) is None
    assert len(of_arrays(x)) == (small is not None)


def test_uint8_without_any_light() -> None:
    """Where all is 0, no scale mends it."""
    assert small_uint8(split(np.zeros((800, 4), np.uint8))) is None
