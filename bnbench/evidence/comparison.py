"""Records to protocols, and each protocol's experiments to contrasts."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, get_args

import numpy as np

from bnbench.errors import InputError
from bnbench.evidence import stats
from bnbench.evidence.experiment import Experiment, group
from bnbench.evidence.question import DEFAULT, Question
from bnbench.evidence.records import RunRecord
from bnbench.evidence.tuning import Tuning, sweep_key, tune
from bnbench.experiments.config import Config, Placement
from bnbench.experiments.sweep import base_name

PLACEMENT = "model.batch_norm.placement"
INPUT_BN = "model.batch_norm.input"


@dataclass(frozen=True)
class Unlike:
    """What differed between runs whose epoch times were to be compared."""

    aspect: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class EpochRatio:
    """An experiment's epoch time over the baseline's: median of the paired seeds' ratios.

    ``unlike`` tells why the times cannot be compared, where they cannot; ``in_turns`` is False
    where all runs of one came before those of the other, so that the ratio has the machine's drift.
    """

    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    unlike: Unlike | None = None
    in_turns: bool = True


@dataclass(frozen=True)
class ExperimentContrast:
    """One experiment held against another, seed by seed; differences are the first's minus.

    ``differs_in`` names the settings in which they differ, but for those that were tuned.
    """

    experiment: Experiment
    baseline: Experiment
    result: stats.Contrast
    differs_in: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether the two differ in the placement alone (and the bias it removes by ``auto``)."""
        return set(self.differs_in) <= {PLACEMENT}

    @property
    def confounds(self) -> tuple[str, ...]:
        """The settings besides the placement in which the two differ."""
        return tuple(key for key in self.differs_in if key != PLACEMENT)


@dataclass(frozen=True)
class Comparison:
    """All experiments of one protocol on one state of the data, held against a baseline.

    With ``tuning`` they are of protocols that differ in what was tuned.
    """

    question: Question
    baseline: Experiment
    experiments: tuple[Experiment, ...]
    contrasts: tuple[ExperimentContrast, ...]
    ratios: Mapping[Experiment, EpochRatio]
    baseline_was_named: bool
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

    def against_baseline(self, experiment: Experiment) -> ExperimentContrast | None:
        """Return the contrast of this experiment with the baseline."""
        for contrast in self.contrasts:
            if contrast.experiment is experiment and contrast.baseline is self.baseline:
                return contrast
        return None


def compare(records: Iterable[RunRecord], question: Question = DEFAULT) -> list[Comparison]:
    """Return one comparison for each protocol among the records, then one for each sweep.

    The newest come first. A sweep is made of experiments in which the same settings were swept;
    each config stands in it with the values that `tune` chooses, and they are compared by their
    test accuracy, whatever the metric. Raises `InputError` for a name that has no record.
    """
    records = list(records)
    _check_names(question, records)
    protocols = [
        _contrasted(chosen, question)
        for chosen in _grouped(records, question, lambda record: record.protocol_id)
    ]
    sweeps = map(tune, _grouped(records, question, lambda record: sweep_key(record.config)))
    by_test = replace(question, metric=Question.metric)
    tuned = [_contrasted(found.records, by_test, found) for found in sweeps if found]
    return [*protocols, *tuned]


def _grouped(
    records: Iterable[RunRecord], question: Question, key: Callable[[RunRecord], str | None]
) -> list[list[RunRecord]]:
    """Return the records of equal key on equal data together, the newest group first.

    Records that have no key, or none of the names that are asked for, are left out.
    """
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        wanted = not question.names or _is_named(record.config, question.wanted)
        if wanted and (own := key(record)) is not None:
            groups.setdefault((own, record.environment.data_sha256), []).append(record)
    return sorted(groups.values(), key=lambda rs: max(r.started_at for r in rs))[::-1]


def _is_named(config: Config, names: Collection[str | None]) -> bool:
    """Whether one of the names is the experiment's, or that of the config it was swept from."""
    return config.name in names or base_name(config) in names


def _check_names(question: Question, records: Sequence[RunRecord]) -> None:
    known = sorted({name for r in records for name in (r.experiment, base_name(r.config))})
    for name in (*question.names, *([question.baseline] if question.baseline else ())):
        if name not in known:
            listed = ", ".join(known) or "none, as no run has been recorded"
            raise InputError(f"no experiment named {name}; there are: {listed}")


def _contrasted(
    records: Sequence[RunRecord], question: Question, tuning: Tuning | None = None
) -> Comparison:
    """Return the comparison of these records, taken to be of one protocol."""
    experiments = group(records, question.measure)
    experiments.sort(key=lambda e: _position(e.config, question.names))
    named = next((e for e in experiments if _is_named(e.config, [question.baseline])), None)
    base = named or min(experiments, key=lambda e: _position(e.config, ()))
    others = [e for e in experiments if e is not base]
    pairs = [(other, base) for other in others]
    if question.all_pairs:
        pairs += [(second, first) for first, second in combinations(others, 2)]
    results = _judged(pairs, question)
    tuned = tuning.keys if tuning else ()
    return Comparison(
        question=question,
        baseline=base,
        experiments=tuple(experiments),
        contrasts=tuple(
            ExperimentContrast(a, b, result, differences(a.config, b.config, tuned))
            for (a, b), result in zip(pairs, results, strict=True)
        ),
        ratios={e: _epoch_ratio(e, base) for e in experiments},
        baseline_was_named=named is not None,
        tuning=tuning,
    )


def _position(config: Config, names: Sequence[str]) -> tuple[Any, ...]:
    norm = config.model.batch_norm
    own = [name for name in (config.name, base_name(config)) if name in names]
    given = names.index(own[0]) if own else len(names)
    placement = get_args(Placement).index(norm.placement)
    return given, placement, norm.input, config.name, config.experiment_id


def _judged(
    pairs: Iterable[tuple[Experiment, Experiment]], question: Question
) -> Iterable[stats.Contrast]:
    """Judge by gains, which are better where they are positive, and return differences."""
    direction = question.measure.direction
    for result in stats.judge([_gains(*pair) for pair in pairs], question.margin_in_metric):
        yield result if direction == 1 else stats.negated(result)


def _gains(experiment: Experiment, baseline: Experiment) -> stats.Pairs:
    common = experiment.records.keys() & baseline.records.keys()
    ours, theirs = experiment.values, baseline.values
    both = sorted(common & ours.keys() & theirs.keys())
    return stats.Pairs(
        experiment.metric.direction * np.array([ours[seed] - theirs[seed] for seed in both]),
        won=len((common & ours.keys()) - theirs.keys()),
        lost=len((common & theirs.keys()) - ours.keys()),
    )


def _epoch_ratio(experiment: Experiment, baseline: Experiment) -> EpochRatio:
    seeds = sorted(experiment.values.keys() & baseline.values.keys())
    if experiment is baseline or not seeds:
        return EpochRatio()
    if unlike := _unlike(experiment, baseline):
        return EpochRatio(unlike=unlike)
    ours, theirs = experiment.epoch_seconds(seeds), baseline.epoch_seconds(seeds)
    if len(seeds) < 2:
        return EpochRatio(ours[0] / theirs[0])
    ratio, low, high = stats.ratio_interval(ours, theirs)
    return EpochRatio(ratio, (low, high), in_turns=_in_turns(experiment, baseline))


def _unlike(*experiments: Experiment) -> Unlike | None:
    """Return the first aspect that bears on epoch times and is not the same in all runs."""
    environments = [r.environment for e in experiments for r in e.records.values()]
    aspects = {"processor": "processor", "device": "device", "jobs": "jobs"}
    for aspect, field in (aspects | {"TensorFlow": "tensorflow"}).items():
        seen = {str(getattr(environment, field)) for environment in environments}
        if len(seen) > 1:
            return Unlike(aspect, tuple(sorted(seen)))
    return None


def _in_turns(experiment: Experiment, baseline: Experiment) -> bool:
    ours, theirs = (
        sorted(record.started_at for record in one.records.values())
        for one in (experiment, baseline)
    )
    return ours[0] <= theirs[-1] and theirs[0] <= ours[-1]


def differences(first: Config, second: Config, tuned: Collection[str] = ()) -> tuple[str, ...]:
    """Return the dotted keys of the settings in which two experiments differ, without the tuned."""
    one, other = first.settings(), second.settings()
    return tuple(key for key in sorted(one) if one[key] != other[key] and key not in tuned)


def resolvable_difference(comparison: Comparison, seeds: int) -> float | None:
    """Return the difference (in the metric's unit) that so many seeds resolve, from noise seen.

    None until some contrast of the comparison has a paired deviation to estimate it from.
    """
    deviations = [c.result.std_difference for c in comparison.contrasts if c.result.std_difference]
    contrasts = len(comparison.contrasts)
    if not deviations or seeds < stats.fewest_pairs(contrasts):
        return None
    return stats.resolvable_difference(float(np.median(deviations)), seeds, contrasts)
