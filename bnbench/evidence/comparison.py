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
from bnbench.evidence.tuning import Tuning, sweeps, tune
from bnbench.experiments.config import Config, Placement
from bnbench.experiments.sweep import label, order_of_values

PLACEMENT = "model.batch_norm.placement"
INPUT_BN = "model.batch_norm.input"
_TIMED = {  # of a run's environment: what bears on epoch times, with its name
    "processor": "processor",
    "device": "device",
    "jobs": "jobs",
    "tensorflow": "TensorFlow",
}


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

    With ``tuning`` they are of protocols that differ in what was tuned. ``reference`` is what the
    comparison is called by: its protocol's id or ``tuned``, with more where that is not enough.
    """

    question: Question
    baseline: Experiment
    experiments: tuple[Experiment, ...]
    contrasts: tuple[ExperimentContrast, ...]
    ratios: Mapping[Experiment, EpochRatio]
    baseline_was_named: bool
    tuning: Tuning | None = None
    reference: str = ""

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

    The newest come first. Runs on other data, and of another training version, are compared apart.
    In the comparison of a sweep each network stands with the values that `tune` chooses, and they
    are compared by their test accuracy, whatever the metric. Raises `InputError` for a name that
    has no record and for a baseline that may be several.
    """
    records = list(records)
    _check_names(question, records)
    wanted = [r for r in records if not question.names or _is_named(r.config, question.wanted)]
    by_test = replace(question, metric=Question.metric)
    alike = _newest_first(_split(wanted, lambda r: (*_made_on(r), r.protocol_id)))
    protocols = [_contrasted(chosen, question) for chosen in alike]
    tuned = [
        _contrasted(tuning.records, by_test, tuning)
        for chosen in _newest_first(_split(wanted, _made_on))
        for keys, members in sweeps(chosen)
        if (tuning := tune(keys, members))
    ]
    return _referenced([*protocols, *tuned])


def _made_on(record: RunRecord) -> tuple[Any, ...]:
    """Return what two runs must share for their numbers to mean the same."""
    return record.data.sha256, record.data.rows, record.training_version


def _split(
    records: Iterable[RunRecord], key: Callable[[RunRecord], Any]
) -> Iterable[list[RunRecord]]:
    groups: dict[Any, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups.values()


def _newest_first(groups: Iterable[list[RunRecord]]) -> list[list[RunRecord]]:
    return sorted(groups, key=lambda rs: max(r.started_at for r in rs))[::-1]


def _referenced(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Give every comparison a reference of its own."""
    plain = ["tuned" if c.tuning else c.config.protocol_id for c in comparisons]
    referenced: list[Comparison] = []
    for comparison, reference in zip(comparisons, plain, strict=True):
        newest = comparison.baseline.newest
        if plain.count(reference) > 1 and not comparison.tuning:
            reference += f"@{newest.data.sha256[:8]}"
        taken = [c.reference for c in referenced]
        times = sum(t == reference or t.startswith(f"{reference}-") for t in taken)
        referenced.append(
            replace(comparison, reference=reference + (f"-{times + 1}" if times else ""))
        )
    return referenced


def _names_of(config: Config) -> tuple[str, ...]:
    """Return what an experiment may be called, the most telling first."""
    name, own = config.name, config.experiment_id
    return label(config), name, f"{name}-{own}", f"{name} [{own}]", own


def _is_named(config: Config, names: Collection[str]) -> bool:
    return any(name in names for name in _names_of(config))


def _check_names(question: Question, records: Sequence[RunRecord]) -> None:
    named = (*question.names, *([question.baseline] if question.baseline else ()))
    configs = {record.config for record in records} if named else set()
    for name in named:
        if not any(_is_named(config, [name]) for config in configs):
            known = sorted({own for config in configs for own in _names_of(config)[:2]})
            listed = ", ".join(known) or "none, as no run has been recorded"
            raise InputError(f"no experiment named {name}; there are: {listed}")


def _baseline(experiments: Sequence[Experiment], reference: str | None) -> Experiment | None:
    """Return the experiment that is called so; one whose label it is comes before all others."""
    if reference is None:
        return None
    for place in range(len(_names_of(experiments[0].config))):
        called = [e for e in experiments if reference in (e.label, _names_of(e.config)[place])]
        exact = [e for e in called if e.label == reference]
        if len(exact or called) > 1:
            candidates = ", ".join(e.label for e in called)
            raise InputError(f"baseline {reference} may be any of {candidates}: name one of them")
        if called:
            return (exact or called)[0]
    return None


def _contrasted(
    records: Sequence[RunRecord], question: Question, tuning: Tuning | None = None
) -> Comparison:
    """Return the comparison of these records, taken to be of one protocol."""
    experiments = group(records, question.measure)
    experiments.sort(key=lambda e: _position(e.config, question.names))
    named = _baseline(experiments, question.baseline)
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
    own = [names.index(name) for name in _names_of(config) if name in names]
    given = own[0] if own else len(names)
    placement = get_args(Placement).index(norm.placement)
    values = order_of_values(config, config.swept)
    return given, placement, norm.input, config.name, values, config.experiment_id


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
    for field, aspect in _TIMED.items():
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
