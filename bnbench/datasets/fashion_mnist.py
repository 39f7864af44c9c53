"""Fashion-MNIST: where its files are looked for, and how they are verified, fetched and parsed."""

import hashlib
import math
import os
import struct
import time
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bnbench.datasets import npz
from bnbench.datasets.sources import Array, Report, Sources, fingerprint
from bnbench.errors import EnvironmentFault

FILES = {  # with the MD5 of the unpacked file, as the Debian package packs the same anew
    "train-images-idx3-ubyte.gz": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte.gz": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte.gz": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte.gz": "15d484375f8d13e6eb1aabb0c3f46965",
}
IMAGE_SHAPE = (28, 28)
CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
CLASSES = len(CLASS_NAMES)

SAMPLE_PATH = Path(__file__).with_name("samples") / "fashion_mnist_sample.npz"
SAMPLE_SHA256 = "330f234229236a844660362f65a1fc6e8133a7c6757dc85e37f3ffda115f2b19"

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
ADVICE = (
    "To get it: on Debian and Ubuntu `apt-get install dataset-fashion-mnist`; elsewhere put the "
    f"four files ({', '.join(FILES)}) into a folder and name it in BNBENCH_DATA_DIR."
)
BASE_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
SOCKET_SECONDS = 30.0  # silence after which an attempt is given up
TOTAL_SECONDS = 600.0  # for one file, both attempts together
MAX_FILE_BYTES = 64 << 20  # packed and unpacked alike


class Found(NamedTuple):
    """A file's verified copy, unpacked (``path`` is None without one), and what others lack."""

    path: Path | None
    content: bytes
    problems: list[str]


def read(data_dir: Path | None, report: Report) -> Sources:
    """Return the four arrays from the first verified copies, fetching the files that have none.

    With ``data_dir``, or BNBENCH_DATA_DIR in the environment, nowhere else is looked. Raises
    EnvironmentFault where a file is not to be had.
    """
    places = folders(data_dir)
    found = {name: search(name, places) for name in FILES}
    if _required_folder(data_dir) and not all(file.path for file in found.values()):
        raise EnvironmentFault(_not_in_required(places[0], found))
    arrays = []
    for name, file in found.items():
        if file.path:
            for problem in file.problems:
                report(f"{problem}: passed over, {file.path} is used")
            arrays.append(parse_idx(file.content, "images" in name, str(file.path)))
        else:
            path, content = _fetch(name, file.problems, report)
            arrays.append(parse_idx(content, "images" in name, str(path)))
    return _matching(*arrays)


def read_sample() -> Sources:
    """Return the four arrays of the sample that ships with the package, verified."""
    sample = npz.read(BytesIO(sample_content()), str(SAMPLE_PATH))
    return sample._replace(class_names=CLASS_NAMES)


def sample_content() -> bytes:
    """Return the bytes of the sample's file, verified; else raises EnvironmentFault."""
    try:
        content = SAMPLE_PATH.read_bytes()
    except OSError as error:
        raise EnvironmentFault(f"{SAMPLE_PATH}: {_reason(error)}; reinstall bnbench") from error
    if hashlib.sha256(content).hexdigest() != SAMPLE_SHA256:
        raise EnvironmentFault(f"{SAMPLE_PATH}: damaged; reinstall bnbench")
    return content


def folders(data_dir: Path | None) -> list[Path]:
    """Return the folders to look in, in this order; only ``data_dir``'s where one is given."""
    required, cache = _required_folder(data_dir), _keras_cache()
    if required:
        return [required, required / "fashion-mnist"]
    return [cache, DEBIAN_FOLDER] if cache else [DEBIAN_FOLDER]


def search(name: str, places: list[Path]) -> Found:
    """Return the first copy of a file whose checksum is right."""
    problems: list[str] = []
    for folder in places:
        path = folder / name
        if not os.path.isfile(path):
            continue
        try:
            with open(path, "rb") as file:
                packed = file.read(MAX_FILE_BYTES)
            return Found(path, unpack(name, packed), problems)
        except OSError as error:
            problems.append(f"{path}: {_reason(error)}")
        except ValueError as error:
            problems.append(f"{path}: damaged: {error}")
    return Found(None, b"", problems)


def unpack(name: str, packed: bytes) -> bytes:
    """Return the content of a gzip file, verified; raises ValueError that says what is wrong."""
    reader = zlib.decompressobj(wbits=31)
    try:
        content = reader.decompress(packed, MAX_FILE_BYTES)
    except zlib.error as error:
        raise ValueError(f"{len(packed):,} bytes that are not the gzip file ({error})") from error
    if not reader.eof:
        raise ValueError(f"{len(packed):,} bytes, cut off or too large when unpacked")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != FILES[name]:
        raise ValueError(f"the MD5 of its content is {md5} instead of {FILES[name]}")
    return content


def parse_idx(content: bytes, images: bool, source: str) -> Array:
    """Return the ``uint8`` array of an idx file: (n, 28, 28) images or (n,) labels from 0 to 9.

    Raises EnvironmentFault that names ``source`` where anything is not as the format has it.
    """
    try:
        return _parse_idx(content, 3 if images else 1)
    except (struct.error, ValueError) as error:
        raise EnvironmentFault(f"{source}: not the original file: {error}\n{ADVICE}") from error


def _parse_idx(raw: bytes, dimensions: int) -> Array:
    start = 4 + 4 * dimensions
    magic, *shape = struct.unpack(f">{1 + dimensions}I", raw[:start])
    if magic != 0x0800 + dimensions:
        raise ValueError(f"magic number {magic} instead of {0x0800 + dimensions}")
    if math.prod(shape) != len(raw) - start or not shape[0]:
        raise ValueError(f"declares {tuple(shape)} values, holds {len(raw) - start}")
    array = np.frombuffer(raw, np.uint8, offset=start).reshape(shape)
    if dimensions == 3 and array.shape[1:] != IMAGE_SHAPE:
        raise ValueError(f"images of {array.shape[1:]} instead of {IMAGE_SHAPE}")
    if dimensions == 1 and array.max() >= CLASSES:
        raise ValueError(f"label {array.max()} instead of 0 to {CLASSES - 1}")
    return array


def _matching(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> Sources:
    if (len(x_train), len(x_test)) != (len(y_train), len(y_test)):
        raise EnvironmentFault(
            f"fashion_mnist: {len(x_train)} training and {len(x_test)} test images with "
            f"{len(y_train)} and {len(y_test)} labels\n{ADVICE}"
        )
    sha256 = fingerprint((x_train, y_train, x_test, y_test))
    return Sources(x_train, y_train, x_test, y_test, sha256, CLASS_NAMES)


def _required_folder(data_dir: Path | None) -> Path | None:
    chosen = data_dir or os.environ.get("BNBENCH_DATA_DIR")
    return Path(chosen) if chosen else None


def _keras_cache() -> Path | None:
    home = os.path.expanduser("~")
    keras_home = os.environ.get("KERAS_HOME") or ("" if home == "~" else f"{home}/.keras")
    return Path(keras_home) / "datasets" / "fashion-mnist" if keras_home else None


def _not_in_required(folder: Path, found: dict[str, Found]) -> str:
    lines = [problem for file in found.values() for problem in file.problems]
    missing = [name for name, file in found.items() if not file.path and not file.problems]
    if missing:
        lines.append(f"{folder}: lacks {', '.join(missing)}")
    lines.append("Put the original files there, or choose no folder (BNBENCH_DATA_DIR unset).")
    return "\n".join(lines)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _fetch(name: str, problems: list[str], report: Report) -> tuple[Path, bytes]:
    cache = _keras_cache()
    if cache is None:
        raise EnvironmentFault(f"{name}: no home folder to keep it in; set KERAS_HOME\n{ADVICE}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if not os.access(cache, os.W_OK | os.X_OK):
            raise PermissionError("not writable")
        report(f"downloading {BASE_URL}{name} to {cache}")
        packed, content = _download(name, problems)
        _store(cache / name, packed, report)
    except OSError as error:
        raise EnvironmentFault(
            f"{cache}: cannot keep {name}: {_reason(error)}; set KERAS_HOME to another folder\n"
            f"{ADVICE}"
        ) from error
    return cache / name, content


def _store(target: Path, packed: bytes, report: Report) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with open(part, "xb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        if os.path.isfile(target) and search(target.name, [target.parent]).path is None:
            damaged = target.with_name(f"{target.name}.damaged")
            with suppress(FileNotFoundError):  # another process has set it aside
                os.replace(target, damaged)
                report(f"{target}: was damaged, set aside as {damaged.name}")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _download(name: str, problems: list[str]) -> tuple[bytes, bytes]:
    from http.client import HTTPException

    url, deadline, reason = BASE_URL + name, time.monotonic() + TOTAL_SECONDS, ""
    for _ in range(2):
        try:
            packed = _get(url, deadline)
            return packed, unpack(name, packed)
        except ValueError as error:
            reason = f"it sent something else: {error}"
        except (OSError, HTTPException) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
        if time.monotonic() >= deadline:
            break
    lines = [*problems, f"{name}: not found, and {url} failed: {reason}", ADVICE]
    raise EnvironmentFault("\n".join(lines))


def _get(url: str, deadline: float) -> bytes:
    """Return what a server sends, awaited in a thread: a socket timeout bounds no slow trickle."""
    from queue import Empty, SimpleQueue
    from threading import Thread

    answer: SimpleQueue[bytes | Exception] = SimpleQueue()

    def work() -> None:
        try:
            answer.put(_read_url(url, deadline))
        except Exception as error:
            answer.put(error)

    Thread(target=work, daemon=True).start()
    try:
        result = answer.get(timeout=max(0.0, deadline - time.monotonic()))
    except Empty:
        raise TimeoutError(f"not done within {TOTAL_SECONDS:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result


def _read_url(url: str, deadline: float) -> bytes:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    packed = bytearray()
    try:
        with urlopen(url, timeout=SOCKET_SECONDS) as response:
            while chunk := response.read1(1 << 16):
                packed += chunk
                if len(packed) > MAX_FILE_BYTES:
                    raise OSError(f"it sent more than {MAX_FILE_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not done within {TOTAL_SECONDS:g} s")
    except HTTPError as error:
        error.close()
        raise
    return bytes(packed)
