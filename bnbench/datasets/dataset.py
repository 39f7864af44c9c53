"""Data set name → verified, split arrays: Fashion-MNIST, its shipped sample, a user's ``.npz``."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bnbench.datasets import fashion_mnist, npz
from bnbench.datasets.sources import Array, Report, Sources
from bnbench.errors import EnvironmentFault, InputError
from bnbench.experiments.config import Config

FASHION_MNIST = "fashion_mnist"
SAMPLE = "fashion_mnist_sample"
TRAINING_ROWS = {
    FASHION_MNIST: fashion_mnist.TRAINING_ROWS,
    SAMPLE: fashion_mnist.SAMPLE_TRAINING_ROWS,
}

_BLOCK = 1 << 20  # labels looked at at once


@dataclass(frozen=True, eq=False)
class Dataset:
    """Split arrays, ready to be put on a device.

    Features are (rows, features), C-contiguous, ``uint8`` as stored or else ``float32``; they are
    to be multiplied by ``scale`` (1/255 for ``uint8``, else 1). Labels are (rows,) ``int32`` from
    0 to ``classes`` - 1. ``sha256`` covers the stored arrays before the split, in the order
    x_train, y_train, x_test, y_test: of each the text ``<dtype.str><shape>``, such as
    ``|u1(60000, 28, 28)``, then its bytes in C order. ``class_names`` are empty where the classes
    are known by their numbers alone.
    """

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    y_test: Array
    classes: int
    feature_shape: tuple[int, ...]
    scale: float
    sha256: str
    class_names: tuple[str, ...] = ()

    @property
    def features(self) -> int:
        return math.prod(self.feature_shape)


@dataclass(frozen=True)
class FileState:
    """One file: ``path`` of its verified copy, or None and ``problem`` says why there is none."""

    name: str
    checksum: str
    path: Path | None
    problem: str | None


@dataclass(frozen=True)
class DataState:
    """One data set: its files, and ``advice`` on how to get it where not every one is verified."""

    dataset: str
    files: tuple[FileState, ...]
    advice: str | None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that hold the verified files, each once."""
        return tuple(dict.fromkeys(file.path.parent for file in self.files if file.path))


def load(
    dataset: str,
    validation_size: int,
    data_dir: Path | None = None,
    report: Report = lambda line: None,
) -> Dataset:
    """Return a verified data set, the last ``validation_size`` training rows split off.

    ``dataset`` is ``fashion_mnist``, ``fashion_mnist_sample`` or the path of an ``.npz`` file.
    ``data_dir`` is where Fashion-MNIST must be if given; ``report`` gets a line for each download,
    each damaged file and each array whose numbers were rounded. Raises InputError for what the
    config or the user's file has wrong, EnvironmentFault for data that is missing, damaged, too
    large for the memory there is or cannot be fetched.
    """
    if dataset == FASHION_MNIST:
        sources = fashion_mnist.read(data_dir, report)
    elif dataset == SAMPLE:
        sources = fashion_mnist.read_sample()
    else:
        with _user_file(dataset) as file:
            sources = npz.read(file, dataset, report)
    return _split(dataset, sources, validation_size)


def describe(dataset: str) -> tuple[tuple[int, ...], int, int]:
    """Return the feature shape, the number of classes and the number of training rows.

    Of an ``.npz`` only the array headers and the training labels are read, of the named data sets
    nothing at all. Raises InputError as ``load`` does for what is seen on the way.
    """
    if dataset in TRAINING_ROWS:
        return fashion_mnist.IMAGE_SHAPE, fashion_mnist.CLASSES, TRAINING_ROWS[dataset]
    with _user_file(dataset) as file:
        shape, y_train = npz.peek(file, dataset)
    return shape[1:], _count_classes(y_train, dataset), shape[0]


def batch_faults(config: Config, training_rows: int) -> list[str]:
    """Return what is wrong with the config for a training set of so many rows."""
    rows = training_rows - config.data.validation_size
    batch = config.training.batch_size
    if rows < 1:
        return [
            f"data.validation_size: expected less than the {training_rows} rows of the "
            f"training set, got {config.data.validation_size}"
        ]
    if batch > rows:
        return [f"training.batch_size: expected at most the {rows} training rows, got {batch}"]
    if rows % batch == 1 and config.model.uses_batch_norm:
        return [
            f"training.batch_size: {rows} training rows in batches of {batch} leave a last batch "
            "of one row, which Batch Normalization cannot normalise; choose another size"
        ]
    return []


def status(data_dir: Path | None = None) -> list[DataState]:
    """Return where each named data set was found; reads and verifies, downloads nothing."""
    places = fashion_mnist.folders(data_dir)
    files = []
    for name, md5 in fashion_mnist.FILES.items():
        found = fashion_mnist.search(name, places)
        problem = None if found.path else "; ".join(found.problems) or "not found"
        files.append(FileState(name, f"md5:{md5}", found.path, problem))
    advice = None if all(file.path for file in files) else fashion_mnist.ADVICE
    return [DataState(FASHION_MNIST, tuple(files), advice), _sample_status()]


def _sample_status() -> DataState:
    path: Path | None = fashion_mnist.SAMPLE_PATH
    problem = None
    try:
        fashion_mnist.sample_content()
    except EnvironmentFault as fault:
        path, problem = None, str(fault)
    checksum = f"sha256:{fashion_mnist.SAMPLE_SHA256}"
    file = FileState(fashion_mnist.SAMPLE_PATH.name, checksum, path, problem)
    return DataState(SAMPLE, (file,), "Reinstall bnbench." if problem else None)


@contextmanager
def _user_file(dataset: str) -> Iterator[BinaryIO]:
    if not os.path.isfile(dataset):
        raise InputError(
            f"data.dataset: {dataset}: no such file; expected {FASHION_MNIST}, {SAMPLE} or the "
            "path of an .npz file, taken from the working folder"
        )
    try:
        file = open(dataset, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise InputError(f"data.dataset: {dataset}: {error.strerror}") from error
    with file:
        yield file


def _split(dataset: str, sources: Sources, validation_size: int) -> Dataset:
    classes = _count_classes(sources.y_train, dataset)
    _check_test_labels(sources.y_test, classes, dataset)
    rows = len(sources.x_train)
    if not 0 < validation_size < rows:
        raise InputError(
            f"data.validation_size: expected 1 to {rows - 1:,}, as {dataset} has {rows:,} "
            f"training rows, got {validation_size:,}"
        )
    cut = rows - validation_size
    y = _labels(sources.y_train)
    _check_part(y[:cut], classes, f"{dataset}: the first {cut:,} rows, left for training,")
    _check_part(y[cut:], classes, f"{dataset}: the last {validation_size:,} rows, for validation,")
    x = sources.x_train.reshape(rows, -1)
    return Dataset(
        x_train=x[:cut],
        y_train=y[:cut],
        x_val=x[cut:],
        y_val=y[cut:],
        x_test=sources.x_test.reshape(len(sources.x_test), -1),
        y_test=_labels(sources.y_test),
        classes=classes,
        feature_shape=sources.x_train.shape[1:],
        scale=1 / 255 if x.dtype == np.uint8 else 1.0,
        sha256=sources.sha256,
        class_names=sources.class_names,
    )


def _count_classes(y_train: Array, dataset: str) -> int:
    labels = _distinct(y_train)
    where = f"{dataset}: y_train"
    if labels[0] < 0:
        raise InputError(f"{where}: expected class numbers from 0, found {labels[0]}")
    if len(labels) == 1:
        raise InputError(f"{where}: expected two or more classes, found only {labels[0]}")
    gaps = np.flatnonzero(labels != np.arange(len(labels)))
    if len(gaps):
        raise InputError(
            f"{where}: the highest class is {labels[-1]}, but class {gaps[0]} has no row; number "
            "the classes from 0 without gaps"
        )
    return len(labels)


def _check_test_labels(y_test: Array, classes: int, dataset: str) -> None:
    low, high = y_test.min(), y_test.max()
    if low < 0 or high >= classes:
        raise InputError(
            f"{dataset}: y_test: expected the classes of y_train, 0 to {classes - 1}, found "
            f"{low if low < 0 else high}"
        )


def _check_part(y: Array, classes: int, part: str) -> None:
    missing = np.setdiff1d(np.arange(classes), _distinct(y))
    if len(missing):
        raise InputError(
            f"{part} lack class {missing[0]}: shuffle the training rows (they may be sorted by "
            "class), or choose another data.validation_size"
        )


def _distinct(y: Array) -> Array:
    """Return the sorted values of ``y``, without sorting a copy of all of it."""
    flat = y.reshape(-1)
    parts = [np.unique(flat[start : start + _BLOCK]) for start in range(0, len(flat), _BLOCK)]
    return np.unique(np.concatenate(parts))


def _labels(y: Array) -> Array:
    return y.reshape(-1).astype(np.int32, copy=False)
