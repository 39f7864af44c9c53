"""What is likely a mistake in own data, each as a sentence without its end."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bnbench.datasets import repeats
from bnbench.datasets.dataset import Dataset
from bnbench.evidence.records import Array
from bnbench.text import listed, percent

_SMALL = 25  # of 255: a tenth of the scale, so that no feature reaches more than 0.1
_MANY_REPEATED = 0.05  # of the training rows; fewer hardly weigh
_BY_CHANCE = 2  # times as many equal rows as independent features have are no chance
_VALUES_OF_A_CLASS = 2  # of a feature that stands for the label, on average
_ROWS_OF_A_VALUE = 5  # on average; fewer may be of one class by chance
_GLIMPSE = 1000  # rows that suffice to see that most features do not tell the class
_NAMED = 3


def doubts(dataset: Dataset, columns: Sequence[str], margin: float) -> Iterator[str]:
    """Yield what the user should look at before training, what spoils most first.

    ``columns`` name the features of a table, which is one file whose split was drawn; without them
    features go by their numbers, from 0. ``margin`` is in percentage points of the accuracy. The
    features must be as they are stored, not standardized.
    """
    counting = _counting(dataset) if columns else []
    yield from _repeated_rows(dataset, columns, counting, margin)
    yield from _label_again(dataset, columns)
    for place in counting:
        yield (
            f"column {columns[place]} holds another whole number in every row: drop it if it only "
            "names or counts them"
        )
    yield from _constant(dataset, columns)
    if (largest := small_uint8(dataset)) is not None:
        yield (
            f"the largest value is {largest}, and uint8 is divided by 255, which leaves features "
            "far smaller than 1: the config has data.standardize: true; or store them as float"
        )


def small_uint8(dataset: Dataset) -> int | None:
    """Return the largest value of ``uint8`` features that use a tenth of 0 to 255 or less.

    Digits of 0 to 16 and flags of 0 and 1 are such. None for others, and where all is 0.
    """
    largest = dataset.x_train.max()
    return int(largest) if dataset.x_train.dtype == np.uint8 and 0 < largest <= _SMALL else None


class _Repeats(NamedTuple):
    """How many rows stand elsewhere too, of how many: to test and validate, and within the file."""

    test: tuple[int, int]
    validation: tuple[int, int]
    within: tuple[int, int]


def _repeated_rows(
    dataset: Dataset, columns: Sequence[str], counting: Sequence[int], margin: float
) -> Iterator[str]:
    """Say which rows stand among the training rows, unless they do by chance.

    Test rows count where they can move the accuracy by more than the margin, and one alone never:
    of 150 flowers measured to a millimetre two are alike.
    """
    if len(counting) == dataset.features:
        return
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    x_train, x_val, x_test = (np.delete(x, counting, axis=1) if counting else x for x in parts)
    found = _count_repeats(x_train, x_val, x_test, whole_file=bool(columns))
    leaked, repeated = (number / rows for number, rows in (found.test, found.within))
    leaks = found.test[0] > 1 and 100 * leaked > margin
    if not leaks and repeated < _MANY_REPEATED:
        return
    expected = _BY_CHANCE * repeats.by_chance(x_train, dataset.y_train)
    aside = f" but for {_named(counting, columns)}" if counting else ""
    rows = "the file's {:,} rows" if columns else "the {:,} training rows"
    within = f"{found.within[0]:,} of {rows.format(found.within[1])} repeat another{aside}"
    unless = "unless they are different cases that are alike"
    if leaks and leaked > expected:
        also = f", as {within}" if columns or repeated >= _MANY_REPEATED else aside
        cure = "drop those from the file" if columns else "drop duplicates before splitting"
        yield f"{_leaked(found)} also stand among the training rows{also}: {cure}, {unless}"
    elif repeated >= max(_MANY_REPEATED, expected):
        yield f"{within} ({percent(repeated)} %): drop them, {unless}"


def _count_repeats(x_train: Array, x_val: Array, x_test: Array, *, whole_file: bool) -> _Repeats:
    train, val, test = map(repeats.keys, (x_train, x_val, x_test))
    within = np.concatenate([train, val, test]) if whole_file else train
    return _Repeats(
        (repeats.among(test, train), len(test)),
        (repeats.among(val, train), len(val)),
        (repeats.repeated(within), len(within)),
    )


def _leaked(found: _Repeats) -> str:
    number, rows = found.test
    text = f"{number:,} of the {rows:,} test rows ({percent(number / rows)} %)"
    number, rows = found.validation
    return f"{text} and {number:,} of the {rows:,} validation rows" if number else text


def _label_again(dataset: Dataset, columns: Sequence[str]) -> Iterator[str]:
    places = [
        place
        for place, feature in enumerate(dataset.x_train.T)
        if _tells_the_class(feature, dataset.y_train, dataset.classes)
    ]
    if len(places) == 1:
        yield (
            f"{_named(places, columns)} tells the class by itself: drop it if it is the label again"
        )
    elif places:
        yield (
            f"{_named(places, columns)} tell the class, each by itself: drop what is the label "
            "again"
        )


def _tells_the_class(feature: Array, y: Array, classes: int) -> bool:
    """Tell whether the feature has few values for so many classes, each in rows of one class."""
    most = min(_VALUES_OF_A_CLASS * classes, len(y) // _ROWS_OF_A_VALUE)
    for step in (max(1, len(y) // _GLIMPSE), 1):
        values, places = np.unique(feature[::step], return_inverse=True)
        with_classes = np.unique(places * classes + y[::step])
        if len(values) > most or len(with_classes) > len(values):
            return False
    return True


def _counting(dataset: Dataset) -> list[int]:
    """Return the features that are another whole number in every row."""
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    return [
        place
        for place, feature in enumerate(dataset.x_train[:_GLIMPSE].T)
        if _counts(feature) and _counts(np.concatenate([x[:, place] for x in parts]))
    ]


def _counts(values: Array) -> bool:
    return bool((values == np.trunc(values)).all()) and len(np.unique(values)) == len(values)


def _constant(dataset: Dataset, columns: Sequence[str]) -> Iterator[str]:
    """Say which features are constant; images have corners that are always dark."""
    if len(dataset.feature_shape) > 1:
        return
    x = dataset.x_train
    places = np.flatnonzero(x.min(axis=0) == x.max(axis=0)).tolist()
    if not places:
        return
    alone = len(places) == 1
    if columns or alone:
        which = _named(places, columns)
    else:
        which = f"{len(places):,} of the {dataset.features:,} features"
    yield (
        f"{which} {'is' if alone else 'are'} constant over the training rows: drop "
        f"{'it' if alone else 'them'}, as there is nothing to learn"
    )


def _named(places: Sequence[int], columns: Sequence[str]) -> str:
    """Return ``column a``, ``columns a and b``, ``features 0, 3, 4 and 7 more``."""
    shown = [columns[place] if columns else str(place) for place in places[:_NAMED]]
    if len(places) > _NAMED:
        shown.append(f"{len(places) - _NAMED:,} more")
    return f"{'column' if columns else 'feature'}{'s' * (len(places) > 1)} {listed(shown)}"
