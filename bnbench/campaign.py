"""The run loop: which runs are missing, rounds of seeds until decided, each record kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from bnbench.datasets.dataset import Dataset
from bnbench.errors import InputError
from bnbench.evidence.compare import compare, resolvable_difference
from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.deciding import contrasts_to_decide, next_seeds, runs_at_most
from bnbench.evidence.experiment import in_order
from bnbench.evidence.question import Question
from bnbench.evidence.records import DamagedRecord, RunKey, RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.evidence.tuning import tuning_seeds_of
from bnbench.experiments.config import Config, PlanConfig
from bnbench.experiments.fields import LARGEST_SEED
from bnbench.training import TRAINING_VERSION
from bnbench.training.engines.engine import Engine, Event, RunEnded, RunFailed
from bnbench.training.trial import Trial, interleave


@dataclass(frozen=True)
class Agenda:
    """Runs that are missing, records that are there, and warnings about the records."""

    missing: tuple[Trial, ...]
    recorded: tuple[RunRecord, ...]
    warnings: tuple[str, ...]


class Reporter(Protocol):
    """What shows the progress of a campaign, such as that of `bnbench.show.progress`."""

    def notice(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def announce(
        self, recorded: int, missing: int, experiments: int, stage: str, seconds: float | None
    ) -> None: ...
    def announce_resolution(self, seeds: int, difference: float) -> None: ...
    def announce_plan(self, numbers: Iterable[tuple[int, int, int]]) -> None: ...
    def report_outcome(
        self, plan: PlanConfig, contrasts: Sequence[ExperimentContrast], runs: int, most: int
    ) -> None: ...
    def following(
        self, trials: Sequence[Trial]
    ) -> AbstractContextManager[Callable[[Event], None]]: ...


EngineFor = Callable[[Agenda], Engine]


@dataclass(frozen=True)
class Campaign:
    """Experiments with their data, the store of their records, and how their runs are made.

    ``export`` gets every record. ``at_once`` is the number of runs made side by side, if known.
    """

    datasets: Mapping[Config, Dataset]
    store: RecordStore
    engine: EngineFor
    reporter: Reporter
    force: bool = False
    save_models: bool = False
    export: Callable[[RunRecord], None] = lambda record: None
    at_once: int | None = None
    records: list[RunRecord] = field(default_factory=list)
    failures: list[RunFailed] = field(default_factory=list)

    @property
    def question(self) -> Question:
        """The question, with the configs' plan where they have the same one."""
        plans = {config.plan for config in self.datasets}
        return Question(plan=plans.pop() if len(plans) == 1 else None)

    def comparisons(self) -> list[Comparison]:
        """Compare all that was asked for, as far as it is recorded."""
        return compare(self.records, self.question)

    def run_all(self) -> None:
        """Make the missing runs of all seeds."""
        agenda = self._agenda({config: config.seed_list for config in self.datasets})
        self._announce(agenda, len(self.datasets))
        if agenda.missing:
            seeds = {config.protocol_id: len(config.seed_list) for config in self.datasets}
            for comparison in compare(agenda.recorded, self.question):
                number = seeds[comparison.config.protocol_id]
                difference = resolvable_difference(comparison, number)
                if difference and not comparison.tuning:
                    self.reporter.announce_resolution(number, difference)
        if len(self.datasets) > 1:
            self.reporter.announce_plan(
                (len(config.seed_list), tuning_seeds_of(config), config.plan.first)
                for config in self.datasets
            )
        self._make(agenda)

    def run_until_decided(self) -> None:
        """Add seeds from look to look until what is asked is decided, a run fails or the plan ends.

        Raises `InputError` for configs that state different plans or seeds.
        """
        plan, tuning_seeds, order = self._plan()
        wanted = dict.fromkeys(self.datasets, tuning_seeds or plan.first)
        done = dict.fromkeys(self.datasets, 0)
        identities = {config: (config.name, config.experiment_id) for config in self.datasets}
        while True:
            coming = {config: order[done[config] : last] for config, last in wanted.items()}
            agenda = self._agenda(coming)
            seeds, look = max(wanted.values()), max(wanted.values()) - tuning_seeds
            stage = f"Look at {look} seeds" if look > 0 else f"Tuning with {seeds} seeds"
            self._announce(agenda, len(wanted), stage)
            self._make(agenda)
            done |= wanted
            comparisons = self.comparisons()
            further = {} if self.failures else next_seeds(comparisons)
            wanted = {config: further[own] for config, own in identities.items() if own in further}
            if not any(done[config] < seeds for config, seeds in wanted.items()):
                break
        most = runs_at_most(comparisons, {identities[config]: done[config] for config in done})
        contrasts = contrasts_to_decide(comparisons)
        self.reporter.report_outcome(plan, contrasts, len(self.records), most)

    def _plan(self) -> tuple[PlanConfig, int, tuple[int, ...]]:
        plan = self.question.plan
        if plan is None:
            raise InputError("plan: the configs state different plans; expected one for all")
        if len(self.datasets) < 2:
            raise InputError("until settled: expected several experiments to compare")
        stated = {config.seeds for config in self.datasets}
        if len(stated) > 1 and not all(isinstance(seeds, int) for seeds in stated):
            raise InputError("seeds: the configs list different ones; expected the same for all")
        tuning_seeds = max(map(tuning_seeds_of, self.datasets))
        order = in_order(stated, (), tuning_seeds + plan.most)
        if order[-1] > LARGEST_SEED:
            raise InputError(f"seeds: the plan's {plan.most} seeds go beyond {LARGEST_SEED}")
        return plan, tuning_seeds, order

    def _announce(self, agenda: Agenda, experiments: int, stage: str = "") -> None:
        for warning in agenda.warnings:
            self.reporter.warn(warning)
        runs = len(agenda.recorded), len(agenda.missing)
        self.reporter.announce(*runs, experiments, stage, self._expected_seconds(agenda))

    def _expected_seconds(self, agenda: Agenda) -> float | None:
        """Judge by runs of the same experiments; None where one has no run yet."""
        durations: dict[str, list[float]] = {}
        for record in (*agenda.recorded, *self.records):
            durations.setdefault(record.experiment_id, []).append(record.duration_seconds)
        missing = [trial.config.experiment_id for trial in agenda.missing]
        if self.at_once is None or not missing or not set(missing) <= durations.keys():
            return None
        return sum(median(durations[own]) for own in missing) / min(self.at_once, len(missing))

    def _agenda(self, seeds: Mapping[Config, Iterable[int]]) -> Agenda:
        return agenda(
            interleave(seeds), self.datasets, self.store, force=self.force, models=self.save_models
        )

    def _make(self, agenda: Agenda) -> None:
        for record in agenda.recorded:
            self.export(record)
        self.records.extend(agenda.recorded)
        if not agenda.missing:
            return
        self.reporter.notice("Loading TensorFlow …")
        made = self.engine(agenda).make(agenda.missing, self.datasets, models=self.save_models)
        # A traceback that a notebook keeps would hold the events, and with them the workers.
        with closing(made) as events, self.reporter.following(agenda.missing) as report:
            for event in events:
                if isinstance(event, RunEnded):
                    self.store.keep(event.record, event.model)
                    self.export(event.record)
                    self.records.append(event.record)
                    if event.fault:
                        raise event.fault
                elif isinstance(event, RunFailed):
                    self.failures.append(event)
                report(event)


def agenda(
    trials: Iterable[Trial],
    datasets: Mapping[Config, Dataset],
    store: RecordStore,
    *,
    force: bool = False,
    models: bool = False,
) -> Agenda:
    """Find which of the runs are missing from the store.

    ``force`` counts all as missing, ``models`` those without a saved model too. A record gets the
    config that is asked for now, as what is swept may differ, but keeps its own plan.

    Raises `InputError` for a record of other data, or of other settings with the same id, and
    `EnvironmentFault` where a missing run's record could not be written.
    """
    missing, recorded = [], []
    warnings: list[str] = []
    packed = store.packed().records
    store.check_settings([*datasets], packed.values())
    for trial in trials:
        record = None if force else _find(trial, store, packed, warnings)
        if record and record.data.sha256 != datasets[trial.config].sha256:
            raise InputError(
                f"{store.path(trial.config, trial.seed)}: made on other data than "
                f"{record.config.data.dataset} holds now; repeat the runs, or keep them in "
                "another folder"
            )
        if record and not (models and not store.model_path(trial.config, trial.seed).exists()):
            config = trial.config
            if config.plan != record.config.plan:
                config = config.model_copy(update={"plan": record.config.plan})
            recorded.append(record.model_copy(update={"config": config}))
        else:
            store.check_place(trial.config, trial.seed)
            missing.append(trial)
    return Agenda(tuple(missing), tuple(recorded), tuple(warnings))


def _find(
    trial: Trial, store: RecordStore, packed: Mapping[RunKey, RunRecord], warnings: list[str]
) -> RunRecord | None:
    key = trial.config.name, trial.config.experiment_id, trial.seed
    odd = []
    try:
        record = store.find(trial.config, trial.seed) or packed.get(key)
    except DamagedRecord as damage:
        odd.append(str(damage))
        record = packed.get(key)
    if record and record.training_version != TRAINING_VERSION:
        odd.append(
            f"{trial}: recorded under training version {record.training_version}, "
            f"this is version {TRAINING_VERSION}"
        )
        record = None
    warnings += [line if record else f"{line}; the run is repeated" for line in odd]
    return record
