"""What own data is like before anything is trained on it, and a config that suits it."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bnbench.datasets.dataset import Dataset, batch_faults, column_names, read, split
from bnbench.datasets.sources import Report, Sources
from bnbench.evidence.health import FeatureValues, Finding, ScalesApart, of_data
from bnbench.evidence.records import Array, DataSummary
from bnbench.experiments.config import Config, DataConfig, TrainingConfig, parse_config
from bnbench.experiments.document import shorten
from bnbench.experiments.yaml_source import dump_lines
from bnbench.training.data_summary import feature_scales, summarize
from bnbench.training.doubts import doubts, small_uint8

_STEPS = 1000  # after which BN's moving statistics have left their start values behind
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Survey:
    """One data set: how it is split, what to beware of, and a config that runs on it.

    ``rows_by_class`` has for each class the rows that train, validate and test; (classes, 3).
    ``doubts`` are about the file itself, ``why`` is about what the config sets.
    """

    summary: DataSummary
    features: int
    rows_by_class: Array
    findings: tuple[Finding, ...]
    doubts: tuple[str, ...]
    config: Config
    why: tuple[str, ...]


def survey(
    path: str,
    label: str | None = None,
    data_dir: Path | None = None,
    report: Report = lambda line: None,
) -> Survey:
    """Load a data set as it would be without further settings, and say what it is like.

    Raises `InputError` and `EnvironmentFault` as `load` does.
    """
    settings = _settings(path, label)
    sources = read(settings, data_dir, report)
    settings = _with_rows_of_every_class(settings, sources)
    dataset = split(settings, sources)
    summary = summarize(dataset, feature_scales(dataset), None)
    margin = Config(name="any").plan.margin
    findings = tuple(_findings(dataset, summary, margin))
    config, why = _config(path, settings, dataset, summary, findings)
    return Survey(
        summary=summary,
        features=dataset.features,
        rows_by_class=_rows_by_class(dataset),
        findings=findings,
        doubts=tuple(doubts(dataset, _columns(settings), margin)),
        config=config,
        why=why,
    )


def _settings(path: str, label: str | None) -> DataConfig:
    lines = dump_lines({"data.dataset": path, "data.label": label})
    return parse_config("name: any", path, [line.replace(": ", "=", 1) for line in lines]).data


def _with_rows_of_every_class(settings: DataConfig, sources: Sources) -> DataConfig:
    """Return settings by which a table's rows that validate are of every class."""
    classes, rows = len(sources.class_names), len(sources.x_train)
    if settings.is_table and settings.validation_rows(rows) < classes:
        return settings.model_copy(update={"validation_size": min(2 * classes, rows // 2)})
    return settings


def _columns(settings: DataConfig) -> list[str]:
    """Return what the features of a table are called, in their order; others have no names."""
    if not settings.is_table:
        return []
    return [shorten(name) for name in column_names(settings.dataset) if name != settings.label]


def _findings(dataset: Dataset, summary: DataSummary, margin: float) -> Iterator[Finding]:
    """Yield what is to be mended; why ``uint8`` features are small is said among the doubts."""
    for finding in of_data(summary, standardized=False, margin=margin):
        if not (isinstance(finding, FeatureValues) and small_uint8(dataset)):
            yield finding


def _rows_by_class(dataset: Dataset) -> Array:
    parts = (dataset.y_train, dataset.y_val, dataset.y_test)
    return np.stack([np.bincount(y, minlength=dataset.classes) for y in parts], axis=1)


def _config(
    path: str,
    settings: DataConfig,
    dataset: Dataset,
    summary: DataSummary,
    findings: tuple[Finding, ...],
) -> tuple[Config, tuple[str, ...]]:
    """Return the config, and why it says what differs from the defaults."""
    why = [f"standardize: {reason}" for reason in _off_scale(dataset, findings)]
    if why:
        settings = settings.model_copy(update={"standardize": True})
    if settings.is_table and settings.validation_size != "auto":
        why.append("validation_size: a tenth of the training rows would not have every class")
    rows, plain = summary.rows[0], TrainingConfig()
    config = Config(name=name_for(path), data=settings)
    batch = _batch_size(config, rows + summary.rows[1])
    steps = math.ceil(rows / batch)
    epochs = max(plain.epochs, _round_up(_STEPS / steps))
    if batch != plain.batch_size:
        why.append(f"batch_size: {rows:,} training rows leave no batch of one row")
    if epochs != plain.epochs:
        why.append(
            f"epochs: in {plain.epochs} of them there would be {plain.epochs * steps:,} steps, too "
            "few for Batch Normalization's moving statistics"
        )
    training = TrainingConfig(batch_size=batch, epochs=epochs)
    return config.model_copy(update={"training": training}), tuple(why)


def _off_scale(dataset: Dataset, findings: tuple[Finding, ...]) -> Iterator[str]:
    """Yield why the features should be standardized."""
    if largest := small_uint8(dataset):
        yield f"uint8 is divided by 255, and the largest value is {largest}"
    for finding in findings:
        if isinstance(finding, ScalesApart):
            yield "the features' ranges lie far apart"
        elif isinstance(finding, FeatureValues):
            yield "the features are not about 1 around 0"


def _batch_size(config: Config, training_rows: int) -> int:
    """Return the largest size up to the default that Batch Normalization can take."""
    norm = config.model.batch_norm.model_copy(update={"input": True})
    model = config.model.model_copy(update={"batch_norm": norm})
    for size in range(config.training.batch_size, 1, -1):
        training = TrainingConfig(batch_size=size)
        tried = config.model_copy(update={"model": model, "training": training})
        if not batch_faults(tried, training_rows):
            return size
    return config.training.batch_size


def _round_up(epochs: float) -> int:
    """Return a number of one digit and zeros that is at least so large."""
    unit = int(10 ** math.floor(math.log10(max(epochs, 1))))
    return math.ceil(epochs / unit) * unit


def name_for(path: str) -> str:
    """Return a name that a config may have, made from a file's."""
    stem = re.sub(r"(\.npz|\.csv|\.csv\.gz)\Z", "", Path(path).name)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:_LONGEST_NAME].rstrip(".")
    try:
        return Config(name=name).name
    except ValueError:  # nothing is left, or a device of Windows
        return f"data_{name}".rstrip("_")[:_LONGEST_NAME]
