"""Sweeps to a comparison: of each experiment the values that did best on the validation data."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from bnbench.evidence.comparison import (
    Comparison,
    Experiment,
    Metric,
    Tuning,
    apart,
    compare,
    group,
    hold_against,
)
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.experiments.sweep import short_key, swept_values

Candidates = list[Experiment]  # what one config was swept to, in the order of the values


def compare_all(
    records: Sequence[RunRecord],
    *,
    names: Sequence[str] = (),
    baseline: str | None = None,
    metric: Metric = "test_accuracy",
    margin: float = 0.003,
    all_pairs: bool = False,
) -> list[Comparison]:
    """Return what `comparison.compare` does, then a comparison of the tuned for each sweep.

    A sweep is made of experiments in which the same settings were swept and that share data and all
    other training settings. Each config stands in it with the values whose validation accuracy
    after the last epoch is highest in the mean over the seeds that all its values completed, and
    values with a smaller share of diverged runs come first. The tuned are compared by their test
    accuracy, whatever the metric.
    """
    protocols = compare(
        records,
        names=names,
        baseline=baseline,
        metric=metric,
        margin=margin,
        all_pairs=all_pairs,
    )
    wanted = [*names, baseline] if names else ()
    tuned = (
        _tune(chosen, names, baseline, margin, all_pairs)
        for chosen in apart(records, wanted, lambda record: _sweep(record.config))
    )
    return [*protocols, *(comparison for comparison in tuned if comparison)]


def _tune(
    records: Sequence[RunRecord],
    names: Sequence[str],
    baseline: str | None,
    margin: float,
    all_pairs: bool,
) -> Comparison | None:
    by_config: dict[str, Candidates] = {}
    for experiment in group(records, "val_accuracy")[0]:
        by_config.setdefault(_origin(experiment.config), []).append(experiment)
    for candidates in by_config.values():
        candidates.sort(key=_order)
    if max(map(len, by_config.values())) < 2:
        return None
    best = {origin: _best(candidates) for origin, candidates in by_config.items()}
    return hold_against(
        [record for e in best.values() for record in e.records.values()],
        names,
        baseline,
        ("test_accuracy", margin),
        all_pairs,
        Tuning(
            keys=tuple(swept_values(records[0].config)),
            candidates=tuple(e for origin in sorted(by_config) for e in by_config[origin]),
            chosen=frozenset(e.label for e in best.values()),
            warnings=tuple(_warnings(by_config, best)),
        ),
    )


def _sweep(config: Config) -> str | None:
    """Return what the experiments of one sweep share, or None where nothing was swept."""
    return _shared(config) if config.swept else None


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


def _origin(config: Config) -> str:
    """Return what the values of one config share: its name and what was not swept."""
    swept = swept_values(config)
    return config.name + json.dumps(
        {key: value for key, value in config.settings().items() if key not in swept}
    )


def _order(candidate: Experiment) -> list[tuple[float, str]]:
    values = swept_values(candidate.config).values()
    return [(value, "") if _is_number(value) else (0.0, str(value)) for value in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _best(candidates: Candidates) -> Experiment:
    common = set.intersection(*(set(candidate.values) for candidate in candidates))

    def merit(candidate: Experiment) -> tuple[float, float]:
        values = [v for seed, v in candidate.values.items() if seed in common or not common]
        survived = len(candidate.values) / len(candidate.records)
        return survived, float(np.mean(values)) if values else 0.0

    return max(candidates, key=merit)


def _warnings(by_config: dict[str, Candidates], best: dict[str, Experiment]) -> Iterator[str]:
    grids = [[_order(candidate) for candidate in found] for found in by_config.values()]
    if any(grid != grids[0] for grid in grids):
        yield "not all experiments were tuned over the same values"
    for origin, candidates in by_config.items():
        chosen = swept_values(best[origin].config)
        for key, value in chosen.items():
            tried = {swept_values(candidate.config)[key] for candidate in candidates}
            if not _is_number(value) or len(tried) < 2 or value not in (min(tried), max(tried)):
                continue
            end = "smallest" if value == min(tried) else "largest"
            yield (
                f"{best[origin].config.name} does best at the {end} {short_key(key)} that "
                f"was tried, {value:g}; beyond it may be better"
            )
