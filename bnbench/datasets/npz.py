"""An ``.npz`` file → the four arrays of a data set.

Every header is checked before memory is taken, and numbers are read block by block, so that no more
memory is needed than the arrays fill at the end.
"""

import lzma
import math
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from bnbench.datasets.sources import (
    Array,
    Fingerprint,
    Report,
    Shape,
    Sources,
    check_memory,
    first_rounded,
)
from bnbench.errors import InputError

KEYS = ("x_train", "y_train", "x_test", "y_test")
_BLOCK = 1 << 20  # bytes that are read at once

_FAULTS = (  # what zipfile and numpy raise on a file that is not what it should be
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    SyntaxError,
    TokenError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class _Header:
    shape: Shape
    dtype: np.dtype[Any]
    fortran: bool
    start: int  # of the numbers

    @property
    def rows(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def read(file: BinaryIO, name: str, report: Report = lambda line: None) -> Sources:
    """Return the four arrays and their fingerprint.

    Raises InputError, which begins with ``name``, for what cannot be trained on, integers that
    float32 would change among it, and EnvironmentFault where there is too little memory. ``report``
    gets a line for each array of float64 whose whole numbers were rounded.
    """
    with _opened(file, name) as archive:
        headers = _check_headers(archive, name)
        check_memory(sum(map(_bytes_needed, headers.values())), f"{name}:")
        made = Fingerprint()

        def array(key: str) -> Array:
            header = headers[key]
            made.begin(header.shape, header.dtype)
            blocks = map(made.taken, _blocks(archive, key, header))
            if key.startswith("y"):
                return np.concatenate(list(blocks)).reshape(header.shape)
            return _features(blocks, header, f"{name}: {key}", report)

        x_train, y_train, x_test, y_test = map(array, KEYS)
        return Sources(x_train, y_train, x_test, y_test, made.text())


def peek(file: BinaryIO, name: str) -> tuple[Shape, Array]:
    """Return the shape of ``x_train`` and the array ``y_train``, reading nothing else."""
    with _opened(file, name) as archive:
        headers = _check_headers(archive, name)
        header = headers["y_train"]
        check_memory(_bytes_needed(header), f"{name}:")
        labels = np.concatenate(list(_blocks(archive, "y_train", header)))
        return headers["x_train"].shape, labels.reshape(header.shape)


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _FAULTS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{name}: damaged, or not written by numpy.savez: {reason}") from error


def _blocks(archive: zipfile.ZipFile, key: str, header: _Header) -> Iterator[Array]:
    """Yield the array's rows in order, as many at once as a block holds: (rows, numbers)."""
    step = max(1, _BLOCK // header.row_bytes)
    starts = range(0, header.rows, step)
    with archive.open(f"{key}.npy") as member:
        if header.fortran:  # every row is scattered over the file
            stored: Array = npy.read_array(member, allow_pickle=False)
            for row in starts:
                block = stored[row : row + step]
                yield np.ascontiguousarray(block).reshape(len(block), -1)
            return
        member.read(header.start)
        for row in starts:
            count = min(step, header.rows - row)
            content = member.read(count * header.row_bytes)
            yield np.frombuffer(content, header.dtype).reshape(count, -1)


def _features(blocks: Iterable[Array], header: _Header, where: str, report: Report) -> Array:
    """Return ``uint8`` or ``float32`` features; ``where`` names the array in messages."""
    kept = np.empty(header.shape, np.uint8 if header.dtype == np.uint8 else np.float32)
    rows, row, rounded = kept.reshape(header.rows, -1), 0, ""
    for block in blocks:
        part = rows[row : row + len(block)]
        with np.errstate(over="ignore"):  # reported below, with its row
            part[...] = block
        _check_finite(block, part, row, where)
        if not rounded and (found := first_rounded(block, part)):
            rounded = f"{where}[{row + found[0] // part.shape[1]}]: {found[1]}"
            if header.dtype.kind in "ui":
                raise InputError(f"{rounded}; subtract what all rows share, or save float32")
        row += len(block)
    if rounded:
        report(f"{rounded}: they were rounded")
    return kept


def _check_finite(stored: Array, kept: Array, row: int, where: str) -> None:
    finite = np.isfinite(kept).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        too_large = np.isfinite(stored[first]).all()
        what = "a number too large for float32" if too_large else "NaN or infinite numbers"
        raise InputError(f"{where}[{row + first}]: holds {what}")


def _check_headers(archive: zipfile.ZipFile, name: str) -> dict[str, _Header]:
    members = Counter(archive.namelist())
    missing = [key for key in KEYS if f"{key}.npy" not in members]
    if missing:
        held = ", ".join(sorted(member.removesuffix(".npy") for member in members))[:200]
        raise InputError(f"{name}: lacks {', '.join(missing)}; it holds {held or 'nothing'}")
    twice = [key for key in KEYS if members[f"{key}.npy"] > 1]
    if twice:
        raise InputError(f"{name}: holds {', '.join(twice)} more than once; save it anew")
    headers = {key: _check_header(archive, key, f"{name}: {key}") for key in KEYS}
    _check_shapes({key: header.shape for key, header in headers.items()}, name)
    train, test = headers["x_train"].dtype, headers["x_test"].dtype
    if (train == np.uint8) != (test == np.uint8):
        raise InputError(
            f"{name}: x_train is {train} but x_test {test}: only uint8 is scaled by 1/255, so save "
            "both with the same type"
        )
    return headers


def _check_header(archive: zipfile.ZipFile, key: str, where: str) -> _Header:
    with archive.open(f"{key}.npy") as member:
        version = npy.read_magic(member)
        if version != (1, 0):  # numpy writes others for structured types only
            raise InputError(f"{where}: npy format {version} is not read; save a plain array")
        shape, fortran, dtype = npy.read_array_header_1_0(member)
        start = member.tell()
    if dtype.hasobject:
        raise InputError(f"{where}: holds Python objects (pickles), which are never loaded")
    kinds, wanted = ("buif", "numbers") if key.startswith("x") else ("ui", "integers")
    if dtype.kind not in kinds:
        raise InputError(f"{where}: expected {wanted}, found the type {str(dtype)[:100]}")
    if not shape or min(shape) < 1:
        raise InputError(f"{where}: expected at least one row and one value, found shape {shape}")
    declared, held = math.prod(shape) * dtype.itemsize, archive.getinfo(f"{key}.npy").file_size
    if declared != held - start:
        raise InputError(
            f"{where}: shape {shape} needs {declared:,} bytes, the file holds {held - start:,}"
        )
    return _Header(shape, dtype, fortran, start)


def _check_shapes(shapes: dict[str, Shape], name: str) -> None:
    for part in ("train", "test"):
        x, y = shapes[f"x_{part}"], shapes[f"y_{part}"]
        if len(x) < 2:
            raise InputError(f"{name}: x_{part}: expected (rows, features, ...), found shape {x}")
        if len(y) != 1 and y[1:] != (1,):
            raise InputError(f"{name}: y_{part}: expected (rows,) class numbers, found shape {y}")
        if x[0] != y[0]:
            raise InputError(f"{name}: x_{part} has {x[0]:,} rows but y_{part} {y[0]:,}")
    train, test = shapes["x_train"][1:], shapes["x_test"][1:]
    if train != test:
        raise InputError(f"{name}: a row of x_train has shape {train}, one of x_test {test}")


def _bytes_needed(header: _Header) -> int:
    """Return the bytes of an array as it is kept, and as it is stored where it is read at once."""
    kept = 1 if header.dtype == np.uint8 else 4
    passing = header.dtype.itemsize if header.fortran else 0
    return math.prod(header.shape) * (kept + passing)
