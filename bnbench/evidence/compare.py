"""How records become comparisons: one for each sweep and each protocol."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from bnbench.errors import InputError
from bnbench.evidence import power, stats
from bnbench.evidence.comparison import (
    FAMILIES,
    PLACEMENT,
    Comparison,
    ExperimentContrast,
    Family,
)
from bnbench.evidence.epoch_times import epoch_ratio
from bnbench.evidence.experiment import (
    Experiment,
    called,
    group,
    is_named,
    known_names,
    order_of_seeds,
    position,
)
from bnbench.evidence.images import NewImages, for_new_images
from bnbench.evidence.levels import ALPHA, nominal_levels
from bnbench.evidence.pairs import Pairs
from bnbench.evidence.question import DEFAULT, Question
from bnbench.evidence.records import RunKey, RunRecord
from bnbench.evidence.tuning import CHOSEN_BY, Tuning, sweeps, tune
from bnbench.evidence.verdicts import Contrast, judge
from bnbench.experiments.config import Config, PlanConfig, check_same_settings
from bnbench.experiments.fields import Placement


def compare(records: Iterable[RunRecord], question: Question = DEFAULT) -> list[Comparison]:
    """Return one comparison for each sweep among the records, then one for each protocol.

    The newest come first. Runs on other data, and of another training version, make comparisons of
    their own. The comparison of a sweep has each network with the values that `tune` chooses; where
    the metric is the one that chose, they are compared by test accuracy. Raises `InputError` for a
    name that has no record or, as the baseline, several meanings, and for two settings of one id.
    """
    records = list(records)
    check_same_settings(dict.fromkeys(record.config for record in records))
    _check_names(question, records)
    wanted = [r for r in records if not question.names or is_named(r.config, question.wanted)]
    by_test = question
    if question.metric == CHOSEN_BY.name:
        by_test = replace(question, metric=Question.metric)
    tuned = [
        _comparison(tuning.records, by_test, tuning)
        for alike in _newest_first(wanted, _made_on)
        for keys, members in sweeps(alike)
        if (tuning := tune(keys, members, _plan(members, question)))
    ]
    protocols = _newest_first(wanted, lambda r: (*_made_on(r), r.protocol_id))
    comparisons = [*tuned, *(_comparison(alike, question) for alike in protocols)]
    candidates = [", ".join(c.baseline_may_be) for c in comparisons if c.baseline_may_be]
    if candidates and not any(c.baseline_was_named for c in comparisons):
        several = f"baseline {question.baseline} may be any of {candidates[0]}"
        raise InputError(f"{several}: name one of them")
    return list(_referenced(comparisons))


def _check_names(question: Question, records: Sequence[RunRecord]) -> None:
    configs = {record.config for record in records}
    for name in (*question.names, *([] if question.baseline is None else [question.baseline])):
        if not any(is_named(config, [name]) for config in configs):
            listed = ", ".join(known_names(configs)) or "none, as no run has been recorded"
            raise InputError(f"no experiment named {name}; there are: {listed}")


def without_subsumed(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return all comparisons but those of protocols whose runs are all values of a tuned one."""
    tried = {key for c in comparisons if c.tuning for key in c.tuning.run_keys}
    return [c for c in comparisons if c.tuning or not _keys(c) <= tried]


def newest(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparison of the newest protocol or, where it was tuned, the tuned ones."""
    latest = [c for c in comparisons if not c.tuning][:1]
    keys = {key for comparison in latest for key in _keys(comparison)}
    tuned = [c for c in comparisons if c.tuning and not keys.isdisjoint(c.tuning.run_keys)]
    return without_subsumed([*tuned, *latest])


def _keys(comparison: Comparison) -> set[RunKey]:
    return {r.key for e in comparison.experiments for r in e.records.values()}


def _made_on(record: RunRecord) -> tuple[Any, ...]:
    """Return what two runs must share to be comparable."""
    return record.data.sha256, record.data.rows, record.training_version


def _newest_first(
    records: Iterable[RunRecord], key: Callable[[RunRecord], Any]
) -> list[list[RunRecord]]:
    """Return the records in groups of the same key, those with the newest record first."""
    groups: dict[Any, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return sorted(groups.values(), key=lambda rs: max(r.started_at for r in rs))[::-1]


def _referenced(comparisons: Sequence[Comparison]) -> Iterator[Comparison]:
    """Give every comparison a reference of its own."""
    plain = ["tuned" if c.tuning else c.config.protocol_id for c in comparisons]
    taken: Counter[str] = Counter()
    for comparison, reference in zip(comparisons, plain, strict=True):
        if plain.count(reference) > 1 and not comparison.tuning:
            reference += f"@{comparison.baseline.newest.data.sha256[:8]}"
        taken[reference] += 1
        suffix = f"-{taken[reference]}" if taken[reference] > 1 else ""
        yield replace(comparison, reference=reference + suffix)


def _comparison(
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

    comparison = Comparison(
        question=question,
        plan=_plan(records, question),
        baselines=baselines,
        experiments=tuple(sorted(experiments, key=place)),
        contrasts=(),
        ratios={e: epoch_ratio(e, baselines[e]) for e in experiments},
        baseline_was_named=named,
        baseline_may_be=() if named else tuple(e.label for e in meant),
        tuning=tuning,
    )
    return replace(comparison, contrasts=tuple(_contrasts(comparison)))


def _baselines(experiments: Sequence[Experiment]) -> dict[Experiment, Experiment]:
    """Return the baseline of each: the network without BN that has its layers, if there is one.

    For all others it is the first of those or, where there is none, one with BN before the
    activations: with it, too, a contrast of the placements is after minus before.
    """

    def preference(one: Experiment) -> tuple[Any, ...]:
        placement = one.config.model.batch_norm.placement
        return placement != "none", placement != "before_activation", position(one.config, ())

    layers = {experiment: _layers(experiment.config) for experiment in experiments}
    shared = Counter(layers.values())
    plain: dict[tuple[Any, ...], Experiment] = {}
    for experiment in sorted(experiments, key=lambda e: position(e.config, ())):
        without = experiment.config.model.batch_norm.placement == "none"
        if without and shared[layers[experiment]] > 1:
            plain.setdefault(layers[experiment], experiment)
    first = min(plain.values() or experiments, key=preference)
    return {experiment: plain.get(own, first) for experiment, own in layers.items()}


def _layers(config: Config) -> tuple[Any, ...]:
    return tuple(config.model.model_dump(exclude={"batch_norm", "use_bias"}).values())


def _plan(records: Iterable[RunRecord], question: Question) -> PlanConfig:
    """Return the question's plan or, without one, that of the newest run."""
    return question.plan or max(records, key=lambda r: r.started_at).config.plan


_Pair = tuple[Experiment, Experiment]
_AFTER_AND_BEFORE: tuple[Placement, ...] = ("after_activation", "before_activation")


def _contrasts(comparison: Comparison) -> Iterator[ExperimentContrast]:
    """Judge the pairs of each family together."""
    skipped, plan, tuning = comparison.tuning_seeds, comparison.plan, comparison.tuning
    order = order_of_seeds(comparison.experiments, skipped + plan.most)[skipped:]
    direction = comparison.question.measure.direction
    for family, members in _families(comparison).items():
        pairs = [Pairs(order, a.outcomes, b.outcomes, direction) for a, b in members]
        results = judge(pairs, plan.looks, comparison.margin_in_metric)
        for pair, result in zip(members, results, strict=True):
            if tuning and not tuning.is_fair(*pair):
                result = result.withheld()
            yield ExperimentContrast(
                *pair,
                differs_in=_differs_in(comparison, pair),
                family=family,
                result=result,
                new_images=_new_images(comparison, pair, result, order),
            )


def _families(comparison: Comparison) -> dict[Family, list[_Pair]]:
    """Return which experiments are compared with which, each pair once, by family."""
    baselines = comparison.baselines
    pairs = [(e, baselines[e]) for e in comparison.experiments if baselines[e] is not e]
    for first, second in combinations(comparison.experiments, 2):
        if first is not baselines[second] and second is not baselines[first]:
            in_order = _placements((first, second)) == _AFTER_AND_BEFORE
            pairs.append((first, second) if in_order else (second, first))
    families: dict[Family, list[_Pair]] = {family: [] for family in FAMILIES}
    for pair in pairs:
        families[_family(comparison, pair)].append(pair)
    if not comparison.question.all_pairs:
        families["other"] = []
    return families


def _placements(pair: _Pair) -> tuple[Placement, ...]:
    return tuple(experiment.config.model.batch_norm.placement for experiment in pair)


def _family(comparison: Comparison, pair: _Pair) -> Family:
    """Return "placement" for BN after and before the activations where nothing else differs."""
    if set(_placements(pair)) == set(_AFTER_AND_BEFORE) and _differs_in(comparison, pair) == (
        PLACEMENT,
    ):
        return "placement"
    return "baseline" if pair[1] is comparison.baselines[pair[0]] else "other"


def _differs_in(comparison: Comparison, pair: _Pair) -> tuple[str, ...]:
    """Return the dotted keys of the settings in which two experiments differ, without the tuned."""
    one, other = (experiment.config.settings() for experiment in pair)
    return tuple(k for k in sorted(one) if one[k] != other[k] and k not in comparison.tuned)


def _new_images(
    comparison: Comparison, pair: _Pair, result: Contrast, order: tuple[int, ...]
) -> NewImages | None:
    """Return what the last look says of new images, where the metric is a share of test rows."""
    if not comparison.question.measure.by_row or not result.looks:
        return None
    last = result.looks[-1]
    correct = [[one.records[seed].correct() for one in pair] for seed in order[: last.seeds]]
    rows = [a.astype(np.int8) - b for a, b in correct if a is not None and b is not None]
    if not rows:
        return None
    one_sided = nominal_levels(comparison.plan.looks, sides=1)[len(result.looks) - 1]
    levels = last.level, one_sided
    return for_new_images(np.stack(rows), result.verdict, levels, comparison.margin_in_metric)


def resolvable_difference(comparison: Comparison, seeds: int) -> float | None:
    """Return the smallest true difference (in the metric's unit) that so many seeds likely find.

    It follows from the paired deviations so far, of the first family that has any. None without
    one, and where no look of the plan up to so many seeds could find a difference.
    """
    looks = comparison.plan.looks
    reached = [look for look in looks if look <= seeds]
    for family in FAMILIES:
        results = [c.result for c in comparison.contrasts if c.family == family]
        deviations = [result.sample.std for result in results if result.sample.std]
        if deviations and reached:
            level = nominal_levels(looks, ALPHA / len(results))[len(reached) - 1]
            if stats.smallest_p_value(reached[-1]) <= level:
                return power.resolvable_difference(float(np.median(deviations)), reached[-1], level)
    return None
