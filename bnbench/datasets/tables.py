"""A table with a column of classes → the four arrays of a data set, split once and for all.

It is read twice, block by block: first the classes, which decide where each row goes, then the
features, each straight to its place. Rows are counted from 1 below the header.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from bnbench.datasets import sources
from bnbench.datasets.csv import NUMBER, Table
from bnbench.datasets.sources import Array, Report, Shape, Sources
from bnbench.errors import InputError
from bnbench.experiments.config import DataConfig
from bnbench.experiments.document import shorten

MOST_CLASSES = 1000
LEAST_ROWS = 3  # of a class: one each to train, to validate and to test
_SEED = 0  # of the split
_KINDS = _WHOLE, _NUMBERS, _TRUTHS, _TEXT = "whole numbers", "numbers", "true or false", "text"
_NAMED = 5  # of columns with a fault
_LABEL = re.compile(r"(.*[ _.-])?(label|class|target|species|category|outcome|diagnosis|kind)|y")
_MISSING = ("", "nan", "NaN")  # as a class; others, such as NA, may be one


class Candidate(NamedTuple):
    """A column that might hold the class: what it holds, and how many different values."""

    name: str
    kind: str
    values: int


def read(table: Table, settings: DataConfig, report: Report) -> Sources:
    """Return the four arrays, their sources.fingerprint, and the names of classes and features.

    The test set is the same share of every class, ``settings.test_size``. The training rows are put
    in an order of which any end, held out to validate, has its share of every class. A fixed seed
    draws both. Raises InputError, which begins with the file's name, and EnvironmentFault where
    memory is lacking; ``report`` gets a line for each column of fractions whose whole numbers were
    rounded.
    """
    label = _label_place(table, settings.label)
    class_names, y = _classes(table, label)
    train, test = _split(y, len(class_names), settings.test_size)
    names = [name for place, name in enumerate(table.columns) if place != label]
    sources.check_memory(4 * len(y) * len(names), f"{table.name}:")
    places = np.argsort(np.concatenate([train, test]))
    x = np.empty((len(y), len(names)), np.float32)
    row = 0
    for block in _features(table, label, report):
        rows = places[row : row + len(block)]
        x[rows] = block[: len(rows)]
        row += len(block)
    if row != len(y):
        raise InputError(f"{table.name}: changed while it was read")
    arrays = x[: len(train)], y[train], x[len(train) :], y[test]
    return Sources(*arrays, sources.fingerprint(arrays), class_names, tuple(names))


def peek(table: Table, settings: DataConfig) -> tuple[Shape, int, int]:
    """Return the shape of a row, the number of classes and that of training rows.

    Only the column of classes is kept; raises as `read` does for what is seen on the way.
    """
    names, y = _classes(table, _label_place(table, settings.label))
    rows = np.bincount(y)
    training_rows = int((rows - _tested(rows, settings.test_size)).sum())
    return (len(table.columns) - 1,), len(names), training_rows


def candidates(table: Table) -> list[Candidate]:
    """Return the columns that might hold the class, the most likely first.

    Columns with the name of a label come first, then text, which no feature may be, then the last
    column and the first, and among the rest the one of fewest values.
    """
    places, rows = range(len(table.columns)), 0
    values: list[set[Any]] = [set() for _ in places]
    kinds = [_WHOLE for _ in places]
    for block in table.blocks():
        rows += len(block)
        for place, column in block.items():
            present = column.dropna()
            kinds[place] = max(kinds[place], _kind(present), key=_KINDS.index)
            if len(values[place]) <= MOST_CLASSES:
                values[place].update(present.unique().tolist())

    def unlikely(place: int) -> tuple[bool, bool, int, int]:
        unnamed = _LABEL.fullmatch(table.columns[place].casefold()) is None
        end = {len(kinds) - 1: 0, 0: 1}.get(place, 2)
        return unnamed, kinds[place] == _WHOLE, end, len(values[place])

    most = min(MOST_CLASSES, rows // LEAST_ROWS)
    return [
        Candidate(table.columns[place], kinds[place], len(values[place]))
        for place in sorted(places, key=unlikely)
        if kinds[place] != _NUMBERS and 2 <= len(values[place]) <= most
    ]


def _kind(column: Any) -> str:
    if column.dtype.kind not in "biuf":
        return _TEXT
    if column.dtype.kind == "b":
        return _TRUTHS
    return _WHOLE if (column.to_numpy() % 1 == 0).all() else _NUMBERS


def _label_place(table: Table, label: str | None) -> int:
    if label in table.columns:
        return table.columns.index(label)
    near = get_close_matches(str(label), table.columns, 1)
    hint = f" (did you mean {shorten(near[0])}?)" if near else ""
    raise InputError(
        f"data.label: {table.name} has no column {shorten(str(label))}{hint}; it has "
        f"{shorten(', '.join(table.columns))}"
    )


def _classes(table: Table, place: int) -> tuple[tuple[str, ...], Array]:
    """Return the classes' names in their order, and the class of every row, int32 (rows,)."""
    where = _where(table, place)
    codes: dict[str, int] = {}
    parts: list[Array] = []
    for block in table.blocks(usecols=[place], dtype=str, na_filter=False):
        labels = block[place].fillna("").str.strip()
        lacking = labels.isin(_MISSING)
        if lacking.any():
            row = labels.index[lacking][0] + 1
            raise InputError(f"{where}, row {row:,}: no class; fill it in or drop the row")
        inverse, found = labels.factorize()
        known = [codes.setdefault(label, len(codes)) for label in found]
        parts.append(np.array(known, np.int32)[inverse])
        if len(codes) > MOST_CLASSES:
            break
    if not codes:
        raise InputError(f"{table.name}: expected rows below the header, found none")
    texts: Sequence[Any] = list(codes)
    named: Callable[[Any], str] = str
    fraction = None
    if all(map(NUMBER.fullmatch, texts)):  # then equal numbers are one class
        texts, named = list(map(Decimal, texts)), "{:.0f}".format
        fraction = next((text for text in texts if text != text.to_integral_value()), None)
    order = {value: place for place, value in enumerate(sorted(set(texts)))}
    names = tuple(map(named, order))
    y = np.array([order[text] for text in texts], np.int32)[np.concatenate(parts)]
    _check_classes(names, fraction, np.bincount(y), where)
    return names, y


def _check_classes(names: Sequence[str], fraction: Any, rows: Array, where: str) -> None:
    found = ""
    if fraction is not None:
        found = f"numbers that are not whole, such as {fraction}"
    elif len(names) > MOST_CLASSES:
        found = f"more than {MOST_CLASSES:,} different values"
    elif len(names) > max(2, rows.sum() / 2):
        found = f"{len(names):,} different values"
    if found:
        raise InputError(
            f"{where}: expected classes, found {found}; if it is a quantity (regression), make a "
            "column of classes from it, such as low and high"
        )
    if len(names) == 1:
        raise InputError(f"{where}: expected two or more classes, found only {shorten(names[0])}")
    rarest = int(np.argmin(rows))
    if rows[rarest] < LEAST_ROWS:
        raise InputError(
            f"{where}: expected {LEAST_ROWS} rows or more of each class, to train, to validate and "
            f"to test; {shorten(names[rarest])} has {rows[rarest]}: drop it, or merge it"
        )


def _tested(rows: Array, test_size: float) -> Array:
    """Return how many of each class's rows are test rows."""
    wanted = np.rint(rows * test_size).astype(np.int64)
    return np.clip(wanted, 1, rows - (LEAST_ROWS - 1))


def _split(y: Array, classes: int, test_size: float) -> tuple[Array, Array]:
    """Return which rows are training rows, in their order, and which are test rows.

    The first training rows are one of each class, and so are the last; between them the classes are
    spread evenly. So any part cut off the end has its share of every class, and so has the rest,
    unless one of the two has fewer rows than there are classes.
    """
    random = np.random.default_rng(_SEED)
    rows = np.bincount(y, minlength=classes)
    tested = _tested(rows, test_size)
    by_class = np.split(np.argsort(y, kind="stable"), np.cumsum(rows)[:-1])
    drawn = []
    for own, number in zip(by_class, tested, strict=True):
        own = random.permutation(own)
        rest = own[number + 1 : -1]
        place = (np.arange(len(rest)) + random.random(len(rest))) / max(1, len(rest))
        drawn.append((own[:number], own[number : number + 1], own[-1:], rest, place))
    test, first, last, between, places = map(np.concatenate, zip(*drawn, strict=True))
    middle = between[np.argsort(places, kind="stable")]
    start, end = random.permutation(first), random.permutation(last)
    return np.concatenate([start, middle, end]), np.sort(test)


def _features(table: Table, label: int, report: Report) -> Iterator[Array]:
    """Yield consecutive rows of all columns but the label, ``float32`` and checked."""
    reported: set[int] = set()
    for block in table.blocks(dtype={label: str}):
        features = block.drop(columns=label)
        _check_kinds(features, table)
        numbers = features.to_numpy(np.float64)
        with np.errstate(over="ignore"):  # reported below, with its place
            kept = numbers.astype(np.float32)
        _check_finite(features, kept, table)
        for column in np.flatnonzero((np.abs(numbers) > sources.WHOLE_UP_TO).any(axis=0)).tolist():
            stored = features.iloc[:, column]
            found = sources.first_rounded(stored.to_numpy(), kept[:, column])
            if found is None or stored.name in reported:
                continue
            text = f"{_where(table, stored.name)}: {found[1]}"
            if stored.dtype.kind in "iu":
                raise InputError(f"{text}; drop it if it only names the rows, or subtract a number")
            report(f"{text}: they were rounded")
            reported.add(stored.name)
        yield kept


def _where(table: Table, place: int) -> str:
    return f"{table.name}: column {shorten(table.columns[place])}"


def _check_kinds(features: Any, table: Table) -> None:
    import pandas

    wrong = []
    for place, values in features.select_dtypes(exclude="number").items():
        others = values[pandas.to_numeric(values, errors="coerce").isna() & values.notna()]
        found = "true and false" if values.dtype.kind == "b" else "numbers too large to be read"
        if len(others):
            found = f"'{shorten(str(others.iloc[0]))}' in row {others.index[0] + 1:,}"
        wrong.append(f"{shorten(table.columns[place])} ({found})")
    if wrong:
        others = " and others" if len(wrong) > _NAMED else ""
        raise InputError(
            f"{table.name}: expected numbers in every column but the label, found others in "
            f"{', '.join(wrong[:_NAMED])}{others}; encode them as numbers (0 and 1 for each "
            "value), or drop them"
        )


def _check_finite(features: Any, kept: Array, table: Table) -> None:
    if np.isfinite(kept).all():
        return
    row, column = np.argwhere(~np.isfinite(kept))[0].tolist()
    value = features.iat[row, column]
    if np.isnan(value):
        fault = "the value is missing; fill it in, or drop row or column"
    else:
        fault = (
            f"holds {'an infinite number' if np.isinf(value) else 'a number too large for float32'}"
        )
    where = _where(table, features.columns[column])
    raise InputError(f"{where}, row {features.index[row] + 1:,}: {fault}")
