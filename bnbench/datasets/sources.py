"""What every data set is before its split: four arrays as networks take them, and a fingerprint."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnbench import memory
from bnbench.errors import EnvironmentFault

Array = NDArray[Any]
Shape = tuple[int, ...]
Report = Callable[[str], None]

WHOLE_UP_TO = 2**24  # float32 holds every whole number up to here, and not every one beyond


class Sources(NamedTuple):
    """Features ``uint8`` or ``float32`` (rows, ...), labels any integers (rows,) or (rows, 1).

    ``sha256`` covers the arrays as they are stored, see `Fingerprint`. ``class_names``, in order,
    and ``feature_names`` are empty where classes and features have numbers alone.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    sha256: str
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()


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


def check_memory(needed: int, what: str) -> None:
    """Raise `EnvironmentFault`, which begins with ``what``, unless so many bytes are free."""
    if needed > (left := memory.available()):
        raise EnvironmentFault(f"{what} needs {needed:,} bytes of memory; {left:,} are left here")


def first_rounded(stored: Array, kept: Array) -> tuple[int, str] | None:
    """Return the place in the flat array of a whole number that float32 changed, and what to say.

    ``kept`` holds the ``stored`` numbers as float32. None where float32 holds all whole numbers.
    """
    if stored.dtype.kind == "b" or stored.dtype.itemsize < 4:
        return None
    with np.errstate(invalid="ignore"):  # 2**64 is no uint64
        changed = kept.astype(stored.dtype) != stored
    if stored.dtype.kind == "f":
        changed &= (np.abs(stored) > WHOLE_UP_TO) & (stored == np.trunc(stored))
    if not changed.any():
        return None
    place = int(np.argmax(changed))
    return place, (
        "holds whole numbers that float32 cannot distinguish from their neighbours, such as "
        f"{int(stored.flat[place]):,}"
    )
