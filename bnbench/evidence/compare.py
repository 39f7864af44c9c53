"""Records to comparisons: one for each sweep and each protocol, with its contrasts judged."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from bnbench.errors import InputError
from bnbench.evidence import power, stats
from bnbench.evidence.comparison import (
    FAMILIES,
    PLACEMENT,
    Comparison,
    ExperimentContrast,
    Family,
    first_experiment,
)
from bnbench.evidence.epoch_times import epoch_ratio
from bnbench.evidence.experiment import Experiment, group, order_of_seeds
from bnbench.evidence.images import NewImages, for_new_images
from bnbench.evidence.levels import ALPHA, nominal_levels
from bnbench.evidence.names import called, check_names, is_named, position
from bnbench.evidence.question import DEFAULT, Question
from bnbench.evidence.records import RunKey, RunRecord
from bnbench.evidence.tuning import CHOSEN_BY, Tuning, sweeps, tune
from bnbench.evidence.verdicts import Contrast, Pairs, judge, negated, withheld
from bnbench.experiments.config import Config, PlanConfig, check_same_settings

_Thing = TypeVar("_Thing")


def compare(records: Iterable[RunRecord], question: Question = DEFAULT) -> list[Comparison]:
    """Return one comparison for each sweep among the records, then one for each protocol.

    The newest come first. Runs on other data, and of another training version, are compared apart.
    In the comparison of a sweep each network stands with the values that `tune` chooses, and they
    are compared by their test accuracy, whatever the metric. Raises `InputError` for a name that
    has no record and for a baseline that may be several wherever it has records, and
    for two settings of one id.
    """
    records = list(records)
    check_same_settings(dict.fromkeys(record.config for record in records))
    check_names(question, records)
    wanted = [r for r in records if not question.names or is_named(r.config, question.wanted)]
    by_test = question
    if question.metric == CHOSEN_BY.name:  # which chose already
        by_test = replace(question, metric=Question.metric)
    alike = _newestfirst_experiment(_split(wanted, lambda r: (*_made_on(r), r.protocol_id)))
    protocols = [_contrasted(chosen, question) for chosen in alike]
    tuned = [
        _contrasted(tuning.records, by_test, tuning)
        for chosen in _newestfirst_experiment(_split(wanted, _made_on))
        for keys, members in sweeps(chosen)
        if (tuning := tune(keys, members, _plan(members, question)))
    ]
    _check_baseline([*tuned, *protocols])
    return _referenced([*tuned, *protocols])


def without_subsumed(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return all comparisons but the protocols that are a value of a tuned one and no more."""
    tried = {key for c in comparisons if c.tuning for key in c.tuning.tried}
    return [c for c in comparisons if c.tuning or not _keys(c) <= tried]


def newest(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparison of the newest protocol or, where it was tuned, the tuned ones."""
    latest = next((c for c in comparisons if not c.tuning), None)
    if latest is None:
        return list(comparisons)
    tuned = [c for c in comparisons if c.tuning and _keys(latest) & set(c.tuning.tried)]
    return [c for c in without_subsumed(comparisons) if c in tuned or c is latest]


def _keys(comparison: Comparison) -> set[RunKey]:
    return {r.key for e in comparison.experiments for r in e.records.values()}


def _made_on(record: RunRecord) -> tuple[Any, ...]:
    """Return what two runs must share for their numbers to mean the same."""
    return record.data.sha256, record.data.rows, record.training_version


def _split(things: Iterable[_Thing], key: Callable[[_Thing], Any]) -> Iterable[list[_Thing]]:
    groups: dict[Any, list[_Thing]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups.values()


def _newestfirst_experiment(groups: Iterable[list[RunRecord]]) -> list[list[RunRecord]]:
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


def _check_baseline(comparisons: Sequence[Comparison]) -> None:
    doubtful = [c for c in comparisons if c.baseline_may_be]
    if doubtful and not any(c.baseline_was_named for c in comparisons):
        name, candidates = doubtful[0].question.baseline, ", ".join(doubtful[0].baseline_may_be)
        raise InputError(f"baseline {name} may be any of {candidates}: name one of them")


def _contrasted(
    records: Sequence[RunRecord], question: Question, tuning: Tuning | None = None
) -> Comparison:
    """Return the comparison of these records, taken to be of one protocol."""
    experiments = group(records, question.measure)
    meant = called(experiments, question.baseline)
    named = len(meant) == 1
    baselines = dict.fromkeys(experiments, meant[0]) if named else _baselines(experiments)

    def place(experiment: Experiment) -> tuple[Any, ...]:
        given, *own = position(experiment.config, question.names)
        return given, position(baselines[experiment].config, ()), own

    experiments.sort(key=place)
    plan = _plan(records, question)
    tuning_seeds = tuning.tuning_seeds if tuning else 0
    return Comparison(
        question=question,
        plan=plan,
        baselines=baselines,
        experiments=tuple(experiments),
        contrasts=_contrasts(
            _pairs(experiments, baselines, question, tuning),
            order_of_seeds(experiments, tuning_seeds + plan.most)[tuning_seeds:],
            plan,
            question,
            tuning,
        ),
        ratios={e: epoch_ratio(e, baselines[e]) for e in experiments},
        baseline_was_named=named,
        baseline_may_be=() if named else tuple(e.label for e in meant),
        tuning=tuning,
    )


def _baselines(experiments: Sequence[Experiment]) -> dict[Experiment, Experiment]:
    """Return what each is held against: the network without BN that has its layers, if any has.

    All others are held against the first of those or, where there is none, of all.
    """
    own: dict[Experiment, Experiment] = {}
    for alike in _split(experiments, lambda e: _layers(e.config)):
        plain = [e for e in alike if e.config.model.batch_norm.placement == "none"]
        if plain and len(alike) > 1:
            own.update(dict.fromkeys(alike, first_experiment(plain)))
    return dict.fromkeys(experiments, first_experiment(own.values() or experiments)) | own


def _layers(config: Config) -> tuple[Any, ...]:
    """Return what networks share that differ in their BN alone, and the bias that goes with it."""
    settings = config.model.model_dump(exclude={"batch_norm", "use_bias"})
    return tuple(settings.values())


def _plan(records: Iterable[RunRecord], question: Question) -> PlanConfig:
    """Return the plan that is asked for or, without one, that of the newest run."""
    return question.plan or max(records, key=lambda r: r.started_at).config.plan


_Pair = tuple[Experiment, Experiment]


def _pairs(
    experiments: Sequence[Experiment],
    baselines: Mapping[Experiment, Experiment],
    question: Question,
    tuning: Tuning | None,
) -> dict[_Pair, Family]:
    """Return which experiments are held against which, each pair once, with its family."""
    held = [(e, baselines[e]) for e in experiments if baselines[e] is not e]
    held += (
        _after_minus_before(second, first)
        for first, second in combinations(experiments, 2)
        if first is not baselines[second] and second is not baselines[first]
    )
    tuned = tuning.keys if tuning else ()
    families = {pair: _family(*pair, baselines, tuned) for pair in held}
    wanted = {
        pair: family for pair, family in families.items() if family != "other" or question.all_pairs
    }
    return dict(sorted(wanted.items(), key=lambda item: FAMILIES.index(item[1])))


def _after_minus_before(experiment: Experiment, other: Experiment) -> _Pair:
    """Return the pair as it stands, or exchanged where it is BN before minus BN after."""
    placements = (e.config.model.batch_norm.placement for e in (experiment, other))
    if tuple(placements) == ("before_activation", "after_activation"):
        return other, experiment
    return experiment, other


def _family(
    experiment: Experiment,
    against: Experiment,
    baselines: Mapping[Experiment, Experiment],
    tuned: Collection[str],
) -> Family:
    """Return "placement" for BN before against after the activations and nothing else."""
    configs = experiment.config, against.config
    placements = {config.model.batch_norm.placement for config in configs}
    answers = placements == {"before_activation", "after_activation"}
    if answers and differing_settings(*configs, tuned) == (PLACEMENT,):
        return "placement"
    return "baseline" if against is baselines[experiment] else "other"


def _contrasts(
    pairs: Mapping[_Pair, Family],
    order: tuple[int, ...],
    plan: PlanConfig,
    question: Question,
    tuning: Tuning | None,
) -> tuple[ExperimentContrast, ...]:
    """Judge each family by itself, by gains, which are better where they are positive."""
    metric = question.measure
    margin = (plan.margin if question.margin is None else question.margin) / metric.scale
    tuned = tuning.keys if tuning else ()
    contrasts: dict[_Pair, ExperimentContrast] = {}
    for family in FAMILIES:
        members = [pair for pair in pairs if pairs[pair] == family]
        gains = {pair: _gains(*pair, order) for pair in members}
        results = judge(list(gains.values()), plan.looks, margin)
        for pair, result in zip(members, results, strict=True):
            if tuning and not tuning.is_fair(*pair):
                result = withheld(result)
            contrasts[pair] = ExperimentContrast(
                *pair,
                differs_in=differing_settings(pair[0].config, pair[1].config, tuned),
                family=family,
                result=result if metric.direction == 1 else negated(result),
                new_images=_new_images(pair, gains[pair], result, plan, margin),
            )
    return tuple(contrasts[pair] for pair in pairs)


def _gains(experiment: Experiment, baseline: Experiment, order: tuple[int, ...]) -> Pairs:
    sign = experiment.metric.direction
    ours, theirs = (
        {seed: None if value is None else sign * value for seed, value in one.outcomes.items()}
        for one in (experiment, baseline)
    )
    return Pairs(order, ours, theirs)


def _new_images(
    pair: _Pair,
    gains: Pairs,
    result: Contrast,
    plan: PlanConfig,
    margin: float,
) -> NewImages | None:
    """Return what the last look says of new images, where the metric is a share of test rows."""
    if not pair[0].metric.by_row or not result.looks:
        return None
    place = len(result.looks) - 1
    seeds = gains.order[: result.looks[-1].seeds]
    correct = [tuple(one.records[seed].correct() for one in pair) for seed in seeds]
    rows = [a.astype(np.int8) - b for a, b in correct if a is not None and b is not None]
    if not rows:
        return None
    levels = nominal_levels(plan.looks)[place], nominal_levels(plan.looks, sides=1)[place]
    return for_new_images(np.stack(rows), result.verdict, levels, margin)


def differing_settings(
    first: Config, second: Config, tuned: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the dotted keys of the settings in which two experiments differ, without the tuned."""
    one, other = first.settings(), second.settings()
    return tuple(key for key in sorted(one) if one[key] != other[key] and key not in tuned)


def resolvable_difference(comparison: Comparison, seeds: int) -> float | None:
    """Return the difference (in the metric's unit) that so many seeds resolve, from noise seen.

    It is for the placement contrasts, or for those with the baseline where there are none. None
    where the plan has no look among so many seeds, or none at which a difference could be found,
    and until some contrast has a paired deviation to estimate it from.
    """
    for family in FAMILIES:
        results = [c.result for c in comparison.contrasts if c.family == family]
        deviations = [result.std_difference for result in results if result.std_difference]
        reached = [look for look in comparison.plan.looks if look <= seeds]
        if not deviations or not reached:
            continue
        level = nominal_levels(comparison.plan.looks, ALPHA / len(results))[len(reached) - 1]
        if stats.smallest_p_value(reached[-1]) <= level:
            return power.resolvable_difference(float(np.median(deviations)), reached[-1], level)
    return None
