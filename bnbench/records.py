"""What a run leaves behind, and the folder that holds it; all file writing is done here."""

import errno
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bnbench.config import Config
from bnbench.errors import EnvironmentFault
from bnbench.text import visible

_ABANDONED_AFTER_SECONDS = 60.0
_LARGEST_RECORD_BYTES = 64 * 2**20

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
EpochSeconds = Annotated[float, Field(ge=1e-9, le=1e9)]  # ratios are made of these
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Parameters(_Part):
    """Number of parameters in total and by role."""

    total: int
    trainable: int
    non_trainable: int
    kernel: int
    bias: int
    gamma: int
    beta: int
    moving_mean: int
    moving_variance: int


class History(_Part):
    """One value per finished epoch; losses in nats, accuracies as shares of 1."""

    loss: tuple[Finite, ...] = ()
    accuracy: tuple[Share, ...] = ()
    val_loss: tuple[Finite, ...] = ()
    val_accuracy: tuple[Share, ...] = ()
    epoch_seconds: tuple[EpochSeconds, ...] = ()


class Environment(_Part):
    """Where the run took place, as far as it can bear on numbers or times."""

    bnbench: str
    tensorflow: str
    keras: str
    python: str
    platform: str
    processor: str
    device: str
    jobs: int
    data_sha256: str


class RunRecord(_Part):
    """One run: one experiment trained with one seed."""

    schema_version: Literal[1] = 1
    experiment: str
    experiment_id: str
    protocol_id: str
    seed: int
    status: Literal["completed", "diverged"]
    config: Config
    parameters: Parameters
    history: History
    compile_seconds: Seconds
    test_loss: Finite | None
    test_accuracy: Share | None
    weights_sha256: str
    started_at: str
    duration_seconds: Seconds
    environment: Environment

    @property
    def completed(self) -> bool:
        """Whether the run reached its last epoch with finite losses."""
        return self.status == "completed"

    def to_json(self) -> str:
        """Return the record as strict JSON, a key to a line."""
        content = self.model_dump(mode="json", exclude={"config"}) | {
            "config": self.config.resolved()
        }
        ordered = {key: content[key] for key in RunRecord.model_fields}
        return json.dumps(ordered, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


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
        with _faults_named(self.folder, "written to"):
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = _temporary(self.folder / "probe")
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
        with _faults_named(self.folder, "read"):
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


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, on disk when this returns.

    Raises `EnvironmentFault`, with the old file still in its place, where that fails.
    """
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode()))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file with the same ending, then put it at ``path``.

    Makes the folder. Raises `EnvironmentFault`, with the old file in its place, where that fails.
    """
    with _faults_named(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        try:
            write(temporary)
            _flush(temporary)
            os.replace(temporary, path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise `EnvironmentFault` unless a file can be put at ``path``."""
    with _faults_named(path, "written"):
        if os.path.lexists(path) and not path.is_file():
            raise FileExistsError(errno.EEXIST, "it is there and is no file")
        probe = _temporary(path)
        probe.touch()
        probe.unlink()


def _temporary(path: Path) -> Path:
    ending = path.name[-50:]  # together no longer than a file's name may be
    return path.with_name(f".tmp-{secrets.token_hex(4)}-{ending}")


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_abandoned(temporary: Path) -> bool:
    try:
        return time.time() - temporary.stat().st_mtime > _ABANDONED_AFTER_SECONDS
    except OSError:
        return False


def _listing(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


@contextmanager
def _faults_named(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        where = f"{visible(path)}: cannot be {done}"
        raise EnvironmentFault(f"{where}: {reason}; {_cure(error)}") from error


def _cure(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return "free some space, then run the same command again"
    return "make it accessible, or name another place (--runs-dir, --output, --tensorboard)"
