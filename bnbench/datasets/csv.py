"""A ``.csv`` file with a column of classes → the four arrays of a data set, split once for all.

It is read twice, block by block: the classes first, which decide where each row goes, then the
features, each straight to its place. Rows are counted from 1 below the header.
"""

import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from csv import Error as UnreadableHeader
from csv import reader
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from gzip import GzipFile
from io import TextIOWrapper
from typing import Any, BinaryIO, NamedTuple, TextIO

import numpy as np

from bnbench import memory
from bnbench.datasets.sources import WHOLE_UP_TO, Array, Report, Shape, Sources, fingerprint
from bnbench.errors import EnvironmentFault, InputError
from bnbench.experiments.config import DataConfig
from bnbench.experiments.document import shorten

MOST_CLASSES = 1000
LEAST_ROWS = 3  # of a class: one each to train, to validate and to test
_SEED = 0  # of the split
_ROWS = 1 << 17  # that are read at once
_NUMBERS = 1 << 20  # in them
_LONGEST_LINE = 1 << 24
_NAMED = 5  # of columns with a fault, or to choose from
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_LABEL = re.compile(r"(.*[ _.-])?(label|class|target|species|category|outcome|diagnosis|kind)|y")
_MISSING = ("", "nan", "NaN")  # as a class; others, such as NA, may be one


class Candidate(NamedTuple):
    """A column that might hold the class: what it holds, and how many different values."""

    name: str
    kind: str
    values: int


def read(file: BinaryIO, settings: DataConfig, report: Report = lambda line: None) -> Sources:
    """Return the four arrays, the classes' names and the fingerprint.

    Of every class the same share of rows tests, ``settings.test_size``, and the same share of those
    left stands at the end of the training rows, however many of them are held out to validate; a
    fixed seed draws which. Raises InputError that begins with the file's name, and EnvironmentFault
    where pandas or memory is lacking; ``report`` gets a line where numbers of a column are rounded.
    """
    table = _Table(file, settings.dataset)
    label = table.place(settings.label)
    names, y = _classes(table, label)
    train, test = _split(y, len(names), settings.test_size)
    features = len(table.header) - 1
    needed, left = 4 * len(y) * features, memory.available()
    if needed > left:
        raise EnvironmentFault(
            f"{table.name}: needs {needed:,} bytes of memory; {left:,} are left here"
        )
    places = np.empty(len(y), np.int64)
    places[np.concatenate([train, test])] = np.arange(len(y))
    x = np.empty((len(y), features), np.float32)
    row = 0
    for block in _features(table, label, report):
        if row + len(block) > len(y):
            break
        x[places[row : row + len(block)]] = block
        row += len(block)
    if row != len(y):
        raise InputError(f"{table.name}: changed while it was read")
    arrays = x[: len(train)], y[train], x[len(train) :], y[test]
    return Sources(*arrays, fingerprint(arrays), names)


def peek(file: BinaryIO, settings: DataConfig) -> tuple[Shape, int, int]:
    """Return the shape of a row, the number of classes and that of training rows.

    Only the column of classes is kept; raises as `read` does for what is seen on the way.
    """
    table = _Table(file, settings.dataset)
    names, y = _classes(table, table.place(settings.label))
    rows = np.bincount(y)
    return (
        (len(table.header) - 1,),
        len(names),
        int((rows - _tested(rows, settings.test_size)).sum()),
    )


def header(file: BinaryIO, name: str) -> tuple[str, ...]:
    """Return the names of the columns, checked."""
    return _Table(file, name).header


def candidates(file: BinaryIO, name: str) -> list[Candidate]:
    """Return the columns that might hold the class, the most likely first.

    That is what is called like a label, then text, which no feature may be, then the last column
    and the first, and among the rest the one of fewest values.
    """
    table = _Table(file, name)
    seen: list[set[Any]] = [set() for _ in table.header]
    kinds: list[list[str]] = [[] for _ in table.header]
    rows = 0
    for block in table.blocks():
        rows += len(block)
        for place, values in enumerate(seen):
            kinds[place].append(_kind(block[place]))
            if len(values) <= MOST_CLASSES:
                values.update(block[place].dropna().unique().tolist())
    held = [
        Candidate(column, kind, len(values))
        for column, kind, values in zip(table.header, map(_kind_of_all, kinds), seen, strict=True)
        if kind != "numbers" and 2 <= len(values) <= min(MOST_CLASSES, rows // LEAST_ROWS)
    ]
    ends = (table.header[-1], table.header[0])

    def unlikely(one: Candidate) -> tuple[bool, bool, int, int]:
        place = ends.index(one.name) if one.name in ends else len(ends)
        named = _LABEL.fullmatch(one.name.casefold()) is not None
        return not named, one.kind == "whole numbers", place, one.values

    return sorted(held, key=unlikely)


def _kind(column: Any) -> str:
    if column.dtype.kind not in "biuf":
        return "text"
    if column.dtype.kind == "b":
        return "true or false"
    return "whole numbers" if (column.dropna() % 1 == 0).all() else "numbers"


def _kind_of_all(kinds: Sequence[str]) -> str:
    """Return what a column holds that was seen to hold these, in one block or another."""
    known = set(kinds)
    if len(known) == 1:
        return kinds[0]
    return "numbers" if known == {"numbers", "whole numbers"} else "text"


@dataclass(frozen=True)
class _Table:
    """An open file, read from its start whenever it is read."""

    file: BinaryIO
    name: str
    header: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", self._header())

    def place(self, label: str | None) -> int:
        """Return which column is the label."""
        if label in self.header:
            return self.header.index(label)
        near = get_close_matches(str(label), self.header, 1)
        hint = f" (did you mean {shorten(near[0])}?)" if near else ""
        raise InputError(
            f"data.label: {self.name} has no column {shorten(str(label))}{hint}; it has "
            f"{_some([shorten(name) for name in self.header])}"
        )

    def blocks(self, **options: Any) -> Iterator[Any]:
        """Yield data frames of consecutive rows; the columns are called by their places.

        Whichever columns are kept, all are looked through, so all decide how many rows are taken.
        """
        try:
            import pandas
        except ImportError as error:
            raise EnvironmentFault(
                f"{self.name}: a .csv takes pandas; install it with: pip install 'bnbench[csv]'"
            ) from error
        with self._text() as text, warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            try:
                yield from pandas.read_csv(
                    text,
                    header=0,
                    names=list(range(len(self.header))),
                    index_col=False,
                    skipinitialspace=True,
                    low_memory=False,  # else a column may be numbers here and text there
                    chunksize=max(1, min(_ROWS, _NUMBERS // len(self.header))),
                    **options,
                )
            except pandas.errors.ParserWarning as error:
                raise InputError(
                    f"{self.name}: rows have more fields than the header has names"
                ) from error
            except pandas.errors.ParserError as error:
                raise InputError(f"{self.name}: {_unreadable(str(error))}") from error

    def _header(self) -> tuple[str, ...]:
        with self._text() as text:
            try:
                for row in reader(self._lines(text), skipinitialspace=True):
                    if row:
                        names = tuple(cell.strip() for cell in row)
                        self._check(names)
                        return names
            except UnreadableHeader as error:
                raise InputError(f"{self.name}: no header can be read: {error}") from error
        raise InputError(f"{self.name}: expected a header and rows, but the file is empty")

    def _lines(self, text: TextIO) -> Iterator[str]:
        while line := text.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                raise InputError(
                    f"{self.name}: no table: a line of more than {len(line):,} letters"
                )
            yield line

    def _check(self, names: Sequence[str]) -> None:
        """Refuse a header that is none, or that does not tell columns apart."""
        numbers = [str(place) for place in range(len(names))]
        unnamed = [place + 1 for place, name in enumerate(names) if not name]
        twice = [name for name, times in Counter(names).items() if times > 1]
        if len(names) == 1:
            other = next((word for sign, word in _SEPARATORS.items() if sign in names[0]), None)
            found = f"{other} between them; save it with commas" if other else "only one"
            raise InputError(
                f"{self.name}: expected columns with commas between them, found {found}"
            )
        if all(map(_NUMBER.fullmatch, names)) and list(names) != numbers:
            raise InputError(
                f"{self.name}: expected a header with the columns' names, but the first line is "
                "numbers; add one"
            )
        if unnamed:
            raise InputError(
                f"{self.name}: column {unnamed[0]} has no name; name it, or drop it where it only "
                "counts the rows (pandas: to_csv(index=False))"
            )
        if twice:
            raise InputError(f"{self.name}: two columns are called {shorten(twice[0])}; rename one")

    @contextmanager
    def _text(self) -> Iterator[TextIO]:
        self.file.seek(0)
        packed = self.name.endswith(".gz")
        content = GzipFile(fileobj=self.file) if packed else self.file
        text = TextIOWrapper(content, encoding="utf-8-sig", newline="")
        try:
            yield text
        except UnicodeDecodeError as error:
            byte = f"0x{error.object[error.start]:02x}"
            raise InputError(
                f"{self.name}: expected UTF-8 text, got the byte {byte}; save it as UTF-8"
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"{self.name}: damaged, or no gzip file: {reason}") from error
        except MemoryError as error:
            raise EnvironmentFault(f"{self.name}: there is not enough memory to read it") from error
        finally:
            text.detach()  # the file is read again, and closed by whoever opened it


_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _unreadable(reason: str) -> str:
    fields = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason)
    if fields:
        return "line {1}: expected {0} fields, found {2}".format(*fields.groups())
    if "EOF inside string" in reason:
        return 'a quoted text has no end; look for a single "'
    return f"not a table: {' '.join(reason.split())[:200]}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _classes(table: _Table, place: int) -> tuple[tuple[str, ...], Array]:
    """Return the classes' names in their order, and the class of every row, int32 (rows,)."""
    where = f"{table.name}: column {shorten(table.header[place])}"
    codes: dict[str, int] = {}
    parts: list[Array] = []
    for block in table.blocks(usecols=[place], dtype=str, na_filter=False):
        inverse, texts = block[place].factorize()
        stripped = [text.strip() for text in texts]
        missing = [-1, *(code for code, text in enumerate(stripped) if text in _MISSING)]
        if (lacking := np.isin(inverse, missing)).any():
            row = sum(len(part) for part in parts) + int(np.argmax(lacking)) + 1
            raise InputError(f"{where}, row {row:,}: no class; fill it in or drop the row")
        known = [codes.setdefault(text, len(codes)) for text in stripped]
        parts.append(np.array(known, np.int32)[inverse])
        if len(codes) > MOST_CLASSES:
            raise InputError(f"{where}: {_no_classes(codes, f'more than {MOST_CLASSES:,}')}")
    if not codes:
        raise InputError(f"{table.name}: expected rows below the header, found none")
    y = np.concatenate(parts)
    names, order = _ordered(list(codes), where)
    y = order[y]
    _check_classes(names, np.bincount(y), where)
    return names, y


def _ordered(texts: Sequence[str], where: str) -> tuple[tuple[str, ...], Array]:
    """Return the classes in order, and which of them each text is; numbers are one if equal."""
    if not all(map(_NUMBER.fullmatch, texts)):
        words = sorted(texts)
        return tuple(words), np.argsort(np.argsort(np.array(texts, object))).astype(np.int32)
    numbers = [Decimal(text) for text in texts]
    if any(number % 1 for number in numbers):
        raise InputError(f"{where}: {_no_classes(texts, f'{len(texts):,}')}")
    values = sorted(set(numbers))
    places = {value: place for place, value in enumerate(values)}
    return tuple(f"{value:.0f}" for value in values), np.array(
        [places[number] for number in numbers], np.int32
    )


def _no_classes(texts: Sequence[str] | dict[str, int], many: str) -> str:
    broken = next((t for t in texts if _NUMBER.fullmatch(t) and Decimal(t) % 1), None)
    such = f"numbers that are not whole, such as {broken}" if broken else f"{many} different values"
    return (
        f"expected classes, found {such}; if it is a quantity (regression), make a column of "
        "classes from it, such as low and high"
    )


def _check_classes(names: Sequence[str], rows: Array, where: str) -> None:
    if len(names) == 1:
        raise InputError(f"{where}: expected two or more classes, found only {shorten(names[0])}")
    if len(names) > rows.sum() / 2:
        raise InputError(f"{where}: {_no_classes(names, f'{len(names):,}')}")
    rarest = int(np.argmin(rows))
    if rows[rarest] < LEAST_ROWS:
        raise InputError(
            f"{where}: expected {LEAST_ROWS} rows or more of each class, to train, to validate and "
            f"to test; {shorten(names[rarest])} has {rows[rarest]}: drop it, or merge it"
        )


def _tested(rows: Array, test_size: float) -> Array:
    """Return how many rows of each class test, of so many."""
    wanted = np.rint(rows * test_size).astype(np.int64)
    return np.clip(wanted, 1, rows - (LEAST_ROWS - 1))


def _split(y: Array, classes: int, test_size: float) -> tuple[Array, Array]:
    """Return which rows train, in their order, and which test.

    Of the rows that train the first are one of each class, and so are the last; between them the
    classes are spread evenly. So any part cut off the end has its share of every class, and so has
    the rest, unless one of them is smaller than the number of classes.
    """
    random = np.random.default_rng(_SEED)
    rows = np.bincount(y, minlength=classes)
    tested = _tested(rows, test_size)
    by_class = np.split(np.argsort(y, kind="stable"), np.cumsum(rows)[:-1])
    test, first, last, between, places = [], [], [], [], []
    for own, number in zip(by_class, tested, strict=True):
        own = random.permutation(own)
        test.append(own[:number])
        first.append(own[number : number + 1])
        last.append(own[-1:])
        rest = own[number + 1 : -1]
        between.append(rest)
        places.append((np.arange(len(rest)) + random.random(len(rest))) / max(1, len(rest)))
    middle = np.concatenate(between)[np.argsort(np.concatenate(places), kind="stable")]
    ends = (random.permutation(np.concatenate(rows)) for rows in (first, last))
    start, end = ends
    return np.concatenate([start, middle, end]), np.sort(np.concatenate(test))


def _features(table: _Table, label: int, report: Report) -> Iterator[Array]:
    """Yield consecutive rows of all columns but the label, ``float32``."""
    places = [place for place in range(len(table.header)) if place != label]
    rounded: set[int] = set()
    row = 0
    for block in table.blocks(dtype={label: str}):
        _check_kinds(table, block, places, row)
        numbers = block[places].to_numpy(np.float64)
        with np.errstate(over="ignore"):  # reported below, with its place
            kept = numbers.astype(np.float32)
        _check_numbers(table, numbers, kept, places, row)
        for column in np.flatnonzero((np.abs(numbers) > WHOLE_UP_TO).any(axis=0)).tolist():
            place = places[column]
            number = None if place in rounded else _first_rounded(block[place].to_numpy())
            if number is not None:
                _tell_rounded(table, place, number, block[place].dtype.kind, report)
                rounded.add(place)
        yield kept
        row += len(block)


def _tell_rounded(table: _Table, place: int, number: int, kind: str, report: Report) -> None:
    text = (
        f"{table.name}: column {shorten(table.header[place])}: holds whole numbers that float32 "
        f"cannot tell from their neighbours, such as {number:,}"
    )
    if kind in "iu":
        raise InputError(f"{text}; drop it where it only names the rows, else subtract a number")
    report(f"{text}: they were rounded")


def _check_kinds(table: _Table, block: Any, places: Sequence[int], row: int) -> None:
    import pandas

    wrong = []
    for place, kind in zip(block.columns, (dtype.kind for dtype in block.dtypes), strict=True):
        if place not in places or kind in "iuf":
            continue
        column = block[place]
        if kind == "b":
            wrong.append(f"{shorten(table.header[place])} (true and false)")
        else:
            text = column[pandas.to_numeric(column, errors="coerce").isna() & column.notna()]
            found = "numbers too large to be read"
            if len(text):
                at = row + int(text.index[0] - column.index[0]) + 1
                found = f"'{shorten(str(text.iloc[0]))}' in row {at:,}"
            wrong.append(f"{shorten(table.header[place])} ({found})")
    if wrong:
        columns = "columns" if len(wrong) > 1 else "column"
        raise InputError(
            f"{table.name}: expected numbers in every column but the label, found others in "
            f"{columns} {_some(wrong)}; encode them as numbers (0 and 1 for each value), or drop "
            "them"
        )


def _check_numbers(
    table: _Table, numbers: Array, kept: Array, places: Sequence[int], row: int
) -> None:
    finite = np.isfinite(kept)
    if finite.all():
        return
    first, column = (int(at) for at in np.argwhere(~finite)[0])
    number = numbers[first, column]
    where = f"{table.name}: column {shorten(table.header[places[column]])}, row {row + first + 1:,}"
    if np.isnan(number):
        lacking = int(np.isnan(numbers).any(axis=1).sum())
        more = f", as are others in {lacking - 1:,} rows near it" if lacking > 1 else ""
        raise InputError(f"{where}: the value is missing{more}; fill it in, or drop row or column")
    what = "an infinite number" if np.isinf(number) else "a number too large for float32"
    raise InputError(f"{where}: holds {what}")


def _first_rounded(values: Array) -> int | None:
    """Return a whole number of a column that float32 would change, or None."""
    large = values[(values > WHOLE_UP_TO) | (values < -WHOLE_UP_TO)]
    whole = large[large == np.trunc(large)]
    with np.errstate(invalid="ignore"):  # 2**64 is no uint64
        changed = whole[whole.astype(np.float32).astype(whole.dtype) != whole]
    return int(changed[0]) if len(changed) else None
