"""What a record says of its data."""

from typing import Any

import numpy as np
import pytest

from bnbench.datasets.dataset import Dataset
from bnbench.training.data_summary import feature_scales


def dataset(x_train: Any, scale: float = 1.0) -> Dataset:
    x = np.array(x_train)
    y = np.zeros(len(x), np.int32)
    return Dataset(x, y, x, y, x, y, 1, x.shape[1:], scale, "")


@pytest.mark.parametrize(
    ("x_train", "scale", "expected"),
    [
        ([[0.0, 5.0], [1.0, 1005.0]], 1.0, (1.0, 1000.0, 1005.0)),
        ([[7.0, -5.0], [7.0, -6.0]], 1.0, (1.0, 1.0, 7.0)),
        ([[-7.0], [-7.0]], 1.0, (0.0, 0.0, 7.0)),
        ([[-3e38, 0.0], [3e38, 1.0]], 1.0, (1.0, 6e38, 3e38)),
    ],
)
def test_feature_scales(x_train: Any, scale: float, expected: tuple[float, float, float]) -> None:
    """The smallest and largest range, constant features left out, and the farthest value."""
    made = dataset(np.array(x_train, np.float32), scale)
    assert feature_scales(made) == pytest.approx(expected)


def test_a_few_dark_pixels_do_not_count() -> None:
    """Of many features the low end leaves out one in twenty, as `uint8` images have such."""
    x = np.zeros((2, 100), np.uint8)
    x[1] = 255
    x[1, :4] = 1
    assert feature_scales(dataset(x, 1 / 255)) == (1.0, 1.0, 1.0)
    x[1, :8] = 1
    assert feature_scales(dataset(x, 1 / 255)) == (1 / 255, 1.0, 1.0)
