"""What own data is like before anything is trained on it, and a config that suits it."""

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from bnbench.datasets.dataset import Dataset, read, split
from bnbench.datasets.sources import Array, Report, row_blocks
from bnbench.evidence.health import Finding, of_data
from bnbench.evidence.records import DataSummary
from bnbench.experiments.config import Config, DataConfig, TrainingConfig, parse_config
from bnbench.experiments.document import shorten
from bnbench.text import listed, percent, visible

_STEPS = 1000  # after which BN's moving statistics have left their start values behind
_LONGEST_NAME = 64
_SMALL = 25  # of 255: a tenth of the scale, so that no feature reaches more than 0.1
_MANY_REPEATED = 0.05  # of the training rows; fewer hardly matter
_BY_CHANCE = 2  # times as many equal rows as independent features have are not chance
_VALUES_OF_A_CLASS = 2  # on average, of a feature that may be a copy of the label
_ROWS_OF_A_VALUE = 5  # on average; fewer may be of one class by chance
_FIRST_ROWS = 1000  # enough to see that most features do not determine the class
_COMPARED_ROWS = 1000  # of a class, enough to estimate how often two of them are equal
_SHIFTS = 8  # by which they are compared with others of their class
_NAMED = 3  # features or labels in a message
_MISSING = {"?", "-", "na", "n/a", "#n/a", "<na>", "n.a.", "null", "none", "nil", "nan", "missing"}


@dataclass(frozen=True)
class Inspection:
    """One data set: how it is split, what to beware of, and a config that runs on it.

    ``rows_by_class`` has of each class the training, validation and test rows; (classes, 3).
    ``warnings`` are sentences, without their ends, about likely mistakes in the file, the most
    serious first. ``reasons`` explain what the config sets.
    """

    summary: DataSummary
    features: int
    rows_by_class: Array
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    config: Config
    reasons: tuple[str, ...]


def inspect_data(
    path: str,
    label: str | None = None,
    data_dir: Path | None = None,
    report: Report = lambda line: None,
) -> Inspection:
    """Load a data set as it would be without further settings, and inspect it.

    Raises `InputError` and `EnvironmentFault` as `bnbench.datasets.dataset.load` does.
    """
    settings = parse_config("name: any", path, {"data.dataset": path, "data.label": label}).data
    sources = read(settings, data_dir, report)
    classes, rows = len(sources.class_names), len(sources.x_train)
    if settings.is_table and settings.validation_rows(rows) < classes:
        settings = settings.model_copy(update={"validation_size": min(2 * classes, rows // 2)})
    dataset = split(settings, sources, report)
    summary = summarize(dataset, None)
    margin = Config(name="any").plan.margin
    findings = tuple(
        finding
        for finding in of_data(summary, margin)
        if not (finding.kind == "feature_values" and small_uint8(dataset))  # a warning says why
    )
    config, reasons = _config(path, settings, dataset, findings)
    parts = (dataset.y_train, dataset.y_val, dataset.y_test)
    return Inspection(
        summary=summary,
        features=dataset.features,
        rows_by_class=np.stack([np.bincount(y, minlength=dataset.classes) for y in parts], axis=1),
        findings=findings,
        warnings=tuple(data_warnings(dataset, sources.feature_names, margin)),
        config=config,
        reasons=reasons,
    )


def summarize(dataset: Dataset, correct: Array | None) -> DataSummary:
    """Return what a record holds of the data that its run was made on.

    ``correct`` says which test rows were classified correctly, bool (test rows,); None where the
    run diverged or none was made.
    """

    def count(labels: Array) -> tuple[int, ...]:
        return tuple(np.bincount(labels, minlength=dataset.classes).tolist())

    scales = dataset.feature_scales
    return DataSummary(
        sha256=dataset.sha256,
        rows=(len(dataset.y_train), len(dataset.y_val), len(dataset.y_test)),
        classes=dataset.classes,
        class_names=dataset.class_names,
        test_rows_by_class=count(dataset.y_test),
        test_correct_by_class=None if correct is None else count(dataset.y_test[correct]),
        feature_scales=(scales.low, scales.high),
        feature_reach=scales.reach,
    )


def _config(
    path: str, settings: DataConfig, dataset: Dataset, findings: tuple[Finding, ...]
) -> tuple[Config, tuple[str, ...]]:
    """Return the config, and the reasons for what differs from the defaults."""
    why = {
        "feature_scales": "the features' ranges lie far apart",
        "feature_values": "the features are not about 1 around 0",
    }
    reasons = [f"standardize: {why[one.kind]}" for one in findings if one.kind in why]
    if largest := small_uint8(dataset):
        reasons.insert(0, f"standardize: uint8 is divided by 255, and none is above {largest}")
    if reasons:
        settings = settings.model_copy(update={"standardize": True})
    if settings.is_table and settings.validation_size != "auto":
        reasons.append("validation_size: a tenth of the training rows would not have every class")
    rows, plain = len(dataset.y_train), TrainingConfig()
    config = Config(name=name_for(path), data=settings)
    sizes = range(min(rows, plain.batch_size), 1, -1)
    batch = next((size for size in sizes if rows % size != 1), plain.batch_size)
    steps = math.ceil(rows / batch)
    unit = 10 ** max(0, math.floor(math.log10(_STEPS / steps)))
    epochs = max(plain.epochs, unit * math.ceil(_STEPS / steps / unit))
    if batch != plain.batch_size:
        reasons.append(f"batch_size: {rows:,} training rows leave no batch of one row")
    if epochs != plain.epochs:
        reasons.append(
            f"epochs: in {plain.epochs} of them there would be {plain.epochs * steps:,} steps, too "
            "few for Batch Normalization's moving statistics"
        )
    training = TrainingConfig(batch_size=batch, epochs=epochs)
    return config.model_copy(update={"training": training}), tuple(reasons)


def name_for(path: str) -> str:
    """Return a name that a config may have, made from a file's."""
    stem = re.sub(r"(\.npz|\.csv|\.csv\.gz)\Z", "", Path(path).name)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:_LONGEST_NAME].rstrip(".")
    try:
        return Config(name=name).name
    except ValueError:  # nothing is left, or a device of Windows
        return f"data_{name}".rstrip("_")[:_LONGEST_NAME]


def data_warnings(dataset: Dataset, columns: Sequence[str], margin: float) -> Iterator[str]:
    """Yield what is likely a mistake in the data, the most serious first.

    ``columns`` name the features of a table, which is one file whose split was drawn; without them
    features go by their numbers, from 0. ``margin`` is in percentage points of the accuracy. The
    features must be as they are stored, not standardized.
    """
    x, labels = dataset.x_train, dataset.class_names
    noun = "columns" if columns else "features"
    features = columns or list(map(str, range(dataset.features)))
    counting = _counting(dataset) if columns else []
    copies = [place for place, one in enumerate(x.T) if _determines_the_class(one, dataset)]
    is_image = len(dataset.feature_shape) > 1  # images have corners that are always dark
    constant = [] if is_image else np.flatnonzero(x.min(axis=0) == x.max(axis=0)).tolist()
    untested = np.setdiff1d(np.arange(dataset.classes), dataset.y_test).tolist()
    yield from _repeated_rows(dataset, counting, margin, one_file=bool(columns))
    yield from _warning(
        "labels that may mean a missing value",
        [label for label in labels if label.casefold() in _MISSING],
        "drop such rows, unless it is a class",
    )
    yield from _warning(
        "labels with invisible characters",
        [label for label in labels if visible(label) != label],
        "remove them from the file",
    )
    for _, alike in groupby(sorted(labels, key=_plain), _plain):
        if len(names := list(alike)) > 1:
            problem = "labels that differ only in case, blanks or the form of their characters"
            yield from _warning(problem, names, "write them alike if they are one class")
    yield from _warning(
        "classes without a test row, of which nothing is measured",
        [labels[one] if labels else str(one) for one in untested],
        "shuffle the rows before splitting",
    )
    for problem, places, cure in (
        ("that alone determine the class", copies, "drop what is a copy of the label"),
        ("with a different whole number in every row", counting, "drop what only counts the rows"),
        ("that are constant over the training rows", constant, "drop them"),
    ):
        yield from _warning(f"{noun} {problem}", [features[place] for place in places], cure)
    if largest := small_uint8(dataset):
        yield (
            f"the largest value is {largest}, and uint8 is divided by 255, which leaves features "
            "far smaller than 1: the config has data.standardize: true; or store them as float"
        )


def _warning(problem: str, names: Sequence[str], cure: str) -> Iterator[str]:
    if names:
        more = [f"{len(names) - _NAMED:,} more"] if len(names) > _NAMED else []
        shown = [f"'{shorten(name)}'" for name in names[:_NAMED]]
        yield f"{problem}: {listed([*shown, *more])}; {cure}"


def small_uint8(dataset: Dataset) -> int | None:
    """Return the largest value of ``uint8`` features that use a tenth of 0 to 255 or less.

    Digits of 0 to 16 and flags of 0 and 1 are such. None for others, and where all is 0.
    """
    largest = dataset.x_train.max()
    return int(largest) if dataset.x_train.dtype == np.uint8 and 0 < largest <= _SMALL else None


def _plain(name: str) -> str:
    normal = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(c for c in normal if visible(c) == c and not c.isspace())
    return unicodedata.normalize("NFKC", seen)


def _repeated_rows(
    dataset: Dataset, counting: Sequence[int], margin: float, *, one_file: bool
) -> Iterator[str]:
    """Yield how many rows repeat others, unless they do so by chance.

    Test rows among the training rows count where they can move the accuracy by more than the
    margin, and one alone never: of 150 flowers measured to a millimetre two are equal.
    """
    if len(counting) == dataset.features:
        return
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    x_train, *others = (np.delete(x, counting, axis=1) if counting else x for x in parts)
    train, val, test = map(row_keys, (x_train, *others))
    every = np.concatenate([train, val, test]) if one_file else train
    repeated = (len(every) - len(np.unique(every))) / len(every)
    leaked = np.isin(test, train)
    leaks = leaked.sum() > 1 and 100 * leaked.mean() > margin
    if not leaks and repeated < _MANY_REPEATED:
        return
    expected = _BY_CHANCE * equal_by_chance(x_train, dataset.y_train)
    aside = " apart from what counts the rows" if counting else ""
    cure = "keep each row once, unless they are different cases with equal values"
    if leaks and leaked.mean() > expected:
        yield (
            f"{leaked.sum():,} of the {len(test):,} test rows ({percent(leaked.mean())} %) are "
            f"also among the training rows{aside}: {cure}"
        )
    elif repeated >= max(_MANY_REPEATED, expected):
        which = "rows" if one_file else "training rows"
        yield f"{percent(repeated)} % of the {which} repeat another{aside}: {cure}"


def row_keys(x: Array) -> Array:
    """Return int64 (rows,): equal for equal rows of (rows, features), else different.

    They are valid within one process alone. The chance that two rows of a million share one by
    accident is one in ten million.
    """
    zero = x.dtype.type(0)  # added, it makes 0 of -0
    blocks = (np.ascontiguousarray(x[rows] + zero) for rows in row_blocks(*x.shape))
    return np.fromiter((hash(row.tobytes()) for block in blocks for row in block), np.int64, len(x))


def equal_by_chance(x: Array, y: Array) -> float:
    """Return which share of rows would have an equal one if features were independent in a class.

    Tables of a few columns with a few values each have many equal rows that are different cases;
    measurements have hardly any. ``y`` holds the classes, (rows,), from 0.
    """
    random = np.random.default_rng(0)
    expected = 0.0
    for one in np.unique(y):
        own = random.permutation(np.flatnonzero(y == one))
        some = x[own[:_COMPARED_ROWS]]
        shifts = range(1, min(_SHIFTS + 1, len(some)))
        equal = [(some == np.roll(some, shift, axis=0)).mean(axis=0) for shift in shifts]
        agreement = float(np.mean(equal, axis=0).prod()) if equal else 0.0  # of two rows, by chance
        expected += len(own) * min(1.0, len(own) * agreement)
    return expected / len(x)


def _determines_the_class(feature: Array, dataset: Dataset) -> bool:
    """Return whether the feature has few values, each in rows of one class alone."""
    y, classes = dataset.y_train, dataset.classes
    most = min(_VALUES_OF_A_CLASS * classes, len(y) // _ROWS_OF_A_VALUE)
    for step in (max(1, len(y) // _FIRST_ROWS), 1):
        values, places = np.unique(feature[::step], return_inverse=True)
        with_classes = np.unique(places * classes + y[::step])
        if len(values) > most or len(with_classes) > len(values):
            return False
    return True


def _counting(dataset: Dataset) -> list[int]:
    """Return the features that are a different whole number in every row."""
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    return [
        place
        for place, feature in enumerate(dataset.x_train[:_FIRST_ROWS].T)
        if _counts(feature) and _counts(np.concatenate([x[:, place] for x in parts]))
    ]


def _counts(values: Array) -> bool:
    return bool((values == np.trunc(values)).all()) and len(np.unique(values)) == len(values)
