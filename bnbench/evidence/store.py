"""The folder that holds the records of all runs."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.files import faults_named, temporary_path, write_atomically, write_text
from bnbench.text import visible

_ABANDONED_AFTER_SECONDS = 60.0
_LARGEST_RECORD_BYTES = 64 * 2**20


class DamagedRecord(Exception):
    """A file that stands where a record should and is none; the message names it and says why."""


@dataclass(frozen=True)
class RecordStore:
    """The folder ``runs/``: ``<name>-<experiment id>/seed-<NNNN>.json``, one file per finished run.

    A run has its record or has it not: a reader finds the old file or the new one, never a part.
    """

    folder: Path

    def path(self, config: Config, seed: int) -> Path:
        """Return where the record of this run is, or will be."""
        return self.folder / f"{config.name}-{config.experiment_id}" / f"seed-{seed:04d}.json"

    def model_path(self, config: Config, seed: int) -> Path:
        """Return where the run's trained model is, if it was saved."""
        return self.path(config, seed).with_suffix(".keras")

    def prepare(self) -> None:
        """Make the folder, prove it writable, and clear away what killed processes left.

        Raises `EnvironmentFault` where that fails.
        """
        with faults_named(self.folder, "written to"):
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = temporary_path(self.folder / "probe")
            probe.touch()
            probe.unlink()
            for leftover in (*self.folder.glob(".tmp-*"), *self.folder.glob("*/.tmp-*")):
                if _is_abandoned(leftover):
                    with suppress(OSError):  # another user's, or a folder: it harms nothing
                        leftover.unlink()

    def find(self, config: Config, seed: int) -> RunRecord | None:
        """Return the run's record if there is one; raises `DamagedRecord` if it is none."""
        path = self.path(config, seed)
        return read_record(path) if os.path.lexists(path) else None

    def write(self, record: RunRecord) -> Path:
        """Put the record in its place and return the path; raises `EnvironmentFault`."""
        path = self.path(record.config, record.seed)
        write_text(path, record.to_json())
        return path

    def write_model(self, record: RunRecord, model: bytes) -> None:
        """Put the run's trained model beside where its record will be."""
        path = self.model_path(record.config, record.seed)
        write_atomically(path, lambda temporary: temporary.write_bytes(model))

    def read_all(self) -> tuple[list[RunRecord], list[str]]:
        """Return all records in the order of their paths, and a warning for every other file."""
        records, warnings = [], []
        for path in self._files():
            try:
                records.append(read_record(path))
            except DamagedRecord as damage:
                warnings.append(str(damage))
        return records, warnings

    def _files(self) -> Iterator[Path]:
        if not os.path.lexists(self.folder):
            return
        with faults_named(self.folder, "read"):
            for entry in _listing(self.folder):
                if entry.is_dir() and os.access(entry, os.R_OK | os.X_OK):
                    yield from (path for path in _listing(entry) if path.suffix != ".keras")
                else:
                    yield entry


def read_record(path: Path) -> RunRecord:
    """Return the record in ``path``; raises `DamagedRecord` with the path and the reason."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_RECORD_BYTES:
            raise DamagedRecord(f"{visible(path)}: skipped: not a run record")
        record = RunRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise DamagedRecord(f"{visible(path)}: skipped: {reason}") from error
    except ValidationError as error:
        raise DamagedRecord(f"{visible(path)}: skipped: {_reason(error)}") from error
    if contradiction := _contradiction(record):
        raise DamagedRecord(f"{visible(path)}: skipped: {contradiction}")
    return record


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return "not a run record: it is not whole JSON"
    where = ".".join(str(part) for part in first["loc"])
    if where == "schema_version" and first["type"] != "missing":
        return f"schema_version {first['input']!r:.20}; this bnbench reads 1"
    return f"not a run record: {where[:80] or 'top level'}: {first['msg'].lower()}"


def _contradiction(record: RunRecord) -> str | None:
    lengths = set(map(len, vars(record.history).values()))
    if len(lengths) > 1:
        return "the lists of its history differ in length"
    if record.completed and (record.test_accuracy is None or lengths == {0}):
        return "it is completed, but has no results"
    config = record.config
    stated = (record.experiment, record.experiment_id, record.protocol_id)
    if stated != (config.name, config.experiment_id, config.protocol_id):
        return "its name or ids do not belong to its config"
    return None


def _is_abandoned(temporary: Path) -> bool:
    try:
        return time.time() - temporary.stat().st_mtime > _ABANDONED_AFTER_SECONDS
    except OSError:
        return False


def _listing(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
