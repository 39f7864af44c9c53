"""Data settings → verified, split arrays: Fashion-MNIST, its sample, own ``.npz`` or ``.csv``."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from bnbench.datasets import fashion_mnist, npz, scales, tables
from bnbench.datasets.csv import Table
from bnbench.datasets.fashion_mnist import DataFile
from bnbench.datasets.sources import Array, Report, Sources
from bnbench.errors import EnvironmentFault, InputError
from bnbench.experiments.config import Config, DataConfig
from bnbench.experiments.fields import TRAINING_ROWS

FASHION_MNIST = "fashion_mnist"
SAMPLE = "fashion_mnist_sample"
ADVICE = {FASHION_MNIST: fashion_mnist.ADVICE, SAMPLE: "Reinstall bnbench."}
MANY_FEATURES = 20_000  # beyond which compiling takes long


@dataclass(frozen=True, eq=False)
class Dataset:
    """Split arrays, ready to be put on a device.

    Features are (rows, features), C-contiguous, ``uint8`` as stored or else ``float32``; they are
    to be multiplied by ``scale`` (1/255 for ``uint8``, else 1). Labels are (rows,) ``int32`` from
    0 to ``classes`` - 1. ``sha256`` is that of `Sources`. ``class_names`` are empty where classes
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

    @cached_property
    def feature_scales(self) -> scales.Scales:
        """The scales of the features over the training rows."""
        return scales.feature_scales(self.x_train, self.scale)


class Description(NamedTuple):
    """What is known of a data set before it is loaded; the training rows are not yet split."""

    feature_shape: tuple[int, ...]
    classes: int
    training_rows: int


def load(
    settings: DataConfig, data_dir: Path | None = None, report: Report = lambda line: None
) -> Dataset:
    """Return a verified data set, split and standardized as the settings say.

    ``data_dir`` is where Fashion-MNIST must be if given; ``report`` gets a line for each download,
    each damaged file, rounded numbers and so many features that training is slow. Raises InputError
    for what the config or the user's file has wrong, EnvironmentFault for data that is missing,
    damaged, too large for the memory there is or cannot be fetched.
    """
    return split(settings, read(settings, data_dir, report), report)


def read(
    settings: DataConfig, data_dir: Path | None = None, report: Report = lambda line: None
) -> Sources:
    """Return a data set as it is before rows are held out to validate; raises as `load` does."""
    if settings.dataset == FASHION_MNIST:
        return fashion_mnist.read(data_dir, report)
    if settings.dataset == SAMPLE:
        return fashion_mnist.read_sample()
    with _user_file(settings.dataset) as file:
        if settings.is_table:
            return tables.read(Table(file, settings.dataset), settings, report)
        return npz.read(file, settings.dataset, report)


def split(settings: DataConfig, sources: Sources, report: Report) -> Dataset:
    """Return what was read, split and standardized as the settings say; raises as `load` does."""
    name = settings.dataset
    classes = _count_classes(sources.y_train, name)
    unknown = sources.y_test[~np.isin(sources.y_test, np.arange(classes))]
    if len(unknown):
        raise InputError(
            f"{name}: y_test: expected the classes of y_train, 0 to {classes - 1}, found "
            f"{unknown[0]}"
        )
    rows = len(sources.x_train)
    held_out = settings.validation_rows(rows)
    if not 0 < held_out < rows:
        raise InputError(
            f"data.validation_size: expected 1 to {rows - 1:,}, as {name} has {rows:,} training "
            f"rows, got {held_out:,}"
        )
    cut = rows - held_out
    y, y_test = (y.reshape(-1).astype(np.int32) for y in (sources.y_train, sources.y_test))
    for part, labels in (
        (f"the first {cut:,} rows, left for training,", y[:cut]),
        (f"the last {held_out:,} rows, for validation,", y[cut:]),
    ):
        if len(missing := np.setdiff1d(np.arange(classes), labels)):
            raise InputError(
                f"{name}: {part} lack class {missing[0]}: shuffle the training rows (they may be "
                "sorted by class), or choose another data.validation_size"
            )
    x, x_test = (x.reshape(len(x), -1) for x in (sources.x_train, sources.x_test))
    parts, scale = [x[:cut], x[cut:], x_test], 1 / 255 if x.dtype == np.uint8 else 1.0
    if settings.standardize:
        parts, scale = scales.standardize(parts, scale, name), 1.0
    x_train, x_val, x_test = parts
    if (features := x_train.shape[1]) > MANY_FEATURES:
        report(
            f"{name}: {features:,} features: the first epoch may take minutes, as a program is "
            "compiled for them; keep fewer, where few matter"
        )
    return Dataset(
        *(x_train, y[:cut], x_val, y[cut:], x_test, y_test),
        classes=classes,
        feature_shape=sources.x_train.shape[1:],
        scale=scale,
        sha256=sources.sha256,
        class_names=sources.class_names,
    )


def describe(settings: DataConfig) -> Description:
    """Return the shape of an example, the number of classes and that of training rows.

    Of an ``.npz`` only the array headers and the training labels are kept, of a ``.csv`` the header
    and the label, and of the named data sets nothing is read at all. Raises InputError as ``load``
    does for what is seen on the way.
    """
    dataset = settings.dataset
    if dataset in TRAINING_ROWS:
        rows = TRAINING_ROWS[dataset]
        return Description(fashion_mnist.IMAGE_SHAPE, fashion_mnist.CLASSES, rows)
    with _user_file(dataset) as file:
        if settings.is_table:
            return Description(*tables.peek(Table(file, dataset), settings))
        shape, y_train = npz.peek(file, dataset)
    return Description(shape[1:], _count_classes(y_train, dataset), shape[0])


def candidates(dataset: str) -> list[tables.Candidate]:
    """Return the columns of a ``.csv`` that might hold the class; raises as ``load`` does."""
    with _user_file(dataset) as file:
        return tables.candidates(Table(file, dataset))


def batch_faults(config: Config, training_rows: int) -> list[str]:
    """Return what is wrong with the config for a training set of so many rows."""
    held_out = config.data.validation_rows(training_rows)
    rows, batch = training_rows - held_out, config.training.batch_size
    if rows < 1:
        return [
            f"data.validation_size: expected less than the {training_rows} rows of the "
            f"training set, got {held_out}"
        ]
    if batch > rows:
        return [f"training.batch_size: expected at most the {rows} training rows, got {batch}"]
    if rows % batch == 1 and config.model.uses_batch_norm:
        return [
            f"training.batch_size: {rows} training rows in batches of {batch} leave a last batch "
            "of one row, which Batch Normalization cannot normalise; choose another size"
        ]
    return []


def status(data_dir: Path | None = None) -> dict[str, list[DataFile]]:
    """Return the files of each named data set; searches and verifies them, downloads nothing."""
    return {FASHION_MNIST: fashion_mnist.find(data_dir), SAMPLE: [fashion_mnist.find_sample()]}


@contextmanager
def _user_file(dataset: str) -> Iterator[BinaryIO]:
    """Open a file that must hold at the end what it held at the start."""
    if not os.path.isfile(dataset):
        raise InputError(
            f"data.dataset: {dataset}: no such file; expected {FASHION_MNIST}, {SAMPLE} or the "
            "path of an .npz or .csv file, taken from the working folder"
        )
    try:
        with open(dataset, "rb") as file:
            before = os.fstat(file.fileno())
            yield file
            after = os.fstat(file.fileno())
    except OSError as error:
        raise InputError(f"data.dataset: {dataset}: {error.strerror}") from error
    except MemoryError as error:
        raise EnvironmentFault(f"{dataset}: there is not enough memory to read it") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError(f"{dataset}: changed while it was read")


def _count_classes(y_train: Array, dataset: str) -> int:
    labels = np.unique(y_train)
    gaps = np.flatnonzero(labels != np.arange(len(labels)))
    if len(gaps):
        raise InputError(
            f"{dataset}: y_train: expected class numbers from 0 without gaps, found "
            f"{labels[gaps[0]]} instead of {gaps[0]}"
        )
    if len(labels) == 1:
        raise InputError(f"{dataset}: y_train: expected two or more classes, found only 0")
    return len(labels)
