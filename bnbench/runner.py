"""Plans the runs that are missing and spreads them over the cores, or sends them to the GPU."""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from bnbench.config import Config
from bnbench.data import Dataset
from bnbench.errors import BnbenchError, InputError, Interrupted
from bnbench.records import DamagedRecord, RecordStore, RunRecord

if TYPE_CHECKING:
    from bnbench.training import DeviceData, TrainingProgram


@dataclass(frozen=True)
class Trial:
    """One run to be made: one experiment with one seed."""

    config: Config
    seed: int

    def __str__(self) -> str:
        return f"{self.config.name} seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """What a command has to do: runs to make, records already there, and what was odd."""

    missing: tuple[Trial, ...]
    recorded: tuple[RunRecord, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """What a worker tells: a run's epoch ended, or the run itself (``record`` or ``failure``)."""

    trial: Trial
    epochs_done: int
    record: RunRecord | None = None
    failure: Exception | None = None

    @property
    def ended(self) -> bool:
        """Whether this is the last that is heard of the run."""
        return self.record is not None or self.failure is not None

    @property
    def troubled(self) -> bool:
        """Whether the run diverged or failed."""
        return self.failure is not None or (self.record is not None and not self.record.completed)

    @property
    def reason(self) -> str:
        """Why the run failed, in one line."""
        first_line = (str(self.failure).strip().splitlines() or [""])[0]
        return f"{type(self.failure).__name__}: {first_line}".removesuffix(": ")


def interleave(configs: Iterable[Config]) -> list[Trial]:
    """Return all runs, seed by seed over the experiments, so that drift of the machine hits all."""
    rows = zip_longest(*([Trial(config, s) for s in config.seed_list] for config in configs))
    return [trial for row in rows for trial in row if trial is not None]


def batch_faults(config: Config, training_rows: int) -> list[str]:
    """Return what is wrong with the config for a training set of so many rows."""
    rows = training_rows - config.data.validation_size
    batch, norm = config.training.batch_size, config.model.batch_norm
    if rows < 1:
        return [
            f"data.validation_size: expected less than the {training_rows} rows of the "
            f"training set, got {config.data.validation_size}"
        ]
    if batch > rows:
        return [f"training.batch_size: expected at most the {rows} training rows, got {batch}"]
    if rows % batch == 1 and (norm.input or norm.placement != "none"):
        return [
            f"training.batch_size: {rows} training rows in batches of {batch} leave a last batch "
            "of one row, which Batch Normalization cannot normalise; choose another size"
        ]
    return []


def plan(
    datasets: Mapping[Config, Dataset],
    store: RecordStore,
    *,
    force: bool = False,
    models: bool = False,
) -> Plan:
    """Sort out which runs of the experiments, each with its data, are missing from the store.

    ``force`` counts all as missing, ``models`` those without a saved model too.

    Raises `InputError` where a record comes from other data under the same name.
    """
    missing, recorded, warnings = [], [], []
    for trial in interleave(datasets):
        record = None
        try:
            record = None if force else store.find(trial.config, trial.seed)
        except DamagedRecord as damage:
            warnings.append(f"{damage}; the run is repeated")
        if record is None or (models and not store.model_path(trial.config, trial.seed).exists()):
            missing.append(trial)
            continue
        if record.environment.data_sha256 != datasets[trial.config].sha256:
            raise InputError(
                f"{store.path(trial.config, trial.seed)}: trained on other data than "
                f"{trial.config.data.dataset} holds now; repeat the runs with --force, "
                "or keep them apart with --runs-dir"
            )
        recorded.append(record)
    return Plan(tuple(missing), tuple(recorded), tuple(warnings))


@dataclass
class Workers:
    """Threads that make the planned runs, one run to a core, each with programs of its own."""

    trials: Sequence[Trial]
    data: Mapping[Config, "DeviceData"]
    keep: Callable[["TrainingProgram", RunRecord], None]
    report: Callable[[Event], None]
    jobs: int
    _reporting: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _fault: Exception | None = None

    def run(self) -> None:
        """Make all runs and return when the last has ended.

        Raises the `BnbenchError` of a record that could not be kept. On that and when
        `Interrupted` the runs under way are dropped within one epoch; a second does not wait.
        """
        waiting: queue.SimpleQueue[Trial] = queue.SimpleQueue()
        for trial in self.trials:
            waiting.put(trial)
        ends: list[threading.Event] = []
        try:
            for _ in range(min(self.jobs, len(self.trials))):
                ended = threading.Event()
                threading.Thread(target=self._work, args=(waiting, ended), daemon=True).start()
                ends.append(ended)
            _wait_for_all(ends)
        except Interrupted:
            self._stop.set()
            _wait_for_all(ends)
            raise
        if self._fault:
            raise self._fault

    def _work(self, waiting: queue.SimpleQueue[Trial], ended: threading.Event) -> None:
        programs: dict[Config, TrainingProgram] = {}
        try:
            while not self._stop.is_set():
                self._attempt(waiting.get_nowait(), programs)
        except queue.Empty:
            pass
        except Exception as fault:
            self._fault = self._fault or fault
            self._stop.set()
        finally:
            ended.set()

    def _attempt(self, trial: Trial, programs: dict[Config, "TrainingProgram"]) -> None:
        try:
            self._make(trial, programs)
        except BnbenchError:
            raise
        except Exception as failure:
            programs.pop(trial.config, None)
            self._tell(Event(trial, 0, failure=failure))

    def _make(self, trial: Trial, programs: dict[Config, "TrainingProgram"]) -> None:
        from bnbench.training import TrainingProgram

        if trial.config not in programs:
            data = self.data[trial.config]
            programs[trial.config] = TrainingProgram(trial.config, data, self.jobs)
        program = programs[trial.config]
        record = program.run(
            trial.seed,
            self._stop.is_set,
            lambda epoch: self._tell(Event(trial, epoch + 1)),
        )
        if record:
            self.keep(program, record)
            self._tell(Event(trial, len(record.history.loss), record=record))

    def _tell(self, event: Event) -> None:
        with self._reporting:
            self.report(event)


def _wait_for_all(ends: Iterable[threading.Event]) -> None:
    # An interrupted join would take its thread for ended, up to Python 3.12; and a signal that
    # comes just before a wait without a limit is seen only after it.
    for ended in ends:
        while not ended.wait(0.2):
            pass
