"""Tuning: of each swept experiment the values that did best on the validation data."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bnbench.evidence.experiment import Experiment, group, order_of_seeds
from bnbench.evidence.metrics import METRICS
from bnbench.evidence.records import RunKey, RunRecord
from bnbench.experiments.config import Config, PlanConfig
from bnbench.experiments.sweep import label, order_of_values

CHOSEN_BY = METRICS["val_accuracy"]
Keys = tuple[str, ...]  # of the settings that were swept, dotted


@dataclass(frozen=True)
class Candidates:
    """The experiments that one config was swept to, in the order of the values, and the ``best``.

    The plan's selection ``seeds`` chose it; seeds that are added later change nothing. ``paired``
    says whether all eligible values completed a seed in common.
    """

    name: str
    keys: Keys
    experiments: tuple[Experiment, ...]
    best: Experiment
    seeds: tuple[int, ...]
    paired: bool

    def values(self, candidate: Experiment) -> dict[str, Any]:
        """Return a candidate's values of the settings that were swept."""
        settings = candidate.config.settings()
        return {key: settings[key] for key in self.keys}

    def tried(self, key: str) -> tuple[Any, ...]:
        """Return the values of one setting that were tried, each once, in their order."""
        return tuple(dict.fromkeys(self.values(e)[key] for e in self.experiments))

    def judged(self, candidate: Experiment) -> Experiment:
        """Return a candidate with the selection seeds alone, if it has any."""
        seeds = candidate.records.keys() & set(self.seeds)
        records = {seed: candidate.records[seed] for seed in sorted(seeds)}
        return Experiment(candidate.label, records or candidate.records, candidate.metric)

    @property
    def grid(self) -> tuple[tuple[Any, ...], ...]:
        """The values that were tried, in their order."""
        return tuple(tuple(self.values(e).values()) for e in self.experiments)

    @property
    def uneven(self) -> bool:
        """Whether some values have selection seeds that others lack."""
        return len({frozenset(e.records.keys() & set(self.seeds)) for e in self.experiments}) > 1


@dataclass(frozen=True)
class Tuning:
    """How the experiments of a comparison were chosen, for each config of the sweep.

    The first ``tuning_seeds``, if any, chose and are not used in the comparison.
    """

    keys: Keys
    candidates: tuple[Candidates, ...]
    tuning_seeds: int = 0

    @property
    def records(self) -> list[RunRecord]:
        """The records of the chosen experiments, without tuning seeds where there are others."""
        chosen: list[RunRecord] = []
        for one in self.candidates:
            records = one.best.records
            later = [r for seed, r in records.items() if seed not in one.seeds]
            chosen += later if self.tuning_seeds and later else records.values()
        return chosen

    @property
    def run_keys(self) -> set[RunKey]:
        """The keys of all runs of the sweep."""
        experiments = (e for one in self.candidates for e in one.experiments)
        return {record.key for e in experiments for record in e.records.values()}

    def is_fair(self, *chosen: Experiment) -> bool:
        """Whether all of these had the same values and seeds to choose from."""
        identities = {experiment.identity for experiment in chosen}
        ours = [one for one in self.candidates if one.best.identity in identities]
        return len({one.grid for one in ours}) == 1 and not any(one.uneven for one in ours)


def swept_keys(config: Config) -> Keys:
    """Return the swept settings that are tuned for each network: all but the network's own."""
    return tuple(key for key in config.swept if not key.startswith("model."))


def tuning_seeds_of(config: Config) -> int:
    """Return how many seeds choose among swept values and are not used in the contrasts."""
    return config.plan.tuning if swept_keys(config) else 0


def sweeps(records: Iterable[RunRecord]) -> list[tuple[Keys, list[RunRecord]]]:
    """Return the settings of each sweep with the records of all its values.

    The records of a sweep have the same swept settings, and the same data and other training
    settings. A run outside a sweep belongs to each sweep of its config with which it shares these.
    """
    by_sweep: dict[tuple[Keys, str], list[RunRecord]] = {}
    alone = []
    for record in records:
        if keys := swept_keys(record.config):
            by_sweep.setdefault((keys, _shared(record.config, keys)), []).append(record)
        else:
            alone.append(record)
    for (keys, _), members in by_sweep.items():
        origins = {_origin(record.config, keys) for record in members}
        members += (record for record in alone if _origin(record.config, keys) in origins)
    return [(keys, members) for (keys, _), members in by_sweep.items()]


@lru_cache(maxsize=4096)  # thousands of records share a few configs
def _shared(config: Config, keys: Keys) -> str:
    """Return, as text, the settings that all experiments of one sweep share."""
    rest = [s for s in config.settings().items() if s[0] not in keys]
    return json.dumps([s for s in rest if not s[0].startswith("model.")])


@lru_cache(maxsize=4096)
def _origin(config: Config, keys: Keys) -> str:
    """Return, as text, what the values of one network share: its name and the unswept settings."""
    return config.name + json.dumps([s for s in config.settings().items() if s[0] not in keys])


def tune(keys: Keys, records: Iterable[RunRecord], plan: PlanConfig) -> Tuning | None:
    """Choose, for each network of one sweep, the values with the best validation accuracy.

    Only the plan's selection seeds count. Eligible are the values with the smallest share of
    diverged runs. The mean after the last epoch decides: over the seeds that all eligible values
    completed or, where there are none, over all that each completed. None where no network has two
    values to choose from.
    """
    by_network: dict[str, list[Experiment]] = {}
    for experiment in group(records, CHOSEN_BY):
        by_network.setdefault(_origin(experiment.config, keys), []).append(experiment)
    if max(map(len, by_network.values())) < 2:
        return None
    candidates = (
        _candidates(keys, experiments, plan.tuning or plan.first)
        for _, experiments in sorted(by_network.items())
    )
    return Tuning(keys, tuple(candidates), plan.tuning)


def _candidates(keys: Keys, experiments: Iterable[Experiment], selection_seeds: int) -> Candidates:
    experiments = tuple(sorted(experiments, key=lambda e: order_of_values(e.config, keys)))
    seeds = order_of_seeds(experiments, selection_seeds)
    eligible = _eligible(experiments, set(seeds))
    common = set(seeds).intersection(*(experiment.values for experiment in eligible))

    def merit(one: Experiment) -> float:
        counted = common or one.values.keys() & set(seeds)
        return float(np.mean([one.values[seed] for seed in sorted(counted)])) if counted else 0.0

    best, name = max(eligible, key=merit), label(experiments[0].config)
    return Candidates(name, keys, experiments, best, seeds, paired=bool(common))


def _eligible(candidates: Sequence[Experiment], seeds: set[int]) -> Sequence[Experiment]:
    """Return the experiments with the smallest share of diverged runs over these seeds."""
    shares = {}
    for candidate in candidates:
        if recorded := candidate.records.keys() & seeds:
            shares[candidate] = len(candidate.values.keys() & recorded) / len(recorded)
    most = max(shares.values(), default=0.0)
    return [candidate for candidate, share in shares.items() if share == most] or candidates
