"""Packed records, ``*.jsonl.gz``: a record to a line, which is how a study is shared."""

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bnbench.evidence.records import (
    LARGEST_RECORD_BYTES,
    DamagedRecord,
    RunKey,
    RunRecord,
    parse_record,
)
from bnbench.experiments.config import check_same_settings
from bnbench.files import open_regular, write_atomically
from bnbench.text import visible

ENDING = ".jsonl.gz"
BEGINNING = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"  # gzip without a time and a name, as `pack` writes it
_MOST_BYTES = 2**28  # unpacked, some 80,000 records; a file of 300 kB can hold as much
_MOST_WARNINGS = 100


@dataclass
class Found:
    """What was found: one record to a run, the place of each, and warnings of all else."""

    records: dict[RunKey, RunRecord] = field(default_factory=dict)
    places: dict[RunKey, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, record: RunRecord, place: str) -> None:
        """Take the record in; raises `DamagedRecord` where the run has another one already.

        Raises `InputError` where that is of other settings with the same id.
        """
        known = self.records.setdefault(record.key, record)
        first = self.places.setdefault(record.key, place)
        if known is not record and known != record:
            check_same_settings([known.config, record.config])
            raise DamagedRecord(
                place, f"{visible(first)} has another record of this run, which counts"
            )


def is_packed(entry: os.DirEntry[str]) -> bool:
    """Return whether this is a file of packed records."""
    return entry.name.endswith(ENDING) and os.path.isfile(entry)


def pack(records: Iterable[RunRecord], path: Path) -> None:
    """Write the records to one file, whose bytes depend on nothing but the records.

    They are sorted by name, id and seed. Raises `EnvironmentFault`.
    """
    content = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, content, mtime=0) as file:
        for record in sorted(records, key=lambda record: record.key):
            file.write(record.to_json(line=True).encode() + b"\n")
    write_atomically(path, content.getvalue())


def read(path: str, found: Found) -> None:
    """Add what a packed file holds; a line that is no record costs a warning and hides no other."""
    refused = number = 0
    try:
        with open_regular(path) as compressed, gzip.open(compressed, "rb") as file:
            for number, line in enumerate(_lines(file, path), 1):
                place = f"{path}:{number}"
                try:
                    found.add(parse_record(line, place), place)
                except DamagedRecord as damage:
                    found.warnings.append(str(damage))
                    refused += 1
                if refused == _MOST_WARNINGS:
                    raise DamagedRecord(place, "the rest too, as so much of it is no record")
    except DamagedRecord as damage:
        found.warnings.append(str(damage))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is no whole gzip file"
        found.warnings.append(str(DamagedRecord(f"{path}:{number + 1}", reason)))


def _lines(file: gzip.GzipFile, path: str) -> Iterator[bytes]:
    unpacked = 0
    while line := file.readline(LARGEST_RECORD_BYTES + 1):
        unpacked += len(line)
        if len(line) > LARGEST_RECORD_BYTES or unpacked > _MOST_BYTES:
            raise DamagedRecord(path, "the rest of it, as it is too large")
        yield line
