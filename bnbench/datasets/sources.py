"""What every data set is before its split: four arrays as networks take them, and a fingerprint.

Numbers are taken block by block, so that no more memory is needed than the arrays fill at the end.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnbench.errors import InputError

Array = NDArray[Any]
Shape = tuple[int, ...]
Report = Callable[[str], None]

WHOLE_UP_TO = 2**24  # float32 holds every whole number up to here, and not every one beyond


class Sources(NamedTuple):
    """Features ``uint8`` or ``float32`` (rows, ...), labels any integers (rows,) or (rows, 1).

    ``sha256`` covers the arrays as they are stored, see `Fingerprint`; ``class_names`` are what the
    classes are called, in order, where that is known.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    sha256: str
    class_names: tuple[str, ...] = ()


class Fingerprint:
    """SHA-256 over arrays: of each ``<dtype.str><shape>``, then its bytes in C order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def begin(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Begin the next array."""
        self._digest.update(f"{dtype.str}{shape}".encode())

    def taken(self, block: Array) -> Array:
        """Take the next part of the array, C-contiguous, and return it."""
        self._digest.update(block.reshape(-1).view(np.uint8).data)
        return block

    def text(self) -> str:
        """Return the 64 hex digits."""
        return self._digest.hexdigest()


def fingerprint(arrays: Iterable[Array]) -> str:
    """Return the fingerprint of whole arrays."""
    made = Fingerprint()
    for array in arrays:
        made.begin(array.shape, array.dtype)
        made.taken(array)
    return made.text()


def features(
    blocks: Iterable[Array], shape: Shape, dtype: np.dtype[Any], where: str, report: Report
) -> Array:
    """Return features of this shape from consecutive blocks of rows, ``uint8`` or ``float32``.

    ``where`` names the array. Raises InputError for what float32 cannot hold and for an integer
    that it would change; ``report`` gets a line where it changes whole numbers of type float64.
    """
    kept = np.empty(shape, np.uint8 if dtype == np.uint8 else np.float32)
    rows, row, rounded = kept.reshape(len(kept), -1), 0, None
    for block in blocks:
        part = rows[row : row + len(block)]
        with np.errstate(over="ignore"):  # reported below, with its row
            part[...] = block
        _check_finite(block, part, row, where)
        rounded = rounded or _first_rounded(block, part, row)
        if rounded and dtype.kind in "ui":
            raise InputError(f"{where}{rounded}; subtract what all rows share, or save float32")
        row += len(block)
    if rounded:
        report(f"{where}{rounded}: they were rounded")
    return kept


def _check_finite(stored: Array, kept: Array, row: int, where: str) -> None:
    finite = np.isfinite(kept).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        too_large = np.isfinite(stored[first]).all()
        what = "a number too large for float32" if too_large else "NaN or infinite numbers"
        raise InputError(f"{where}[{row + first}]: holds {what}")


def _first_rounded(stored: Array, kept: Array, row: int) -> str | None:
    """Say where float32 changes whole numbers: ``[row]: holds …``."""
    if stored.dtype.kind == "b" or stored.dtype.itemsize < 4:
        return None
    with np.errstate(invalid="ignore"):  # 2**64 is no uint64
        changed = kept.astype(stored.dtype) != stored
    if stored.dtype.kind == "f":
        changed &= (np.abs(stored) > WHOLE_UP_TO) & (stored == np.trunc(stored))
    if not changed.any():
        return None
    first, column = np.unravel_index(np.argmax(changed), changed.shape)
    value = int(stored[first, column])
    return (
        f"[{row + int(first)}]: holds whole numbers that float32 cannot tell from their "
        f"neighbours, such as {value:,}"
    )
