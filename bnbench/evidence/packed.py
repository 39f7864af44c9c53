"""Packed records, ``*.jsonl.gz``: a record to a line, which is how a study is shared."""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bnbench.evidence.reading import LARGEST_RECORD_BYTES, DamagedRecord, parse_record
from bnbench.evidence.records import RunKey, RunRecord
from bnbench.experiments.config import check_same_settings
from bnbench.files import open_regular, write_atomically
from bnbench.text import visible

ENDING = ".jsonl.gz"
BEGINNING = b"\x1f\x8b"  # of every gzip file
_MOST_BYTES = 2**28  # unpacked, some 80,000 records; a file of 300 kB can hold as much
_MOST_WARNINGS = 100


@dataclass
class Packed:
    """What packed files hold: records, the place of each (``file:line``), and warnings."""

    records: dict[RunKey, RunRecord] = field(default_factory=dict)
    places: dict[RunKey, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, record: RunRecord, place: str) -> None:
        """Take the record in; raises `DamagedRecord` where the run has another one already.

        Raises `InputError` where that is of other settings with the same id.
        """
        known = self.records.setdefault(record.key, record)
        if known is not record and known != record:
            check_same_settings([known.config, record.config])
            first = visible(self.places[record.key])
            raise DamagedRecord(place, f"{first} has another record of this run, which counts")
        self.places.setdefault(record.key, place)


def is_packed(entry: os.DirEntry[str]) -> bool:
    """Whether this is a file of packed records."""
    return entry.name.endswith(ENDING) and os.path.isfile(entry)


def pack(records: Iterable[RunRecord], path: Path) -> None:
    """Write the records to one file, whose bytes depend on nothing but the records.

    They are sorted by name, id and seed. Raises `EnvironmentFault`.
    """
    ordered = sorted(records, key=lambda record: record.key)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
            for record in ordered:
                file.write(record.to_line().encode() + b"\n")

    write_atomically(path, write)


def read(paths: Sequence[Path]) -> Packed:
    """Return what the files hold; a line that is no record costs a warning and hides no other."""
    packed = Packed()
    for path in paths:
        _read_file(path, packed)
    return packed


def _read_file(path: Path, packed: Packed) -> None:
    refused = number = 0
    try:
        with open_regular(path) as compressed, gzip.open(compressed, "rb") as file:
            for number, line in enumerate(_lines(file, path), 1):
                place = f"{path}:{number}"
                try:
                    packed.add(parse_record(line, place), place)
                except DamagedRecord as damage:
                    packed.warnings.append(str(damage))
                    refused += 1
                if refused == _MOST_WARNINGS:
                    raise DamagedRecord(place, "the rest too, as so much of it is no record")
    except DamagedRecord as damage:
        packed.warnings.append(str(damage))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is no whole gzip file"
        packed.warnings.append(str(DamagedRecord(f"{path}:{number + 1}", reason)))


def _lines(file: gzip.GzipFile | BinaryIO, path: Path) -> Iterator[bytes]:
    unpacked = 0
    while line := file.readline(LARGEST_RECORD_BYTES + 1):
        unpacked += len(line)
        if len(line) > LARGEST_RECORD_BYTES or unpacked > _MOST_BYTES:
            raise DamagedRecord(path, "the rest of it, as it is too large")
        yield line
