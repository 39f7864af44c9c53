"""Records to protocols, and each protocol's experiments to summaries, contrasts and warnings."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import median
from typing import Any, Literal

import numpy as np

from bnbench.errors import InputError
from bnbench.evidence import stats
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.experiments.sweep import label

Metric = Literal["test_accuracy", "val_accuracy"]
PLACEMENT = "model.batch_norm.placement"
INPUT_BN = "model.batch_norm.input"
_PLACEMENT_ORDER = ("none", "after_activation", "before_activation")


@dataclass(frozen=True)
class Experiment:
    """One experiment's records under one protocol, by seed, and what they say together.

    Accuracies are shares of 1, times are seconds.
    """

    label: str
    records: Mapping[int, RunRecord]
    metric: Metric

    @property
    def newest(self) -> RunRecord:
        """The record that was started last."""
        return max(self.records.values(), key=lambda record: record.started_at)

    @property
    def config(self) -> Config:
        """The config of the newest record."""
        return self.newest.config

    @cached_property
    def values(self) -> dict[int, float]:
        """The metric of each seed that completed."""
        return {
            seed: _metric(record, self.metric)
            for seed, record in self.records.items()
            if record.completed
        }

    @property
    def diverged(self) -> int:
        """Number of seeds whose loss became infinite or NaN."""
        return len(self.records) - len(self.values)

    @property
    def mean(self) -> float | None:
        """Mean over the seeds that completed."""
        return float(np.mean(list(self.values.values()))) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds (n - 1 in the divisor)."""
        return float(np.std(list(self.values.values()), ddof=1)) if len(self.values) > 1 else None

    @cached_property
    def ci95(self) -> tuple[float, float] | None:
        """95 % t interval of the mean."""
        if len(self.values) < 2:
            return None
        low, high = stats.mean_interval(list(self.values.values()))
        return float(low), float(high)

    @cached_property
    def epoch_quartiles(self) -> tuple[float, float, float] | None:
        """First quartile, median and third quartile of the epoch times of all seeds."""
        seconds = [s for record in self.records.values() for s in record.history.epoch_seconds]
        if not seconds:
            return None
        low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75)).tolist()
        return low, middle, high

    def epoch_seconds(self, seeds: Iterable[int]) -> list[float]:
        """Return each seed's median epoch time."""
        return [median(self.records[seed].history.epoch_seconds) for seed in seeds]

    def surroundings(self) -> set[tuple[tuple[str, str], ...]]:
        """Return what bears on the epoch times, as it was in each of the records."""
        return {
            (
                ("processor", record.environment.processor),
                ("device", record.environment.device),
                ("jobs", str(record.environment.jobs)),
                ("TensorFlow", record.environment.tensorflow),
            )
            for record in self.records.values()
        }


@dataclass(frozen=True)
class EpochRatio:
    """An experiment's epoch time over the baseline's: median of the paired seeds' ratios.

    ``refused`` says why the times cannot be compared, where they cannot; ``apart`` that all runs of
    the one came before those of the other, so that drift of the machine is in the ratio.
    """

    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    refused: str | None = None
    apart: bool = False


@dataclass(frozen=True)
class ExperimentContrast:
    """One experiment held against another, seed by seed; differences are the first's minus.

    ``differs_in`` names the settings in which they differ, but for those that were tuned.
    """

    experiment: str
    baseline: str
    result: stats.Contrast
    differs_in: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether the two differ in the placement alone (and the bias it removes by ``auto``)."""
        return set(self.differs_in) <= {PLACEMENT}

    @property
    def remark(self) -> str | None:
        """What else differs, in words, or None."""
        others = ", ".join(field for field in self.differs_in if field != PLACEMENT)
        if self.clean:
            return None
        if PLACEMENT in self.differs_in:
            return f"not a clean comparison: also differs in {others}"
        return f"not a comparison of placements: differs in {others}"


@dataclass(frozen=True)
class Tuning:
    """How the experiments of a comparison were chosen: for each, the best value of what was swept.

    ``keys`` are the swept settings; ``candidates`` the swept experiments of each name in turn, with
    the validation accuracy by which one of them was ``chosen`` (labels).
    """

    keys: tuple[str, ...]
    candidates: tuple[Experiment, ...]
    chosen: frozenset[str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """All experiments of one protocol on one state of the data, held against a baseline.

    With ``tuning`` they are of protocols that differ in what was tuned.
    """

    metric: Metric
    margin: float
    all_pairs: bool
    baseline: Experiment
    experiments: tuple[Experiment, ...]
    contrasts: tuple[ExperimentContrast, ...]
    ratios: Mapping[str, EpochRatio]
    warnings: tuple[str, ...]
    tuning: Tuning | None = None

    @property
    def config(self) -> Config:
        """A config of this protocol: data and training are the same in all, but for the tuned."""
        return self.baseline.config

    @property
    def tuned(self) -> tuple[str, ...]:
        """The dotted keys of the settings that were tuned."""
        return self.tuning.keys if self.tuning else ()

    @property
    def protocol(self) -> dict[str, Any]:
        """The resolved data and training settings that are the same in all experiments."""
        resolved = self.config.resolved()
        return {
            section: {
                key: value
                for key, value in resolved[section].items()
                if f"{section}.{key}" not in self.tuned
            }
            for section in ("data", "training")
        }

    @property
    def smoke(self) -> bool:
        """Whether this only shows that the program works."""
        return self.config.data.dataset == "fashion_mnist_sample"

    def against_baseline(self, label: str) -> ExperimentContrast | None:
        """Return the contrast of this experiment with the baseline."""
        pair = (label, self.baseline.label)
        return next((c for c in self.contrasts if (c.experiment, c.baseline) == pair), None)


def compare(
    records: Iterable[RunRecord],
    *,
    names: Sequence[str] = (),
    baseline: str | None = None,
    metric: Metric = "test_accuracy",
    margin: float = 0.003,
    all_pairs: bool = False,
) -> list[Comparison]:
    """Return one comparison for each protocol among the records, the newest protocol first.

    ``names`` restricts the experiments and orders them; ``margin`` is a share of 1. Raises
    `InputError` for a name or a baseline that has no record.
    """
    records = list(records)
    _check_names([*names, *([baseline] if baseline else [])], records)
    wanted = [*names, baseline] if names else ()
    return [
        hold_against(chosen, names, baseline, (metric, margin), all_pairs)
        for chosen in apart(records, wanted, lambda record: record.protocol_id)
    ]


def apart(
    records: Iterable[RunRecord],
    names: Collection[str | None],
    key: Callable[[RunRecord], str | None],
) -> list[list[RunRecord]]:
    """Return the records of equal key and data together, the newest first; no key, no place.

    ``names`` restricts the experiments, unless there are none.
    """
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        if (not names or _is_named(record.config, names)) and (own := key(record)) is not None:
            groups.setdefault((own, record.data.sha256), []).append(record)
    return sorted(groups.values(), key=lambda rs: max(r.started_at for r in rs))[::-1]


def _is_named(config: Config, names: Collection[str | None]) -> bool:
    """Whether one of the names is the experiment's, or that of the config it was swept from."""
    return config.name in names or label(config) in names


def _check_names(wanted: Iterable[str], records: Sequence[RunRecord]) -> None:
    known = sorted({name for r in records for name in (r.experiment, label(r.config))})
    for name in wanted:
        if name not in known:
            listed = ", ".join(known) or "none, as no run has been recorded"
            raise InputError(f"no experiment named {name}; there are: {listed}")


def hold_against(
    records: Sequence[RunRecord],
    names: Sequence[str],
    baseline: str | None,
    measure: tuple[Metric, float],
    all_pairs: bool,
    tuning: Tuning | None = None,
) -> Comparison:
    """Return the comparison of these records, taken to be of one protocol; see `compare`."""
    metric, margin = measure
    experiments, warnings = group(records, metric)
    experiments.sort(key=lambda e: _position(e.config, names))
    base = next((e for e in experiments if _is_named(e.config, [baseline])), None)
    if base is None:
        base = min(experiments, key=lambda e: _position(e.config, ()))
        if baseline:
            warnings.append(f"{baseline} has no record here; {base.label} is the baseline")
    others = [e for e in experiments if e is not base]
    pairs = [(other, base) for other in others]
    if all_pairs:
        pairs += [(second, first) for first, second in combinations(others, 2)]
    results = stats.judge([_pairs(*pair) for pair in pairs], margin)
    return Comparison(
        metric=metric,
        margin=margin,
        all_pairs=all_pairs,
        baseline=base,
        experiments=tuple(experiments),
        contrasts=tuple(
            ExperimentContrast(
                a.label,
                b.label,
                result,
                differences(a.config, b.config, tuning.keys if tuning else ()),
            )
            for (a, b), result in zip(pairs, results, strict=True)
        ),
        ratios={e.label: _epoch_ratio(e, base) for e in experiments},
        warnings=(
            *warnings,
            *_divergence_warnings(experiments),
            *(tuning.warnings if tuning else ()),
        ),
        tuning=tuning,
    )


def group(records: Iterable[RunRecord], metric: Metric) -> tuple[list[Experiment], list[str]]:
    """Return the experiments that the records belong to, and a warning for each surplus record."""
    groups: dict[tuple[str, str], dict[int, RunRecord]] = {}
    warnings = []
    for record in records:
        by_seed = groups.setdefault((record.experiment, record.experiment_id), {})
        if by_seed.setdefault(record.seed, record) is not record:
            warnings.append(f"{record.experiment} seed {record.seed} is recorded twice; one counts")
    labels = {key: label(next(iter(found.values())).config) for key, found in groups.items()}
    names = list(labels.values())
    experiments = [
        Experiment(
            labels[key] if names.count(labels[key]) == 1 else f"{labels[key]}-{key[1]}",
            dict(sorted(by_seed.items())),
            metric,
        )
        for key, by_seed in groups.items()
    ]
    return experiments, warnings


def _position(config: Config, names: Sequence[str]) -> tuple[Any, ...]:
    norm = config.model.batch_norm
    own = [name for name in (label(config), config.name) if name in names]
    given = names.index(own[0]) if own else len(names)
    return (
        given,
        _PLACEMENT_ORDER.index(norm.placement),
        norm.input,
        config.name,
        config.experiment_id,
    )


def _metric(record: RunRecord, metric: Metric) -> float:
    if metric == "val_accuracy":
        return record.history.val_accuracy[-1]
    assert record.test_accuracy is not None  # a completed record has one: it was checked on reading
    return record.test_accuracy


def _pairs(experiment: Experiment, baseline: Experiment) -> stats.Pairs:
    common = experiment.records.keys() & baseline.records.keys()
    ours, theirs = experiment.values, baseline.values
    both = sorted(common & ours.keys() & theirs.keys())
    return stats.Pairs(
        np.array([ours[seed] - theirs[seed] for seed in both]),
        won=len((common & ours.keys()) - theirs.keys()),
        lost=len((common & theirs.keys()) - ours.keys()),
    )


def _epoch_ratio(experiment: Experiment, baseline: Experiment) -> EpochRatio:
    seeds = sorted(experiment.values.keys() & baseline.values.keys())
    if experiment is baseline or not seeds:
        return EpochRatio()
    found = [dict(s) for s in experiment.surroundings() | baseline.surroundings()]
    for aspect in found[0]:
        if len(seen := {surroundings[aspect] for surroundings in found}) > 1:
            return EpochRatio(refused=f"different {aspect}: {', '.join(sorted(seen))}")
    ours, theirs = experiment.epoch_seconds(seeds), baseline.epoch_seconds(seeds)
    if len(seeds) < 2:
        return EpochRatio(ours[0] / theirs[0])
    ratio, low, high = stats.ratio_interval(ours, theirs)
    return EpochRatio(ratio, (low, high), apart=_apart(experiment, baseline))


def _apart(experiment: Experiment, baseline: Experiment) -> bool:
    ours, theirs = (
        sorted(record.started_at for record in one.records.values())
        for one in (experiment, baseline)
    )
    return ours[-1] < theirs[0] or theirs[-1] < ours[0]


def _divergence_warnings(experiments: Iterable[Experiment]) -> list[str]:
    return [
        f"{e.label}: {e.diverged} of {len(e.records)} runs diverged; its mean is over survivors"
        for e in experiments
        if e.diverged
    ]


def differences(first: Config, second: Config, tuned: Collection[str] = ()) -> tuple[str, ...]:
    """Return the dotted keys of the settings in which two experiments differ, bar the tuned."""
    one, other = first.settings(), second.settings()
    return tuple(key for key in sorted(one) if one[key] != other[key] and key not in tuned)


def resolvable_difference(comparison: Comparison, seeds: int) -> float | None:
    """Return the difference (a share of 1) that so many seeds resolve, from the noise seen so far.

    None until some contrast of the comparison has a paired deviation to estimate it from.
    """
    deviations = [c.result.std_difference for c in comparison.contrasts if c.result.std_difference]
    contrasts = len(comparison.contrasts)
    if not deviations or seeds < stats.fewest_pairs(contrasts):
        return None
    return stats.resolvable_difference(float(np.median(deviations)), seeds, contrasts)
