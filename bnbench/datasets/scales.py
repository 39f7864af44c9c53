"""The scales of features: how far apart they are, and how features are standardized."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bnbench.datasets.sources import Array, check_memory, row_blocks
from bnbench.errors import InputError


class Scales(NamedTuple):
    """The low and the high end of the features' ranges, and the value that is farthest from 0.

    The range of a feature is its largest minus its smallest value; constant ones do not count. The
    high end is the largest range, the low end the 5th percentile, rounded down to one that occurs,
    as images have a few pixels that are hardly ever lit. Both are 0 where all are constant. The
    ``reach`` is without its sign, and constant features count.
    """

    low: float
    high: float
    reach: float


def feature_scales(x_train: Array, scale: float) -> Scales:
    """Return the scales of features, (rows, features), times ``scale``."""
    most, least = x_train.max(axis=0).astype(np.float64), x_train.min(axis=0).astype(np.float64)
    reach = scale * float(max(np.abs(most).max(), np.abs(least).max()))
    ranges = most - least
    varying = ranges[ranges > 0] * scale
    if not len(varying):
        return Scales(0.0, 0.0, reach)
    low, high = np.quantile(varying, [0.05, 1.0], method="lower").tolist()
    return Scales(low, high, reach)


def standardize(parts: Sequence[Array], scale: float, where: str) -> list[Array]:
    """Return the parts, (rows, features) each, with mean 0 and deviation 1 over the first of them.

    They are multiplied by ``scale`` first. Features that are constant in the first part become 0 in
    all. Computed in float64 and kept as ``float32``; the memory of float32 parts is used again.
    Raises InputError, which begins with ``where``, for a number that float32 cannot hold then, and
    EnvironmentFault where there is too little memory.
    """
    needed = sum(4 * part.size for part in parts if part.dtype != np.float32)
    check_memory(needed, f"{where}: standardized it")
    mean, deviation = _moments(parts[0], scale)
    return [_standardized(part, scale, mean, deviation, where) for part in parts]


def _moments(x: Array, scale: float) -> tuple[Array, Array]:
    """Return mean and deviation (n in the divisor) of each feature; infinite where constant."""
    blocks = list(row_blocks(*x.shape))
    mean = sum((x[rows].astype(np.float64) * scale).sum(axis=0) for rows in blocks) / len(x)
    squares = sum(((x[rows] * np.float64(scale) - mean) ** 2).sum(axis=0) for rows in blocks)
    deviation = np.sqrt(squares / len(x))
    deviation[x.min(axis=0) == x.max(axis=0)] = np.inf
    return mean, deviation


def _standardized(x: Array, scale: float, mean: Array, deviation: Array, where: str) -> Array:
    kept = x if x.dtype == np.float32 else np.empty(x.shape, np.float32)
    for rows in row_blocks(*x.shape):
        with np.errstate(over="ignore"):  # reported below
            kept[rows] = (x[rows].astype(np.float64) * scale - mean) / deviation
        if not np.isfinite(kept[rows]).all():
            feature = int(np.argmin(np.isfinite(kept[rows]).all(axis=0)))
            raise InputError(
                f"{where}: standardized, feature {feature} holds a number too large for float32: "
                "it hardly varies over the training rows; drop it"
            )
    return kept
