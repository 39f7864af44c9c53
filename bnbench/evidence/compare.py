"""How records become comparisons: one for each sweep and each protocol."""

from collections.abc import Callable, Iterable, Iterator, Sequence
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

_Thing = TypeVar("_Thing")


def compare(records: Iterable[RunRecord], question: Question = DEFAULT) -> list[Comparison]:
    """Return one comparison for each sweep among the records, then one for each protocol.

    The newest come first. Runs on other data, and of another training version, make comparisons of
    their own. The comparison of a sweep has each network with the values that `tune` chooses; where
    the metric is the one that chose, they are compared by test accuracy. Raises `InputError` for a
    name that has no record, for a baseline whose name means several experiments everywhere, and for
    two settings of one id.
    """
    records = list(records)
    check_same_settings(dict.fromkeys(record.config for record in records))
    _check_names(question, records)
    wanted = [r for r in records if not question.names or is_named(r.config, question.wanted)]
    by_test = question
    if question.metric == CHOSEN_BY.name:
        by_test = replace(question, metric=Question.metric)
    alike = _newest_first(_split(wanted, lambda r: (*_made_on(r), r.protocol_id)))
    protocols = [_comparison(chosen, question) for chosen in alike]
    tuned = [
        _comparison(tuning.records, by_test, tuning)
        for chosen in _newest_first(_split(wanted, _made_on))
        for keys, members in sweeps(chosen)
        if (tuning := tune(keys, members, _plan(members, question)))
    ]
    _check_baseline([*tuned, *protocols])
    return _referenced([*tuned, *protocols])


def _check_names(question: Question, records: Sequence[RunRecord]) -> None:
    named = (*question.names, *([question.baseline] if question.baseline else ()))
    configs = {record.config for record in records} if named else set()
    for name in named:
        if not any(is_named(config, [name]) for config in configs):
            listed = ", ".join(known_names(configs)) or "none, as no run has been recorded"
            raise InputError(f"no experiment named {name}; there are: {listed}")


def without_subsumed(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return all comparisons but those of protocols whose runs are all values of a tuned one."""
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
    """Return what two runs must share to be comparable."""
    return record.data.sha256, record.data.rows, record.training_version


def _split(things: Iterable[_Thing], key: Callable[[_Thing], Any]) -> Iterable[list[_Thing]]:
    groups: dict[Any, list[_Thing]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
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


def _check_baseline(comparisons: Sequence[Comparison]) -> None:
    doubtful = [c for c in comparisons if c.baseline_may_be]
    if doubtful and not any(c.baseline_was_named for c in comparisons):
        name, candidates = doubtful[0].question.baseline, ", ".join(doubtful[0].baseline_may_be)
        raise InputError(f"baseline {name} may be any of {candidates}: name one of them")


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

    For all others it is the first of those or, where there is none, of all.
    """
    own: dict[Experiment, Experiment] = {}
    for alike in _split(experiments, lambda e: _layers(e.config)):
        plain = [e for e in alike if e.config.model.batch_norm.placement == "none"]
        if plain and len(alike) > 1:
            own.update(dict.fromkeys(alike, first_experiment(plain)))
    return dict.fromkeys(experiments, first_experiment(own.values() or experiments)) | own


def _layers(config: Config) -> tuple[Any, ...]:
    """Return the settings that networks share which differ in BN and bias alone."""
    settings = config.model.model_dump(exclude={"batch_norm", "use_bias"})
    return tuple(settings.values())


def _plan(records: Iterable[RunRecord], question: Question) -> PlanConfig:
    """Return the question's plan or, without one, that of the newest run."""
    return question.plan or max(records, key=lambda r: r.started_at).config.plan


_Pair = tuple[Experiment, Experiment]


def _contrasts(comparison: Comparison) -> Iterator[ExperimentContrast]:
    """Judge the pairs of each family together."""
    skipped, plan = comparison.tuning_seeds, comparison.plan
    order = order_of_seeds(comparison.experiments, skipped + plan.most)[skipped:]
    direction = comparison.question.measure.direction
    for family, members in _families(comparison).items():
        pairs = [Pairs(order, a.outcomes, b.outcomes, direction) for a, b in members]
        results = judge(pairs, plan.looks, comparison.margin_in_metric)
        for pair, result in zip(members, results, strict=True):
            fair = comparison.tuning is None or comparison.tuning.is_fair(*pair)
            judged = result if fair else result.withheld()
            yield ExperimentContrast(
                *pair,
                differs_in=_differs_in(comparison, pair),
                family=family,
                result=judged,
                new_images=_new_images(comparison, pair, judged, order),
            )


def _families(comparison: Comparison) -> dict[Family, list[_Pair]]:
    """Return which experiments are compared with which, each pair once, by family."""
    baselines = comparison.baselines
    pairs = [(e, baselines[e]) for e in comparison.experiments if baselines[e] is not e]
    pairs += (
        _after_minus_before(second, first)
        for first, second in combinations(comparison.experiments, 2)
        if first is not baselines[second] and second is not baselines[first]
    )
    families: dict[Family, list[_Pair]] = {family: [] for family in FAMILIES}
    for pair in pairs:
        families[_family(comparison, pair)].append(pair)
    if not comparison.question.all_pairs:
        families["other"] = []
    return families


def _placements(pair: _Pair) -> tuple[Placement, ...]:
    return tuple(experiment.config.model.batch_norm.placement for experiment in pair)


def _after_minus_before(*pair: Experiment) -> _Pair:
    """Return the pair, exchanged where it is BN before minus BN after."""
    first, second = pair
    backwards = _placements((first, second)) == ("before_activation", "after_activation")
    return (second, first) if backwards else (first, second)


def _family(comparison: Comparison, pair: _Pair) -> Family:
    """Return "placement" for BN after and before the activations where nothing else differs."""
    answers = set(_placements(pair)) == {"before_activation", "after_activation"}
    if answers and _differs_in(comparison, pair) == (PLACEMENT,):
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
    place = len(result.looks) - 1
    seeds = order[: result.looks[-1].seeds]
    correct = [tuple(one.records[seed].correct() for one in pair) for seed in seeds]
    rows = [a.astype(np.int8) - b for a, b in correct if a is not None and b is not None]
    if not rows:
        return None
    looks = comparison.plan.looks
    levels = nominal_levels(looks)[place], nominal_levels(looks, sides=1)[place]
    return for_new_images(np.stack(rows), result.verdict, levels, comparison.margin_in_metric)


def resolvable_difference(comparison: Comparison, seeds: int) -> float | None:
    """Return the smallest true difference (in the metric's unit) that so many seeds likely find.

    It is worked out from the paired deviations seen so far, for the first family that has any. None
    without a deviation, and where the plan has no look up to so many seeds, or none at which a
    difference could be found.
    """
    for family in FAMILIES:
        results = [c.result for c in comparison.contrasts if c.family == family]
        deviations = [result.sample.std for result in results if result.sample.std]
        reached = [look for look in comparison.plan.looks if look <= seeds]
        if not deviations or not reached:
            continue
        level = nominal_levels(comparison.plan.looks, ALPHA / len(results))[len(reached) - 1]
        if stats.smallest_p_value(reached[-1]) <= level:
            return power.resolvable_difference(float(np.median(deviations)), reached[-1], level)
    return None
