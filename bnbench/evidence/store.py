"""The folder that holds the records of all runs."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from bnbench.errors import EnvironmentFault
from bnbench.evidence import packed
from bnbench.evidence.packed import Found
from bnbench.evidence.records import DamagedRecord, RunKey, RunRecord, read_record
from bnbench.experiments.config import Config, check_same_settings
from bnbench.experiments.fields import NAME_PATTERN
from bnbench.files import faults_named, flush, is_abandoned, staged, temporary_path
from bnbench.text import visible

_RUN_FOLDER = re.compile(rf"{NAME_PATTERN}-[0-9a-f]{{8}}")  # of one experiment
_RECORD = re.compile(r"seed-[0-9]{4,}\.json")
_NEIGHBOUR = re.compile(r"README\.md|seed-[0-9]{4,}(\.[A-Za-z0-9]+)?")  # a model, event files
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
        """Make the folder, check that it is writable, and remove what killed processes left.

        Raises `EnvironmentFault` where that fails.
        """
        with faults_named(self.folder, "written to"):
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = temporary_path(self.folder / "probe")
            probe.touch()
            probe.unlink()
            entries = [*os.scandir(self.folder)]
            for entry in tuple(entries):
                if _RUN_FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    with suppress(OSError):
                        entries += os.scandir(entry)
            for entry in filter(is_abandoned, entries):
                with suppress(OSError):  # another user's: it harms nothing
                    os.unlink(entry)

    def check_settings(self, configs: Sequence[Config], packed: Iterable[RunRecord]) -> None:
        """Raise `InputError` where a record has the id of a config, but other settings.

        The names may differ. ``packed`` are the records of `packed`.
        """
        ids = {config.experiment_id for config in configs}
        known = [record.config for record in packed if record.experiment_id in ids]
        for folder in (folder for own in ids for folder in self.folder.glob(f"*-{own}")):
            for path in folder.glob("seed-*.json"):
                with suppress(DamagedRecord):
                    known.append(read_record(path).config)
                    break
        check_same_settings([*known, *configs])

    def check_place(self, config: Config, seed: int) -> None:
        """Raise `EnvironmentFault` where the run's record could not be put in its place."""
        path = self.path(config, seed)
        places = (path, self.model_path(config, seed))
        blocked = [place for place in places if place.is_dir() and not place.is_symlink()]
        if os.path.lexists(path.parent) and not os.access(f"{path.parent}/", os.W_OK | os.X_OK):
            blocked = [path.parent]
        for place in blocked:
            reason = "something else is there, or permission is missing; move it away"
            raise EnvironmentFault(f"{visible(place)}: cannot be written: {reason}")

    def find(self, config: Config, seed: int) -> RunRecord | None:
        """Return the record in the run's place, if there is one.

        Raises `DamagedRecord` where what is there is none, or is that of another run.
        """
        place = self._place((config.name, config.experiment_id, seed))
        if not os.path.lexists(place):
            return None
        record = read_record(place)
        self._check_own(record, place)
        return record

    def packed(self, found: Found | None = None) -> Found:
        """Return what the packed files in the folder hold, after what was found before."""
        found = found or Found()
        with faults_named(self.folder, "read"):
            for entry in filter(packed.is_packed, _listing(self.folder)):
                packed.read(entry.path, found)
        return found

    def keep(self, record: RunRecord, model: bytes | None = None) -> Path:
        """Put the record, and the ``.keras`` file of its model if given, in place of the old ones.

        The old model goes first and the new one comes last, so that whatever happens in between, no
        record lies beside a model of other weights. Returns the record's path; raises
        `EnvironmentFault`, with the old record still in its place.
        """
        path = Path(self._place(record.key))
        model_path = path.with_suffix(".keras")
        with ExitStack() as files:
            new = {path: record.to_json().encode()} | ({model_path: model} if model else {})
            puts = [files.enter_context(staged(*file)) for file in new.items()]
            if os.path.lexists(model_path):
                model_path.unlink()
                flush(path.parent)
            for put in puts:
                put()
        return path

    def read_all(self) -> tuple[list[RunRecord], list[str]]:
        """Return all records, sorted by name, id and seed, and warnings.

        There is a warning for each damaged record, for each copy in another place, and one for all
        files of others. Of two different records of one run, one packed, that in its folder counts.
        Raises `InputError` where they are of other settings with the same id.
        """
        found, foreign = Found(), []
        with faults_named(self.folder, "read"):
            for path, named in self._files():
                try:
                    if not path.endswith(".json"):
                        raise DamagedRecord(path, "not a run record")
                    record = read_record(path)
                    named = True
                    self._check_own(record, path)
                    found.add(record, path)
                except DamagedRecord as damage:
                    if named:
                        found.warnings.append(str(damage))
                    else:
                        foreign.append(visible(os.path.relpath(path, self.folder)))
        if foreign:
            more = len(foreign) - _MOST_NAMED
            listed = ", ".join(foreign[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
            reason = f"what is no run record: {listed}"
            found.warnings.append(str(DamagedRecord(self.folder, reason)))
        self.packed(found)
        return [found.records[key] for key in sorted(found.records)], found.warnings

    def _place(self, key: RunKey) -> str:
        # Text, as the paths of ten thousand records take half a second to make.
        name, experiment_id, seed = key
        return os.path.join(self.folder, f"{name}-{experiment_id}", f"seed-{seed:04d}.json")

    def _check_own(self, record: RunRecord, path: str) -> None:
        place = self._place(record.key)
        if path != place:
            reason = f"a copy of {record.experiment} seed {record.seed}, which counts only as"
            raise DamagedRecord(path, f"{reason} {visible(place)}")

    def _files(self) -> Iterator[tuple[str, bool]]:
        """Yield what is or should be a record, or is of others, and whether a record belongs there.

        Of a folder that holds no runs, such as one of packed records or of event files, it is no
        more than the ``.json`` files directly in it, as they may be copies of records.
        """
        for entry in _listing(self.folder):
            of_runs = _RUN_FOLDER.fullmatch(entry.name) is not None
            if not entry.is_dir():
                if of_runs or not (entry.name == "README.md" or packed.is_packed(entry)):
                    yield entry.path, of_runs
                continue
            try:
                inside = _listing(entry.path)
            except OSError:
                yield entry.path, of_runs
                continue
            for file in inside:
                if file.name.endswith(".json") or (of_runs and not _NEIGHBOUR.fullmatch(file.name)):
                    yield file.path, of_runs and _RECORD.fullmatch(file.name) is not None


def _listing(folder: str | Path) -> list[os.DirEntry[str]]:
    if not os.path.lexists(folder):
        return []
    shown = (entry for entry in os.scandir(folder) if not entry.name.startswith("."))
    return sorted(shown, key=lambda entry: entry.name)
