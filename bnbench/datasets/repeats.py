"""Rows that occur more than once, and how many would do so by chance."""

from collections.abc import Iterator

import numpy as np

from bnbench.datasets.sources import Array

_BLOCK = 1 << 20  # numbers that are looked at at once
_ROWS = 1000  # of a class, enough to tell how often two of them agree
_SHIFTS = 8  # by which they are compared with others of their class


def keys(x: Array) -> Array:
    """Return int64 (rows,): equal for equal rows of (rows, features), else different.

    They hold within one process alone; that two rows of a million share one by accident is as
    likely as one in ten million.
    """
    return np.fromiter(_hashes(x), np.int64, len(x))


def _hashes(x: Array) -> Iterator[int]:
    step = max(1, _BLOCK // x.shape[1])
    for start in range(0, len(x), step):
        block = np.ascontiguousarray(x[start : start + step] + x.dtype.type(0))  # no -0.0 is left
        yield from (hash(row.tobytes()) for row in block)


def repeated(rows: Array) -> int:
    """Return how many of these keys repeat one that came before."""
    return len(rows) - len(np.unique(rows))


def among(rows: Array, others: Array) -> int:
    """Return how many of these keys are among the others."""
    return int(np.isin(rows, others).sum())


def by_chance(x: Array, y: Array) -> float:
    """Return which share of rows would have an equal one if features were independent in a class.

    Tables of a few columns that hold a few values each have many equal rows that are different
    cases; of measurements hardly any are. ``y`` holds the classes, (rows,), from 0.
    """
    random = np.random.default_rng(0)
    expected = 0.0
    for one in np.unique(y):
        own = random.permutation(np.flatnonzero(y == one))
        expected += len(own) * min(1.0, len(own) * _agreement(x[own[:_ROWS]]))
    return expected / len(x)


def _agreement(x: Array) -> float:
    """Return how likely two rows, which stand in no order, agree in every feature by chance."""
    shifts = range(1, min(_SHIFTS + 1, len(x)))
    if not shifts:
        return 0.0
    agreeing = [(x == np.roll(x, shift, axis=0)).mean(axis=0) for shift in shifts]
    return float(np.mean(agreeing, axis=0).prod())
