"""Group-sequential levels: how small a p must be when one looks at the seeds more than once.

Sources: Armitage, McPherson and Rowe 1969 (the recursion), Lan and DeMets 1983 (spending the level
as seeds are added, here in proportion to them), Jennison and Turnbull 2000, chapter 19 (numerics).
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Sides = Literal[1, 2]

ALPHA = 0.05  # what all looks together may spend

_POINTS = 201  # of Simpson's rule between the boundaries, or more where many looks need them
_COARSEST = 0.6  # between two points, in standard deviations of what a look adds
_FARTHEST = 8.0  # standard deviations; beyond it a normal variable never is


@lru_cache(maxsize=1024)
def nominal_levels(
    looks: tuple[int, ...], alpha: float = ALPHA, sides: Sides = 2
) -> tuple[float, ...]:
    """Return for each look the p at or below which a difference is found.

    ``looks`` are the numbers of pairs, rising. Stopping at the first such p is an error in a share
    ``alpha`` of all cases without a difference; alpha · n / N of it is spent up to n of N pairs.
    With two ``sides`` the level is split over both. Raises ValueError for looks that do not rise or
    an alpha that is not between 0 and 1.
    """
    if not looks or list(looks) != sorted(set(looks)) or looks[0] < 1 or not 0 < alpha < 1:
        raise ValueError(f"expected rising numbers of pairs and a share, got {looks}, {alpha}")
    at, mass, before = np.zeros(1), np.ones(1), 0  # of the sum of the pairs, each N(0, 1)
    spacing = _COARSEST * math.sqrt(min(b - a for a, b in pairwise((0, *looks))))
    boundaries = []
    for pairs in looks:
        step = pairs - before
        boundary = _boundary(at, mass, step, spent=alpha / sides * step / looks[-1])
        boundaries.append(boundary)
        onwards, weights = _points(boundary, pairs, sides, spacing)
        distance = onwards[:, None] - at
        density = np.exp(-(distance**2) / (2 * step)) / math.sqrt(2 * math.pi * step)
        mass = weights * (density @ mass)
        at, before = onwards, pairs
    levels = sides * special.ndtr(-np.array(boundaries) / np.sqrt(looks))
    return tuple(levels.tolist())


def _boundary(at: Array, mass: Array, step: int, spent: float) -> float:
    """Return the sum above which ``spent`` of the mass lies after so many pairs more."""
    low, high = 0.0, float(at[-1]) + _FARTHEST * math.sqrt(step)
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        beyond = float(mass @ special.ndtr((at - middle) / math.sqrt(step)))
        low, high = (middle, high) if beyond > spent else (low, middle)
    return high


def _points(boundary: float, pairs: int, sides: Sides, spacing: float) -> tuple[Array, Array]:
    """Return points between the boundaries, and the weights of Simpson's rule there.

    They are at most the ``spacing`` apart, so that the density of a single look is not missed.
    """
    lowest = -boundary if sides == 2 else -_FARTHEST * math.sqrt(pairs)
    points = max(_POINTS, 1 + 2 * math.ceil((boundary - lowest) / (2 * spacing)))  # an odd number
    at, step = np.linspace(lowest, boundary, points, retstep=True)
    weights = np.full(points, 2 * step / 3)
    weights[1::2] *= 2
    weights[[0, -1]] /= 2
    return at, weights
