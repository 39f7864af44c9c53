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
from bnbench.experiments.config import Config, check_same_settings
from bnbench.experiments.fields import NAME_PATTERN
from bnbench.files import faults_named, is_abandoned, put, remove, staged, temporary_path
from bnbench.text import visible

_RUN_FOLDER = re.compile(rf"{NAME_PATTERN}-[0-9a-f]{{8}}")  # of one experiment
_RECORD = re.compile(r"seed-[0-9]{4,}\.json")
_SIDECAR = re.compile(r"seed-[0-9]{4,}\.[A-Za-z0-9]+")  # a model, or what others add
_EVENTS_FOLDER = re.compile(r"seed-[0-9]{4,}")
_MOST_NAMED = 3


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
            for entry in (*os.scandir(self.folder), *self._in_run_folders()):
                if is_abandoned(entry, now):
                    with suppress(OSError):  # another user's: it harms nothing
                        os.unlink(entry)

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
        """Return all records in the order of their places, and warnings.

        There is a warning for each damaged record, for each copy in another place, and one for all
        files of others. Of two different records of one run, one packed, that in its folder counts.
        Raises `InputError` where they are of other settings with the same id.
        """
        records: dict[RunKey, RunRecord] = {}
        warnings, foreign = [], []
        with faults_named(self.folder, "read"):
            for path in self._files():
                try:
                    record = self._read(path)
                    records[record.key] = record
                except _Misplaced as copy:
                    warnings.append(str(copy))
                except DamagedRecord as damage:
                    if _is_place(path):
                        warnings.append(str(damage))
                    else:
                        foreign.append(os.path.relpath(path, self.folder))
        if foreign:
            warnings.append(str(DamagedRecord(self.folder, _in_short(foreign))))
        in_packs = self.packed()
        warnings += in_packs.warnings
        for key, record in in_packs.records.items():
            known = records.setdefault(key, record)
            if known is not record and known != record:
                check_same_settings([known.config, record.config])
                reason = f"{self._place(key)} has another record of this run, which counts"
                warnings.append(str(DamagedRecord(in_packs.places[key], visible(reason))))
        return [records[key] for key in sorted(records)], warnings

    def _place(self, key: RunKey) -> str:
        # Text, as the paths of ten thousand records take half a second to make.
        name, experiment_id, seed = key
        return os.path.join(self.folder, f"{name}-{experiment_id}", f"seed-{seed:04d}.json")

    def _read(self, path: str) -> RunRecord:
        if not path.endswith(".json"):
            raise DamagedRecord(path, "not a run record")
        record = read_record(path)
        place = self._place(record.key)
        if path != place:
            reason = f"a copy of {record.experiment} seed {record.seed}, which counts only as"
            raise _Misplaced(path, f"{reason} {visible(place)}")
        return record

    def _in_run_folders(self) -> Iterator[os.DirEntry[str]]:
        for entry in os.scandir(self.folder):
            if _RUN_FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    yield from os.scandir(entry)

    def _files(self) -> Iterator[str]:
        """Yield what is or should be a record, and what does not belong here.

        Of a folder that holds no runs, such as one of packed records or of event files, it is no
        more than the ``.json`` files directly in it, as they may be copies of records.
        """
        for entry in _listing(self.folder):
            if entry.is_dir():
                try:
                    inside = _listing(entry.path)
                except OSError:
                    yield entry.path
                    continue
                of_runs = _RUN_FOLDER.fullmatch(entry.name) is not None
                for file in inside:
                    if file.name.endswith(".json") or (of_runs and not _belongs_to_a_run(file)):
                        yield file.path
            elif entry.name != "README.md" and not packed.is_packed(entry):
                yield entry.path


class _Misplaced(DamagedRecord):
    """A whole record in a place that is not its own."""


def _listing(folder: str | Path) -> list[os.DirEntry[str]]:
    if not os.path.lexists(folder):
        return []
    visible_entries = (entry for entry in os.scandir(folder) if not entry.name.startswith("."))
    return sorted(visible_entries, key=lambda entry: entry.name)


def _belongs_to_a_run(entry: os.DirEntry[str]) -> bool:
    """Whether it is a note, a model or the like beside a record, or a folder of event files."""
    pattern = _EVENTS_FOLDER if entry.is_dir() else _SIDECAR
    return entry.name == "README.md" or pattern.fullmatch(entry.name) is not None


def _is_place(path: str) -> bool:
    """Whether this is where a record of some run belongs, or the folder of its records."""
    above, name = os.path.split(path)
    folder = os.path.basename(above)
    of_a_run = _RUN_FOLDER.fullmatch(folder) and _RECORD.fullmatch(name)
    return bool(of_a_run or _RUN_FOLDER.fullmatch(name))


def _in_short(names: list[str]) -> str:
    named = ", ".join(map(visible, names[:_MOST_NAMED]))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"what is no run record: {named}{more}"


def _blocked(path: Path, reason: str) -> EnvironmentFault:
    return EnvironmentFault(f"{visible(path)}: cannot be written: {reason}; move it away")
