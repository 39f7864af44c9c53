"""An ``.npz`` file → the four arrays of a data set, every header checked before memory is taken."""

import lzma
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bnbench.errors import InputError

Array = NDArray[Any]
Shape = tuple[int, ...]

MAX_BYTES = 16 << 30  # of all arrays in memory, float32 copies included

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
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class Sources(NamedTuple):
    """The four arrays of a data set as they are stored."""

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array


def read(file: BinaryIO, name: str) -> Sources:
    """Return the four arrays; raises InputError that begins with ``name``."""
    with _opened(file, name) as archive:
        _check_headers(archive, name)
        return Sources(*(_read_array(archive, key) for key in Sources._fields))


def peek(file: BinaryIO, name: str) -> tuple[Shape, Array]:
    """Return the shape of ``x_train`` and the array ``y_train``, reading nothing else."""
    with _opened(file, name) as archive:
        shapes = _check_headers(archive, name)
        return shapes["x_train"], _read_array(archive, "y_train")


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _FAULTS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{name}: damaged, or not written by numpy.savez: {reason}") from error


def _read_array(archive: zipfile.ZipFile, key: str) -> Array:
    with archive.open(f"{key}.npy") as member:
        array: Array = npy.read_array(member, allow_pickle=False)
    return np.ascontiguousarray(array)


def _check_headers(archive: zipfile.ZipFile, name: str) -> dict[str, Shape]:
    members = set(archive.namelist())
    missing = [key for key in Sources._fields if f"{key}.npy" not in members]
    if missing:
        held = ", ".join(sorted(member.removesuffix(".npy") for member in members))[:200]
        raise InputError(f"{name}: lacks {', '.join(missing)}; it holds {held or 'nothing'}")
    shapes, dtypes = {}, {}
    for key in Sources._fields:
        shapes[key], dtypes[key] = _check_header(archive, key, f"{name}: {key}")
    _check_shapes(shapes, name)
    _check_memory(shapes, dtypes, name)
    if (dtypes["x_train"] == np.uint8) != (dtypes["x_test"] == np.uint8):
        raise InputError(
            f"{name}: x_train is {dtypes['x_train']} but x_test {dtypes['x_test']}: only uint8 is "
            "scaled by 1/255, so save both with the same type"
        )
    return shapes


def _check_header(archive: zipfile.ZipFile, key: str, where: str) -> tuple[Shape, np.dtype[Any]]:
    with archive.open(f"{key}.npy") as member:
        version = npy.read_magic(member)
        if version != (1, 0):  # numpy writes others for structured types only
            raise InputError(f"{where}: npy format {version} is not read; save a plain array")
        shape, _, dtype = npy.read_array_header_1_0(member)
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
    return shape, dtype


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


def _check_memory(shapes: dict[str, Shape], dtypes: dict[str, np.dtype[Any]], name: str) -> None:
    needed = 0
    for key, shape in shapes.items():
        copy = 0 if dtypes[key] in (np.uint8, np.float32) else 4
        needed += math.prod(shape) * (dtypes[key].itemsize + copy)
    try:
        limit = min(MAX_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        limit = MAX_BYTES
    if needed > limit:
        raise InputError(f"{name}: needs {needed:,} bytes of memory; at most {limit:,} may be used")
