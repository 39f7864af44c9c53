"""The folder that holds the records of all runs."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from bnbench.errors import EnvironmentFault
from bnbench.evidence import packed
from bnbench.evidence.packed import Packed
from bnbench.evidence.reading import DamagedRecord, read_record
from bnbench.evidence.records import RunKey, RunRecord
from bnbench.experiments.config import Config
from bnbench.experiments.fields import NAME_PATTERN
from bnbench.files import faults_named, is_abandoned, put, remove, staged, temporary_path
from bnbench.text import visible

_RUN_FOLDER = re.compile(rf"{NAME_PATTERN}-[0-9a-f]{{8}}")  # of one experiment
_SIDECAR = re.compile(r"seed-[0-9]{4,}\.[A-Za-z0-9]+")  # a model, or what others add
_EVENTS = re.compile(r"events\.out\.tfevents\..+\.bnbench")
_EVENTS_FOLDER = re.compile(r"seed-[0-9]{4,}")


@dataclass(frozen=True)
class RecordStore:
    """The folder ``runs/``: ``<name>-<experiment id>/seed-<NNNN>.json``, one file per finished run.

    A run has its record or has it not: a reader finds the old file or the new one, never a part.
    Packed records (``*.jsonl.gz``) lie beside these folders and are only read. A record counts in
    the one place that its own name, id and seed make.
    """

    folder: Path

    def path(self, config: Config, seed: int) -> Path:
        """Return where the record of this run is, or will be."""
        return Path(self._place((config.name, config.experiment_id, seed)))

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
            now = probe.stat().st_mtime
            probe.unlink()
            for folder in (self.folder, *self._run_folders()):
                _clear(folder, now)

    def check_place(self, config: Config, seed: int) -> None:
        """Raise `EnvironmentFault` where the run's record could not be put in its place."""
        path = self.path(config, seed)
        home = path.parent
        if os.path.lexists(home) and not home.is_dir():
            raise _blocked(home, "it is there and is no folder")
        if home.is_dir() and not os.access(home, os.W_OK | os.X_OK):
            raise _blocked(home, "Permission denied")
        for file in (path, self.model_path(config, seed)):
            if file.is_dir() and not file.is_symlink():
                raise _blocked(file, "a folder stands there")

    def find(self, config: Config, seed: int) -> RunRecord | None:
        """Return the record in the run's place, if there is one.

        Raises `DamagedRecord` where what is there is none, or is that of another run.
        """
        place = self._place((config.name, config.experiment_id, seed))
        return self._read(place) if os.path.lexists(place) else None

    def packed(self) -> Packed:
        """Return what the packed files in the folder hold."""
        with faults_named(self.folder, "read"):
            return packed.read([Path(e) for e in _listing(self.folder) if packed.is_packed(e)])

    def keep(self, record: RunRecord, model: bytes | None = None) -> Path:
        """Put the record, and the ``.keras`` file of its model if given, in place of the old ones.

        The old model goes first and the new one comes last, so that whatever happens in between, no
        record stands beside a model of other weights. Returns the record's path; raises
        `EnvironmentFault`, with the old record still in its place.
        """
        path = Path(self._place(record.key))
        model_path = path.with_suffix(".keras")
        with ExitStack() as files:

            def stage(place: Path, content: bytes) -> Path:
                return files.enter_context(staged(place, lambda new: new.write_bytes(content)))

            new_model = stage(model_path, model) if model is not None else None
            new_record = stage(path, record.to_json().encode())
            remove(model_path)
            put(new_record, path)
            if new_model:
                put(new_model, model_path)
        return path

    def read_all(self) -> tuple[list[RunRecord], list[str]]:
        """Return all records in the order of their places, and a warning for every other file.

        Of two different records of one run, one packed, that in its folder counts.
        """
        records: dict[RunKey, RunRecord] = {}
        warnings = []
        for path in self._files():
            try:
                record = self._read(path)
                records[record.key] = record
            except DamagedRecord as damage:
                warnings.append(str(damage))
        in_packs = self.packed()
        warnings += in_packs.warnings
        for key, record in in_packs.records.items():
            known = records.setdefault(key, record)
            if known is not record and known != record:
                reason = f"{self._place(key)} has another record of this run, which counts"
                warnings.append(str(DamagedRecord(in_packs.places[key], visible(reason))))
        return [records[key] for key in sorted(records)], warnings

    def _place(self, key: RunKey) -> str:
        # Text, as the paths of ten thousand records take half a second to make.
        name, experiment_id, seed = key
        return os.path.join(self.folder, f"{name}-{experiment_id}", f"seed-{seed:04d}.json")

    def _read(self, path: str) -> RunRecord:
        record = read_record(path)
        place = self._place(record.key)
        if path != place:
            reason = f"a copy of {record.experiment} seed {record.seed}, which counts only as"
            raise DamagedRecord(path, f"{reason} {visible(place)}")
        return record

    def _run_folders(self) -> Iterator[Path]:
        for entry in os.scandir(self.folder):
            if _RUN_FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield Path(entry)

    def _files(self) -> Iterator[str]:
        """Yield what should be a record, in the folder and one level down."""
        with faults_named(self.folder, "read"):
            for entry in _listing(self.folder):
                if os.path.isdir(entry) and os.access(entry, os.R_OK | os.X_OK):
                    inside = _listing(entry.path)
                    of_runs = _RUN_FOLDER.fullmatch(entry.name) is not None
                    yield from (e.path for e in inside if not _is_no_record(e, of_runs))
                elif entry.name != "README.md" and not packed.is_packed(entry):
                    yield entry.path


def _listing(folder: str | Path) -> list[os.DirEntry[str]]:
    if not os.path.lexists(folder):
        return []
    visible_entries = (entry for entry in os.scandir(folder) if not entry.name.startswith("."))
    return sorted(visible_entries, key=lambda entry: entry.name)


def _is_no_record(entry: os.DirEntry[str], of_runs: bool) -> bool:
    """Whether the entry may lie among records: notes, what belongs to a run, event files.

    A folder that holds no runs may hold packed records, and folders of such: it is a folder of
    records of its own.
    """
    if entry.name.endswith(".json"):
        return False
    if entry.is_dir(follow_symlinks=False):
        return _holds_events_alone(entry.path) or (not of_runs and _holds_packs_alone(entry.path))
    if of_runs:
        return entry.name == "README.md" or _SIDECAR.fullmatch(entry.name) is not None
    return entry.name == "README.md" or packed.is_packed(entry)


def _holds_packs_alone(folder: str) -> bool:
    """Whether a folder can be read and holds packed records, with notes at most."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return False
    inside = _listing(folder)
    return bool(inside) and all(e.name == "README.md" or packed.is_packed(e) for e in inside)


def _holds_events_alone(folder: str) -> bool:
    """Whether there is nothing but the event files that a run was exported to for TensorBoard."""
    unreadable: list[OSError] = []
    for inside, _, files in os.walk(folder, onerror=unreadable.append):
        above, name = os.path.split(inside)
        home = os.path.basename(above)
        of_a_run = _EVENTS_FOLDER.fullmatch(name) and _RUN_FOLDER.fullmatch(home)
        for file in files:
            if not file.startswith(".") and not (of_a_run and _EVENTS.fullmatch(file)):
                return False
    return not unreadable


def _clear(folder: Path, now: float) -> None:
    with suppress(OSError):  # another user's: it harms nothing
        for entry in os.scandir(folder):
            if is_abandoned(Path(entry), now):
                with suppress(OSError):
                    os.unlink(entry)


def _blocked(path: Path, reason: str) -> EnvironmentFault:
    return EnvironmentFault(f"{visible(path)}: cannot be written: {reason}; move it away")
