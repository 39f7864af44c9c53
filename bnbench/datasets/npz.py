"""An ``.npz`` file → the four arrays of a data set.

Every header is checked before memory is taken, and numbers are read block by block, so that no more
memory is needed than the arrays fill at the end.
"""

import hashlib
import lzma
import math
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from bnbench.datasets import sources
from bnbench.datasets.sources import Array, Report, Shape, Sources
from bnbench.errors import InputError

KEYS = ("x_train", "y_train", "x_test", "y_test")

_FAULTS = (  # what zipfile and numpy raise on a file that is not what it should be
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, SyntaxError),
    *(TokenError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class _Header(NamedTuple):
    shape: Shape
    fortran: bool
    dtype: np.dtype[Any]
    start: int  # of the numbers
    kept_as: np.dtype[Any]

    @property
    def bytes_needed(self) -> int:
        """The bytes of the array as it is kept, and as it is stored where it is read at once."""
        at_once = self.dtype.itemsize if self.fortran else 0
        return math.prod(self.shape) * (self.kept_as.itemsize + at_once)


def read(file: BinaryIO, name: str, report: Report = lambda line: None) -> Sources:
    """Return the four arrays and their fingerprint.

    Raises InputError, which begins with ``name``, for what cannot be trained on, integers that
    float32 would change among it, and EnvironmentFault where there is too little memory. ``report``
    gets a line for each array of float64 whose whole numbers were rounded.
    """
    with _opened(file, name) as archive:
        headers = _check_headers(archive, name)
        sources.check_memory(sum(header.bytes_needed for header in headers.values()), f"{name}:")
        digest, arrays = hashlib.sha256(), []
        for key, header in headers.items():
            digest.update(f"{header.dtype.str}{header.shape}".encode())
            array = np.empty(header.shape, header.kept_as)
            rows, rounded = array.reshape(len(array), -1), ""
            for place, block in _blocks(archive, key, header):
                found = _keep(block, rows[place], place.start, f"{name}: {key}")
                rounded = rounded or found
                digest.update(sources.as_bytes(block if key.startswith("x") else rows[place]))
            if rounded:
                report(f"{rounded}: they were rounded")
            arrays.append(array)
        x_train, y_train, x_test, y_test = arrays
        return Sources(x_train, y_train, x_test, y_test, digest.hexdigest())


def peek(file: BinaryIO, name: str) -> tuple[Shape, Array]:
    """Return the shape of ``x_train`` and the labels ``y_train``, reading nothing else."""
    with _opened(file, name) as archive:
        headers = _check_headers(archive, name)
        sources.check_memory(headers["y_train"].bytes_needed, f"{name}:")
        blocks = _blocks(archive, "y_train", headers["y_train"])
        return headers["x_train"].shape, np.concatenate([block for _, block in blocks])


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _FAULTS as error:
        reason = sources.reason_of(error)
        raise InputError(f"{name}: damaged, or not written by numpy.savez: {reason}") from error


def _blocks(archive: zipfile.ZipFile, key: str, header: _Header) -> Iterator[tuple[slice, Array]]:
    """Yield the array's rows in order, (rows, numbers), each block with its place."""
    rows, numbers = header.shape[0], math.prod(header.shape[1:])
    with archive.open(f"{key}.npy") as member:
        if header.fortran:  # every row is scattered over the file
            stored: Array = npy.read_array(member, allow_pickle=False)
            for place in sources.row_blocks(rows, numbers):
                yield place, np.ascontiguousarray(stored[place]).reshape(-1, numbers)
            return
        member.read(header.start)
        for place in sources.row_blocks(rows, numbers):
            count = (place.stop - place.start) * numbers
            content = member.read(count * header.dtype.itemsize)
            yield place, np.frombuffer(content, header.dtype).reshape(-1, numbers)


def _keep(stored: Array, kept: Array, row: int, where: str) -> str:
    """Copy numbers from ``row`` on; return where and how whole numbers were rounded, or ""."""
    with np.errstate(over="ignore"):  # reported below, with its row
        kept[...] = stored
    finite = np.isfinite(kept).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        too_large = np.isfinite(stored[first]).all()
        what = "a number too large for float32" if too_large else "NaN or infinite numbers"
        raise InputError(f"{where}[{row + first}]: holds {what}")
    found = sources.first_rounded(stored, kept)
    if not found:
        return ""
    rounded = f"{where}[{row + found[0] // kept.shape[1]}]: {found[1]}"
    if stored.dtype.kind in "ui":
        raise InputError(f"{rounded}; subtract what all rows share, or save float32")
    return rounded


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
    for part in ("train", "test"):
        x, y = headers[f"x_{part}"].shape, headers[f"y_{part}"].shape
        if x[0] != y[0]:
            raise InputError(f"{name}: x_{part} has {x[0]:,} rows but y_{part} {y[0]:,}")
    train, test = headers["x_train"], headers["x_test"]
    if train.shape[1:] != test.shape[1:]:
        raise InputError(
            f"{name}: a row of x_train has shape {train.shape[1:]}, one of x_test {test.shape[1:]}"
        )
    if train.kept_as != test.kept_as:
        raise InputError(
            f"{name}: x_train is {train.dtype} but x_test {test.dtype}: only uint8 is scaled by "
            "1/255, so save both with the same type"
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
    if key.startswith("x"):
        kinds, wanted, fits = "buif", "numbers (rows, features, ...)", len(shape) > 1
        kept_as = np.dtype(np.uint8 if dtype == np.uint8 else np.float32)
    else:
        kinds, wanted, fits = "ui", "integers (rows,)", len(shape) == 1 or shape[1:] == (1,)
        kept_as = dtype.newbyteorder("=")
    if dtype.kind not in kinds or not fits or min(shape) < 1:
        raise InputError(
            f"{where}: expected {wanted}, of one row or more, found {str(dtype)[:100]} {shape}"
        )
    declared = math.prod(shape) * dtype.itemsize
    held = archive.getinfo(f"{key}.npy").file_size - start
    if declared != held:
        raise InputError(
            f"{where}: shape {shape} needs {declared:,} bytes, the file holds {held:,}"
        )
    return _Header(shape, fortran, dtype, start, kept_as)
