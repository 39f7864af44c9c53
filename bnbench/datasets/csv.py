"""A ``.csv`` or ``.csv.gz`` file as a table: the names of its columns, and its rows in blocks."""

import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from csv import Error as UnreadableRow
from csv import reader
from gzip import GzipFile
from io import BufferedReader, RawIOBase, TextIOWrapper
from typing import Any, BinaryIO

from bnbench.datasets.sources import reason_of
from bnbench.errors import EnvironmentFault, InputError
from bnbench.experiments.document import shorten

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
MOST_COLUMNS = 25_000  # pandas takes time for each of them
_HEADER_BYTES = 1 << 24  # at most, with the blank lines before it
_BLOCK_BYTES = 1 << 26  # of a block at most, unpacked, or as many as its numbers may have
_NUMBER_BYTES = 64
_ROWS = 1 << 17  # of a block at most
_LEAST_ROWS = 256  # of a block of many columns, each of which takes time in every block
_NUMBERS = 1 << 20  # of other blocks at most
_READ_AT_ONCE = 1 << 18  # bytes


class Table:
    """An open file and the names of its ``columns``, without blanks around them.

    Raises InputError, which begins with the file's ``name``, for what is no table, and
    EnvironmentFault where pandas is lacking.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file
        with _faults_named(name), _Unpacked(file, name, _HEADER_BYTES).text() as text:
            header = next(filter(None, reader(text, skipinitialspace=True)), [])
        self.columns = tuple(column.strip() for column in header)
        _check_columns(self.columns, name)

    def blocks(self, **options: Any) -> Iterator[Any]:
        """Yield data frames of consecutive rows from the first; columns are called by their places.

        ``options`` are those of ``pandas.read_csv``. Which columns they keep makes no difference to
        how many rows a block has.
        """
        try:
            import pandas
        except ImportError as error:
            raise EnvironmentFault(
                f"{self.name}: a .csv takes pandas; install it with: pip install 'bnbench[csv]'"
            ) from error
        rows = min(_ROWS, max(_LEAST_ROWS, _NUMBERS // len(self.columns)))
        most = max(_BLOCK_BYTES, _NUMBER_BYTES * rows * len(self.columns))
        content = _Unpacked(self._file, self.name, most)
        with _faults_named(self.name), content.text() as text, warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            try:
                blocks = pandas.read_csv(
                    text,
                    header=0,
                    names=list(range(len(self.columns))),
                    index_col=False,
                    skipinitialspace=True,
                    low_memory=False,  # else a column may be numbers here and text there
                    chunksize=rows,
                    **options,
                )
                for block in blocks:
                    content.left = most
                    yield block
            except (pandas.errors.ParserWarning, pandas.errors.ParserError) as error:
                where = f"{self.name}: expected as many fields in each row as in the header"
                raise InputError(f"{where}: {reason_of(error)}") from error


class _Unpacked(RawIOBase):
    """The content of a file from its start; a block of more than ``most`` bytes is an error."""

    def __init__(self, file: BinaryIO, name: str, most: int) -> None:
        file.seek(0)
        self._content = GzipFile(fileobj=file) if name.endswith(".gz") else file
        self._name, self._most = name, most
        self.left = most  # bytes, until the block's end must have come

    def text(self) -> TextIOWrapper:
        return TextIOWrapper(BufferedReader(self, _READ_AT_ONCE), "utf-8-sig", newline="")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._content.read(len(buffer))
        buffer[: len(content)] = content
        self.left -= len(content)
        if self.left < 0:
            raise InputError(
                f"{self._name}: expected the rows of a table, found more than {self._most:,} "
                "bytes of blank lines, or of one row; look for a line or a quoted text without end"
            )
        return len(content)


@contextmanager
def _faults_named(name: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        byte = f"0x{error.object[error.start]:02x}"
        raise InputError(
            f"{name}: expected UTF-8 text, got the byte {byte}; save it as UTF-8"
        ) from error
    except UnreadableRow as error:
        raise InputError(f"{name}: no header can be read: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: damaged, or no gzip file: {reason_of(error)}") from error


def _check_columns(names: Sequence[str], file: str) -> None:
    """Refuse a header that is missing, or whose columns cannot be distinguished."""
    if not names:
        raise InputError(f"{file}: expected a header and rows, but the file is empty")
    if len(names) > MOST_COLUMNS:
        raise InputError(
            f"{file}: expected at most {MOST_COLUMNS:,} columns, found {len(names):,}; keep those "
            "that matter, or save the table as .npz"
        )
    if len(names) == 1:
        raise InputError(
            f"{file}: expected columns with commas between them, found only '{shorten(names[0])}'"
        )
    if all(map(NUMBER.fullmatch, names)) and list(names) != list(map(str, range(len(names)))):
        raise InputError(
            f"{file}: expected a header with the columns' names, but the first line is numbers; "
            "add one"
        )
    if "" in names:
        raise InputError(
            f"{file}: column {names.index('') + 1} has no name; name it, or drop it where it only "
            "counts the rows (pandas: to_csv(index=False))"
        )
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise InputError(f"{file}: two columns are called {shorten(twice[0])}; rename one")
