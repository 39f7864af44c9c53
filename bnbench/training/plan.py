"""Which runs of the experiments are missing, in the order in which they are made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from bnbench.datasets.dataset import Dataset
from bnbench.errors import InputError
from bnbench.evidence.records import RunRecord
from bnbench.evidence.store import DamagedRecord, RecordStore
from bnbench.experiments.config import Config


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


def interleave(configs: Iterable[Config]) -> list[Trial]:
    """Return all runs, seed by seed over the experiments, so that drift of the machine hits all."""
    rows = zip_longest(*([Trial(config, s) for s in config.seed_list] for config in configs))
    return [trial for row in rows for trial in row if trial is not None]


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
