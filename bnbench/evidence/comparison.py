"""Records to protocols, and each protocol's experiments to contrasts."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from bnbench.errors import InputError
from bnbench.evidence import power, stats
from bnbench.evidence.epoch_times import EpochRatio, epoch_ratio
from bnbench.evidence.experiment import Experiment, group, order_of_seeds
from bnbench.evidence.images import NewImages, for_new_images
from bnbench.evidence.levels import ALPHA, nominal_levels
from bnbench.evidence.names import called, check_names, is_named, position
from bnbench.evidence.question import DEFAULT, Question
from bnbench.evidence.records import RunKey, RunRecord
from bnbench.evidence.tuning import CHOSEN_BY, Tuning, sweeps, tune
from bnbench.evidence.verdicts import Contrast, Pairs, judge, negated, swapped, withheld
from bnbench.experiments.config import Config, Placement, PlanConfig

PLACEMENT = "model.batch_norm.placement"
INPUT_BN = "model.batch_norm.input"
_Thing = TypeVar("_Thing")
Family = Literal["placement", "baseline", "other"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class ExperimentContrast:
    """One experiment held against another, seed by seed; differences are the first's minus.

    ``differs_in`` names the settings in which they differ, but for those that were tuned. Each
    ``family`` has its own 5 %: that of the placement answers before or after, that of the baseline
    has all that is held against it, and a third has what else was asked for.
    """

    experiment: Experiment
    baseline: Experiment
    differs_in: tuple[str, ...]
    family: Family
    result: Contrast
    new_images: NewImages | None = None

    @property
    def clean(self) -> bool:
        """Whether the two differ in the placement alone (and the bias it removes by ``auto``)."""
        return set(self.differs_in) <= {PLACEMENT}

    @property
    def failing(self) -> tuple[Experiment, ...]:
        """The sides that do no better than guessing: what fails to train is not worse, it fails."""
        return tuple(e for e in (self.experiment, self.baseline) if e.fails_to_train)

    @property
    def by_placement(self) -> dict[Placement, Experiment]:
        """The two sides by where their BN stands."""
        return {e.config.model.batch_norm.placement: e for e in (self.experiment, self.baseline)}

    def swapped(self) -> "ExperimentContrast":
        """Return it with the sides exchanged."""
        images = self.new_images
        if images:
            images = replace(images, interval=(-images.interval[1], -images.interval[0]))
        return replace(
            self,
            experiment=self.baseline,
            baseline=self.experiment,
            result=swapped(self.result),
            new_images=images,
        )

    @property
    def confounds(self) -> tuple[str, ...]:
        """The settings besides the placement in which the two differ."""
        return tuple(key for key in self.differs_in if key != PLACEMENT)


@dataclass(frozen=True)
class Comparison:
    """All experiments of one protocol on one state of the data, held against a baseline.

    With ``tuning`` they are of protocols that differ in what was tuned. ``reference`` is what the
    comparison is called by: its protocol's id or ``tuned``, with more where that is not enough.
    ``baselines`` has what each experiment is held against, a baseline itself; the ``baseline`` is
    the first of them. ``baseline_may_be`` has the labels of all that its name means, if several.
    """

    question: Question
    plan: PlanConfig
    baselines: Mapping[Experiment, Experiment]
    experiments: tuple[Experiment, ...]
    contrasts: tuple[ExperimentContrast, ...]
    ratios: Mapping[Experiment, EpochRatio]
    baseline_was_named: bool
    baseline_may_be: tuple[str, ...] = ()
    tuning: Tuning | None = None
    reference: str = ""

    @cached_property
    def baseline(self) -> Experiment:
        """The first of what the experiments are held against."""
        return _first(self.baselines.values())

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
    def margin(self) -> float:
        """What difference does not matter, in the unit in which differences are shown."""
        return self.plan.margin if self.question.margin is None else self.question.margin

    @property
    def margin_in_metric(self) -> float:
        """The same in the metric's own unit: a share of 1 for accuracies."""
        return self.margin / self.question.measure.scale

    @property
    def plans(self) -> set[PlanConfig]:
        """The plans that were stated when the runs were made."""
        return {r.config.plan for e in self.experiments for r in e.records.values()}

    @property
    def smoke(self) -> bool:
        """Whether this only shows that the program works."""
        return self.config.data.dataset == "fashion_mnist_sample"

    def recall_difference(
        self, experiment: Experiment, place: int
    ) -> tuple[float | None, stats.Interval | None]:
        """Return how much more of a class an experiment gets right than its baseline.

        It is the mean over the paired seeds with its 95 % t interval, as shares of 1; None where
        too few seeds are paired or the class has no test row.
        """
        ours, theirs = experiment.recalls, self.baselines[experiment].recalls
        both = sorted(ours.keys() & theirs.keys())
        values = np.array([ours[seed][place] - theirs[seed][place] for seed in both])
        if not len(values) or np.isnan(values[0]):
            return None, None
        if len(values) < 2:
            return float(values[0]), None
        low, high = stats.mean_interval(values)
        return float(values.mean()), (float(low), float(high))

    def against_baseline(self, experiment: Experiment) -> ExperimentContrast | None:
        """Return the contrast of this experiment with its baseline."""
        for contrast in self.contrasts:
            if contrast.experiment is experiment and self.is_against_baseline(contrast):
                return contrast
        return None

    def is_against_baseline(self, contrast: ExperimentContrast) -> bool:
        """Whether a contrast is with its experiment's own baseline."""
        return contrast.baseline is self.baselines[contrast.experiment]

    @cached_property
    def told(self) -> tuple[ExperimentContrast, ...]:
        """The contrasts as people are told them: after minus before, where neither is a baseline.

        Programs get ``contrasts``, in which an experiment is held against one that comes before it.
        """
        return tuple(
            c.swapped() if c.family == "placement" and self._is_before_minus_after(c) else c
            for c in self.contrasts
        )

    def _is_before_minus_after(self, contrast: ExperimentContrast) -> bool:
        before = contrast.by_placement.get("before_activation")
        return contrast.experiment is before and not self.is_against_baseline(contrast)

    @property
    def placements(self) -> list[ExperimentContrast]:
        """The contrasts that answer before or after, as people are told them."""
        return [contrast for contrast in self.told if contrast.family == "placement"]


def compare(records: Iterable[RunRecord], question: Question = DEFAULT) -> list[Comparison]:
    """Return one comparison for each sweep among the records, then one for each protocol.

    The newest come first. Runs on other data, and of another training version, are compared apart.
    In the comparison of a sweep each network stands with the values that `tune` chooses, and they
    are compared by their test accuracy, whatever the metric. Raises `InputError` for a name that
    has no record and for a baseline that may be several wherever it has records.
    """
    records = list(records)
    check_names(question, records)
    wanted = [r for r in records if not question.names or is_named(r.config, question.wanted)]
    by_test = question
    if question.metric == CHOSEN_BY.name:  # which chose already
        by_test = replace(question, metric=Question.metric)
    alike = _newest_first(_split(wanted, lambda r: (*_made_on(r), r.protocol_id)))
    protocols = [_contrasted(chosen, question) for chosen in alike]
    tuned = [
        _contrasted(tuning.records, by_test, tuning)
        for chosen in _newest_first(_split(wanted, _made_on))
        for keys, members in sweeps(chosen)
        if (tuning := tune(keys, members, _plan(members, question)))
    ]
    _check_baseline([*tuned, *protocols])
    return _referenced([*tuned, *protocols])


def sought(comparison: Comparison) -> list[ExperimentContrast]:
    """Return what settles a comparison: before or after, else all against the baseline."""
    return comparison.placements or list(comparison.told)


def whole(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return all comparisons but the protocols that are a value of a tuned one and no more."""
    tried = {key for c in comparisons if c.tuning for key in c.tuning.tried}
    return [c for c in comparisons if c.tuning or not _keys(c) <= tried]


def newest(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparison of the newest protocol or, where it was tuned, the tuned ones."""
    latest = next((c for c in comparisons if not c.tuning), None)
    if latest is None:
        return list(comparisons)
    tuned = [c for c in comparisons if c.tuning and _keys(latest) & set(c.tuning.tried)]
    return [c for c in whole(comparisons) if c in tuned or c is latest]


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
    apart = tuning.apart if tuning else 0
    return Comparison(
        question=question,
        plan=plan,
        baselines=baselines,
        experiments=tuple(experiments),
        contrasts=_contrasts(
            _pairs(experiments, baselines, question, tuning),
            order_of_seeds(experiments, apart + plan.most)[apart:],
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
            own.update(dict.fromkeys(alike, _first(plain)))
    return dict.fromkeys(experiments, _first(own.values() or experiments)) | own


def _first(experiments: Iterable[Experiment]) -> Experiment:
    return min(experiments, key=lambda e: position(e.config, ()))


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
        (second, first)
        for first, second in combinations(experiments, 2)
        if first is not baselines[second] and second is not baselines[first]
    )
    tuned = tuning.keys if tuning else ()
    families = {pair: _family(*pair, baselines, tuned) for pair in held}
    wanted = {
        pair: family for pair, family in families.items() if family != "other" or question.all_pairs
    }
    return dict(sorted(wanted.items(), key=lambda item: FAMILIES.index(item[1])))


def _family(
    experiment: Experiment,
    against: Experiment,
    baselines: Mapping[Experiment, Experiment],
    tuned: Collection[str],
) -> Family:
    """Return "placement" for BN before against after the activations and nothing else."""
    configs = experiment.config, against.config
    placements = {config.model.batch_norm.placement for config in configs}
    if differences(*configs, tuned) == (PLACEMENT,) and "none" not in placements:
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
                differs_in=differences(pair[0].config, pair[1].config, tuned),
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


def differences(first: Config, second: Config, tuned: Collection[str] = ()) -> tuple[str, ...]:
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
