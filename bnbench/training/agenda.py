"""Which runs of the experiments are missing, in the order in which they are made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from bnbench.datasets.dataset import Dataset
from bnbench.errors import InputError
from bnbench.evidence.reading import DamagedRecord
from bnbench.evidence.records import RunKey, RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config
from bnbench.experiments.sweep import swept_values, typed_name
from bnbench.training import TRAINING_VERSION


@dataclass(frozen=True)
class Trial:
    """One run to be made: one experiment with one seed."""

    config: Config
    seed: int

    def __str__(self) -> str:
        return f"{typed_name(self.config)} seed {self.seed}"


@dataclass(frozen=True)
class Agenda:
    """What a command has to do: runs to make, records already there, and what was odd."""

    missing: tuple[Trial, ...]
    recorded: tuple[RunRecord, ...]
    warnings: tuple[str, ...]


def interleave(configs: Iterable[Config]) -> list[Trial]:
    """Return all runs, seed by seed over the experiments, so that drift of the machine hits all."""
    return in_turns({config: config.seed_list for config in configs})


def in_turns(seeds: Mapping[Config, Iterable[int]]) -> list[Trial]:
    """Return the runs of these seeds, likewise."""
    rows = zip_longest(*([Trial(config, s) for s in own] for config, own in seeds.items()))
    return [trial for row in rows for trial in row if trial is not None]


def agenda(
    trials: Iterable[Trial],
    datasets: Mapping[Config, Dataset],
    store: RecordStore,
    *,
    force: bool = False,
    models: bool = False,
) -> Agenda:
    """Sort out which of the runs are missing from the store; ``datasets`` has the configs' data.

    ``force`` counts all as missing, ``models`` those without a saved model too. A recorded run has
    its record, with the config that is asked for now, as what it says beside the settings, such as
    what was swept, may have changed since; but its plan stays the one of then.

    Raises `InputError` where a record comes from other data under the same name, and
    `EnvironmentFault` where a missing run's record could not be put in its place.
    """
    missing, recorded = [], []
    warnings: list[str] = []
    packed = {} if force else store.packed().records
    for trial in trials:
        record = None if force else _find(trial, store, packed, warnings)
        if record:
            _check_data(record, datasets[trial.config], store.path(trial.config, trial.seed))
        if record and not (models and not store.model_path(trial.config, trial.seed).exists()):
            config = trial.config
            if config.plan != record.config.plan:
                config = config.model_copy(update={"plan": record.config.plan})
            now = {"config": config, "swept": swept_values(config)}
            recorded.append(record.model_copy(update=now))
        else:
            store.check_place(trial.config, trial.seed)
            missing.append(trial)
    return Agenda(tuple(missing), tuple(recorded), tuple(warnings))


def _find(
    trial: Trial, store: RecordStore, packed: Mapping[RunKey, RunRecord], warnings: list[str]
) -> RunRecord | None:
    """Return the trial's record, in its place or packed, unless it was trained in another way."""
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


def _check_data(record: RunRecord, dataset: Dataset, place: Path) -> None:
    if record.data.sha256 != dataset.sha256:
        raise InputError(
            f"{place}: made on other data than {record.config.data.dataset} holds now; repeat the "
            "runs, or keep them apart in another folder"
        )
