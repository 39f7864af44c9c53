"""Fashion-MNIST: where its files are searched for, how they are verified, downloaded and read.

Downloads use the standard library: pooch bounds neither the time nor the size of a download, checks
the packed file instead of its content, and replaces a damaged file instead of keeping it.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np

from bnbench import files
from bnbench.datasets import npz
from bnbench.datasets.sources import Report, Sources, fingerprint
from bnbench.errors import EnvironmentFault

FILES = {  # with the MD5 of the unpacked content, as Debian's package is packed differently
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
MAX_FILE_BYTES = 64 << 20  # packed, and unpacked


class Found(NamedTuple):
    """A verified copy, unpacked, and what is wrong with others; ``path`` is None without one."""

    path: Path | None
    content: bytes
    problems: list[str]


def read(data_dir: Path | None, report: Report) -> Sources:
    """Return the four arrays from the first verified copies, downloading files that have none.

    With ``data_dir``, or BNBENCH_DATA_DIR in the environment, no other folder is searched and
    nothing is downloaded. Raises EnvironmentFault where a file cannot be had.
    """
    places = folders(data_dir)
    found = {name: search(name, places) for name in FILES}
    if _required_folder(data_dir) and not all(file.path for file in found.values()):
        lines = [problem for file in found.values() for problem in file.problems]
        missing = [name for name, file in found.items() if not file.path and not file.problems]
        if missing:
            lines.append(f"{places[0]}: lacks {', '.join(missing)}")
        lines.append("Put the original files there, or choose no folder (BNBENCH_DATA_DIR unset).")
        raise EnvironmentFault("\n".join(lines))
    arrays = []
    for name, file in found.items():
        if file.path:
            for problem in file.problems:
                report(f"{problem}: passed over, {file.path} is used")
        content = file.content if file.path else _fetch(name, file.problems, report)
        images = "images" in name
        array = np.frombuffer(content, np.uint8, offset=16 if images else 8)
        arrays.append(array.reshape(-1, *IMAGE_SHAPE) if images else array)
    x_train, y_train, x_test, y_test = arrays
    return Sources(x_train, y_train, x_test, y_test, fingerprint(arrays), CLASS_NAMES)


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
    """Return the folders to search, in order; only ``data_dir``'s where one is given."""
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
    """Return the content of a gzip file, verified; raises ValueError with the fault."""
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


def _required_folder(data_dir: Path | None) -> Path | None:
    chosen = data_dir or os.environ.get("BNBENCH_DATA_DIR")
    return Path(chosen) if chosen else None


def _keras_cache() -> Path | None:
    home = os.path.expanduser("~")
    keras_home = os.environ.get("KERAS_HOME") or ("" if home == "~" else f"{home}/.keras")
    return Path(keras_home) / "datasets" / "fashion-mnist" if keras_home else None


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def _fetch(name: str, problems: list[str], report: Report) -> bytes:
    """Return a file's verified content after keeping the file in Keras's cache."""
    cache = _keras_cache()
    if cache is None:
        raise EnvironmentFault(f"{name}: no home folder to keep it in; set KERAS_HOME\n{ADVICE}")
    target = cache / name
    with _advised(cache):
        cache.mkdir(parents=True, exist_ok=True)
        files.check_writable(target)
    report(f"downloading {BASE_URL}{name} to {cache}")
    packed, content = _download(name, problems)
    with _advised(cache), files.staged(target, packed) as put:
        if os.path.isfile(target) and search(name, [cache]).path is None:
            damaged = target.with_name(f"{name}.damaged")
            with suppress(FileNotFoundError):  # another process has set it aside
                os.replace(target, damaged)
                report(f"{target}: was damaged, set aside as {damaged.name}")
        put()
    return content


@contextmanager
def _advised(cache: Path) -> Iterator[None]:
    try:
        with files.faults_named(cache, "written"):
            yield
    except EnvironmentFault as fault:
        raise EnvironmentFault(f"{fault} (KERAS_HOME names another)\n{ADVICE}") from fault


def _download(name: str, problems: list[str]) -> tuple[bytes, bytes]:
    """Return a file packed and unpacked, from the first of two attempts that brings it."""
    from http.client import HTTPException

    url, deadline, reason = BASE_URL + name, time.monotonic() + TOTAL_SECONDS, ""
    for _ in range(2):
        try:
            packed = _get(url, deadline - time.monotonic())
            return packed, unpack(name, packed)
        except (OSError, HTTPException, ValueError) as error:
            reason = _reason(error)
        if time.monotonic() >= deadline:
            break
    lines = [*problems, f"{name}: not found, and {url} failed: {reason}", ADVICE]
    raise EnvironmentFault("\n".join(lines))


def _get(url: str, seconds: float) -> bytes:
    """Return what a server sends, read by a thread: a socket's timeout bounds no slow trickle."""
    answer: Future[bytes] = Future()

    def work() -> None:
        try:
            answer.set_result(_read_url(url))
        except Exception as error:
            answer.set_exception(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer.done():
        raise TimeoutError(f"not done within {TOTAL_SECONDS:g} s")
    return answer.result()


def _read_url(url: str) -> bytes:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=SOCKET_SECONDS) as response:
            packed: bytes = response.read(MAX_FILE_BYTES + 1)
    except HTTPError as error:
        error.close()
        raise
    if len(packed) > MAX_FILE_BYTES:
        raise OSError(f"it sent more than {MAX_FILE_BYTES:,} bytes")
    return packed
