"""Of each swept experiment the values that did best on the validation data."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from bnbench.evidence.experiment import Experiment, group
from bnbench.evidence.metrics import METRICS
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.experiments.sweep import base_name, swept_values

CHOSEN_BY = METRICS["val_accuracy"]


@dataclass(frozen=True)
class Candidates:
    """What one config was swept to, in the order of the values, and the one that did best."""

    name: str
    experiments: tuple[Experiment, ...]
    best: Experiment

    @property
    def grid(self) -> tuple[Any, ...]:
        """The values that were tried, in their order."""
        return tuple(tuple(swept_values(e.config).values()) for e in self.experiments)

    def ends(self) -> dict[str, tuple[float, str]]:
        """Return the settings whose best value is the smallest or the largest of several tried."""
        found = {}
        for key, value in swept_values(self.best.config).items():
            tried = {swept_values(e.config)[key] for e in self.experiments}
            if _is_number(value) and len(tried) > 1 and value in (min(tried), max(tried)):
                found[key] = (value, "smallest" if value == min(tried) else "largest")
        return found


@dataclass(frozen=True)
class Tuning:
    """How the experiments of a comparison were chosen, for each config of the sweep.

    ``keys`` are the dotted keys of the settings that were swept.
    """

    keys: tuple[str, ...]
    candidates: tuple[Candidates, ...]

    @property
    def records(self) -> list[RunRecord]:
        """The records of the chosen experiments."""
        return [r for one in self.candidates for r in one.best.records.values()]

    @property
    def even(self) -> bool:
        """Whether all configs were tuned over the same values."""
        return len({one.grid for one in self.candidates}) == 1


def sweep_key(config: Config) -> str | None:
    """Return what the experiments of one sweep share, or None where nothing was swept.

    That is which settings were swept, data, and all other training settings.
    """
    return _shared(config) if base_name(config) != config.name else None


@lru_cache(maxsize=1024)  # thousands of records share a few configs
def _shared(config: Config) -> str | None:
    swept = swept_values(config)
    if not swept:
        return None
    shared = {
        key: value
        for key, value in config.settings().items()
        if key not in swept and not key.startswith("model.")
    }
    return json.dumps([sorted(swept), shared])


def tune(records: Sequence[RunRecord]) -> Tuning | None:
    """Choose, for each config of one sweep, the values with the best validation accuracy.

    What counts is the mean after the last epoch over the seeds that all values of the config
    completed; values with a smaller share of diverged runs come first. None where no config has
    two values to choose from.
    """
    by_config: dict[str, list[Experiment]] = {}
    for experiment in group(records, CHOSEN_BY):
        by_config.setdefault(_origin(experiment.config), []).append(experiment)
    if max(map(len, by_config.values())) < 2:
        return None
    return Tuning(
        keys=tuple(swept_values(records[0].config)),
        candidates=tuple(_candidates(found) for _, found in sorted(by_config.items())),
    )


def _candidates(found: Iterable[Experiment]) -> Candidates:
    experiments = tuple(sorted(found, key=_order))
    return Candidates(base_name(experiments[0].config), experiments, _best(experiments))


def _origin(config: Config) -> str:
    """Return what the values of one config share: its name and what was not swept."""
    swept = swept_values(config)
    return base_name(config) + json.dumps(
        {key: value for key, value in config.settings().items() if key not in swept}
    )


def _order(candidate: Experiment) -> list[tuple[float, str]]:
    values = swept_values(candidate.config).values()
    return [(value, "") if _is_number(value) else (0.0, str(value)) for value in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _best(candidates: Sequence[Experiment]) -> Experiment:
    common = set.intersection(*(set(candidate.values) for candidate in candidates))

    def merit(candidate: Experiment) -> tuple[float, float]:
        values = [v for seed, v in candidate.values.items() if seed in common or not common]
        survived = len(candidate.values) / len(candidate.records)
        return survived, float(np.mean(values)) if values else 0.0

    return max(candidates, key=merit)
