"""Fashion-MNIST: where its files are searched for, how they are verified, downloaded and read.

Downloads use the standard library: pooch bounds neither the time nor the size of a download, checks
the packed file instead of its content, and replaces a damaged file instead of keeping it.
"""

import hashlib
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np

from bnbench import files
from bnbench.datasets import npz
from bnbench.datasets.sources import Report, Sources, fingerprint, reason_of
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


class DataFile(NamedTuple):
    """A file of a data set, with the ``path`` and the unpacked ``content`` of its verified copy.

    Without such a copy they are None and empty. ``problems`` says what is wrong with other copies.
    """

    name: str
    checksum: str
    path: Path | None
    content: bytes
    problems: Sequence[str]

    @property
    def problem(self) -> str:
        return "; ".join(self.problems) or "not found"


def read(data_dir: Path | None, report: Report) -> Sources:
    """Return the four arrays from the first verified copies, downloading files that have none.

    With ``data_dir``, or BNBENCH_DATA_DIR in the environment, no other folder is searched and
    nothing is downloaded. Raises EnvironmentFault where a file cannot be had.
    """
    found, required = find(data_dir), _required_folder(data_dir)
    if required and not all(file.path for file in found):
        lines = [problem for file in found for problem in file.problems]
        missing = [file.name for file in found if not file.path and not file.problems]
        if missing:
            lines.append(f"{required}: lacks {', '.join(missing)}")
        lines.append("Put the original files there, or choose no folder (BNBENCH_DATA_DIR unset).")
        raise EnvironmentFault("\n".join(lines))
    arrays = []
    for file in found:
        if file.path:
            for problem in file.problems:
                report(f"{problem}: passed over, {file.path} is used")
        content = file.content if file.path else _fetch(file, report)
        images = "images" in file.name
        array = np.frombuffer(content, np.uint8, offset=16 if images else 8)
        arrays.append(array.reshape(-1, *IMAGE_SHAPE) if images else array)
    x_train, y_train, x_test, y_test = arrays
    return Sources(x_train, y_train, x_test, y_test, fingerprint(arrays), CLASS_NAMES)


def read_sample() -> Sources:
    """Return the four arrays of the sample that ships with the package.

    Raises EnvironmentFault where it is damaged.
    """
    file = find_sample()
    if file.path is None:
        raise EnvironmentFault(f"fashion_mnist_sample: {file.problem}; reinstall bnbench")
    sample = npz.read(BytesIO(file.content), str(file.path))
    return sample._replace(class_names=CLASS_NAMES)


def find(data_dir: Path | None) -> list[DataFile]:
    """Return the four files as they are found in ``data_dir``, or without one where they may be."""
    if required := _required_folder(data_dir):
        folders = [required, required / "fashion-mnist"]
    else:
        folders = [*_keras_cache(), DEBIAN_FOLDER]
    return [_search(name, f"md5:{md5}", folders) for name, md5 in FILES.items()]


def find_sample() -> DataFile:
    """Return the file of the sample that ships with the package."""
    return _search(SAMPLE_PATH.name, f"sha256:{SAMPLE_SHA256}", [SAMPLE_PATH.parent])


def _search(name: str, checksum: str, folders: Sequence[Path]) -> DataFile:
    problems: list[str] = []
    for path in (folder / name for folder in folders):
        if not os.path.isfile(path):
            continue
        try:
            with open(path, "rb") as file:
                content = _verified(name, checksum, file.read(MAX_FILE_BYTES))
            return DataFile(name, checksum, path, content, problems)
        except OSError as error:
            problems.append(f"{path}: {reason_of(error)}")
        except ValueError as error:
            problems.append(f"{path}: damaged: {error}")
    return DataFile(name, checksum, None, b"", problems)


def _verified(name: str, checksum: str, stored: bytes) -> bytes:
    """Return the content of a file, unpacked; raises ValueError if it is not the right one."""
    content = stored
    if name.endswith(".gz"):
        reader = zlib.decompressobj(wbits=31)
        try:
            content = reader.decompress(stored, MAX_FILE_BYTES)
        except zlib.error as error:
            raise ValueError(f"{len(stored):,} bytes that are no gzip file ({error})") from error
        if not reader.eof:
            raise ValueError(f"{len(stored):,} bytes, cut off or too large when unpacked")
    kind, _, expected = checksum.partition(":")
    found = hashlib.new(kind, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise ValueError(f"the {kind.upper()} of its content is {found} instead of {expected}")
    return content


def _required_folder(data_dir: Path | None) -> Path | None:
    chosen = data_dir or os.environ.get("BNBENCH_DATA_DIR")
    return Path(chosen) if chosen else None


def _keras_cache() -> list[Path]:
    """Return the folder in which Keras keeps the files; none where there is no home."""
    home = os.path.expanduser("~")
    keras_home = os.environ.get("KERAS_HOME") or ("" if home == "~" else f"{home}/.keras")
    return [Path(keras_home) / "datasets" / "fashion-mnist"] if keras_home else []


def _fetch(file: DataFile, report: Report) -> bytes:
    """Return a file's verified content after keeping the file in Keras's cache."""
    if not (caches := _keras_cache()):
        raise EnvironmentFault(
            f"{file.name}: no home folder to keep it in; set KERAS_HOME\n{ADVICE}"
        )
    target, url = caches[0] / file.name, BASE_URL + file.name
    try:
        with files.faults_named(target.parent, "written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            files.check_writable(target)
            report(f"downloading {url} to {target.parent}")
            packed, failure = _download(file, url)
            if not failure:
                _keep(file, packed, target, report)
    except EnvironmentFault as fault:
        raise EnvironmentFault(f"{fault} (KERAS_HOME names another)\n{ADVICE}") from fault
    if failure:
        failure = f"{file.name}: not found, and {url} failed: {failure}"
        raise EnvironmentFault("\n".join([*file.problems, failure, ADVICE]))
    return _verified(file.name, file.checksum, packed)


def _keep(file: DataFile, packed: bytes, target: Path, report: Report) -> None:
    with files.staged(target, packed) as put:
        if os.path.isfile(target) and not _search(file.name, file.checksum, [target.parent]).path:
            damaged = target.with_name(f"{file.name}.damaged")
            with suppress(FileNotFoundError):  # another process has set it aside
                os.replace(target, damaged)
                report(f"{target}: was damaged, set aside as {damaged.name}")
        put()


def _download(file: DataFile, url: str) -> tuple[bytes, str]:
    """Return the packed file, or why there is none.

    A thread reads it, as a socket's timeout does not bound a server that sends byte by byte.
    """
    answers: list[tuple[bytes, str]] = []
    thread = Thread(target=lambda: answers.append(_two_attempts(file, url)), daemon=True)
    thread.start()
    thread.join(TOTAL_SECONDS)
    return answers[0] if answers else (b"", f"not done within {TOTAL_SECONDS:g} s")


def _two_attempts(file: DataFile, url: str) -> tuple[bytes, str]:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    failure = ""
    for _ in range(2):
        try:
            with urlopen(url, timeout=SOCKET_SECONDS) as response:
                packed: bytes = response.read(MAX_FILE_BYTES + 1)
            if len(packed) > MAX_FILE_BYTES:
                raise OSError(f"it sent more than {MAX_FILE_BYTES:,} bytes")
            _verified(file.name, file.checksum, packed)
            return packed, ""
        except (OSError, HTTPException, ValueError) as error:
            failure = reason_of(error)
            if isinstance(error, HTTPError):
                error.close()
    return b"", failure
