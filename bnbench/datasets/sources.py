"""What every data set is before its split: four arrays as networks take them, and a fingerprint."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnbench import memory
from bnbench.errors import EnvironmentFault

Array = NDArray[Any]
Shape = tuple[int, ...]
Report = Callable[[str], None]

WHOLE_UP_TO = 2**24  # float32 holds every whole number up to here, and not every one beyond
_BLOCK = 1 << 20  # numbers in a block of rows


class Sources(NamedTuple):
    """Features ``uint8`` or ``float32`` (rows, ...), labels any integers (rows,) or (rows, 1).

    ``sha256`` is the `fingerprint` of the arrays as they are stored, or as a ``.csv`` is split into
    them, in this order. ``class_names``, in order, and ``feature_names`` are empty where classes
    and features have numbers alone.
    """

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    sha256: str
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()


def fingerprint(arrays: Iterable[Array]) -> str:
    """Return SHA-256 over arrays: of each ``<dtype.str><shape>``, then its bytes in C order.

    The text of Fashion-MNIST's training images is ``|u1(60000, 28, 28)``.
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(as_bytes(array))
    return digest.hexdigest()


def as_bytes(array: Array) -> memoryview:
    """Return the bytes of a C-contiguous array, not copied."""
    return array.reshape(-1).view(np.uint8).data


def row_blocks(rows: int, numbers: int) -> Iterator[slice]:
    """Yield slices of consecutive rows of so many ``numbers`` each, few enough to copy."""
    step = max(1, _BLOCK // numbers)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def check_memory(needed: int, what: str) -> None:
    """Raise `EnvironmentFault`, which begins with ``what``, unless so many bytes are free."""
    if needed > (left := memory.available()):
        raise EnvironmentFault(f"{what} needs {needed:,} bytes of memory; {left:,} are left here")


def reason_of(error: Exception) -> str:
    """Return what a library says of a fault, in one line."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def first_rounded(stored: Array, kept: Array) -> tuple[int, str] | None:
    """Return the place in the flat array of a whole number that float32 changed, and a message.

    ``kept`` holds the ``stored`` numbers as float32. None where it holds all whole numbers.
    """
    if stored.dtype.itemsize < 4:
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
