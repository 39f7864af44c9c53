"""Features on one scale: against numpy by hand, in bounded memory."""

from pathlib import Path

import numpy as np
import pytest

from bnbench import memory
from bnbench.datasets import dataset, sources
from bnbench.errors import EnvironmentFault, InputError
from bnbench.experiments.config import DataConfig
from tests.datasets.test_dataset import own_arrays, save


def standardized(path: str, validation_size: int = 3) -> dataset.Dataset:
    return dataset.load(DataConfig(dataset=path, validation_size=validation_size, standardize=True))


def plain(path: str, validation_size: int = 3) -> dataset.Dataset:
    return dataset.load(DataConfig(dataset=path, validation_size=validation_size))


def check_by_hand(made: dataset.Dataset, raw: dataset.Dataset) -> None:
    """Every part, with mean and deviation of the rows that train and of no other."""
    train = raw.x_train.astype(np.float64) * raw.scale
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    varying = np.ptp(train, axis=0) > 0
    for part in ("train", "val", "test"):
        x = getattr(made, f"x_{part}")
        assert x.dtype == np.float32
        assert x.flags.c_contiguous
        by_hand = (getattr(raw, f"x_{part}") * raw.scale - mean)[:, varying] / deviation[varying]
        np.testing.assert_allclose(x[:, varying], by_hand, rtol=1e-5, atol=1e-6)
        assert (x[:, ~varying] == 0).all()
        np.testing.assert_array_equal(getattr(made, f"y_{part}"), getattr(raw, f"y_{part}"))
    assert made.scale == 1.0
    assert made.sha256 == raw.sha256


def test_own_numbers(tmp_path: Path) -> None:
    """Columns that lie a millionfold apart, and a constant one whose test rows are not constant."""
    arrays = own_arrays()
    for key in ("x_train", "x_test"):
        arrays[key] = arrays[key] * [1, 1e6, 1e-6, 1, 1] + [0, 1e7, 5, 0, 0]
    arrays["x_train"][:, 3] = 0.1
    path = save(tmp_path / "own.npz", arrays)
    made = standardized(path)
    check_by_hand(made, plain(path))
    assert np.abs(made.x_train.mean(axis=0)).max() < 1e-6
    np.testing.assert_allclose(made.x_train.std(axis=0), [1, 1, 1, 0, 1], rtol=1e-5)


def test_images() -> None:
    """`uint8` becomes float32 in the sample, after it is scaled; always dark pixels become 0."""
    made, raw = standardized("fashion_mnist_sample", 500), plain("fashion_mnist_sample", 500)
    check_by_hand(made, raw)
    assert made.feature_shape == raw.feature_shape


def test_blocks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large data in many pieces gives what it gives in one, but for the last digits."""
    path = save(tmp_path / "own.npz", own_arrays())
    whole = standardized(path)
    monkeypatch.setattr(sources, "_BLOCK", 10)
    np.testing.assert_allclose(standardized(path).x_test, whole.x_test, rtol=1e-6)


def test_the_same_bits_every_time(tmp_path: Path) -> None:
    """Two loads agree to the last digit, as what is trained on them does."""
    path = save(tmp_path / "own.npz", own_arrays())
    assert standardized(path).x_train.tobytes() == standardized(path).x_train.tobytes()


def test_a_test_row_out_of_all_proportion(tmp_path: Path) -> None:
    """What float32 cannot hold is refused with the feature that holds it."""
    arrays = own_arrays()
    arrays["x_train"][:, 2] = np.arange(12) * 1e-30
    arrays["x_test"][4, 2] = 1e30
    path = save(tmp_path / "own.npz", arrays)
    with pytest.raises(InputError, match="standardized, feature 2 holds a number too large"):
        standardized(path)


def test_images_that_do_not_fit_as_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four bytes a pixel are asked for before they are taken."""
    available = iter([10**9, 1_000_000])
    monkeypatch.setattr(memory, "available", lambda: next(available))
    with pytest.raises(EnvironmentFault, match=r"standardized it needs 7,840,000 bytes of memory"):
        standardized("fashion_mnist_sample", 500)
