"""What makes a comparison unfit to rely on, whatever its verdicts say."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import ValidationError

from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment, says_one_class
from bnbench.evidence.records import DataSummary
from bnbench.experiments.config import Config

_FAR_APART = 100.0  # of feature scales: the largest over the smallest
_USUAL = (0.1, 100.0)  # largest range of features that the usual learning rates suit
_OFFSET = (10.0, 5.0)  # how far from 0 features are too far: in itself, and in largest ranges
_START_LEFT = 0.01  # share of the start values that moving statistics may still hold
_NEARLY_ALL = 0.8  # of the test rows, in one class


@dataclass(frozen=True)
class NotLearned:
    """No run of an experiment did better than guessing; ``one_class`` where each says but one.

    ``most_frequent`` is the share of the test rows that are of the most frequent class.
    """

    experiment: Experiment
    one_class: bool
    most_frequent: float

    @property
    def kind(self) -> str:
        """What it is called in JSON."""
        return "most_frequent_class" if self.one_class else "not_learned"


@dataclass(frozen=True)
class AllDiverged:
    """No run of an experiment completed, of so many."""

    kind: ClassVar = "all_diverged"
    experiment: Experiment
    runs: int


@dataclass(frozen=True)
class SomeLearned:
    """Some runs of an experiment learned and some did not, so that a mean stands for neither."""

    kind: ClassVar = "some_learned"
    experiment: Experiment
    learned: int
    not_learned: int


@dataclass(frozen=True)
class ScalesApart:
    """The features' ranges differ so much that the network hardly sees the small ones."""

    kind: ClassVar = "feature_scales"
    low: float
    high: float


@dataclass(frozen=True)
class FeatureValues:
    """The features are far smaller or larger than 1, or far from 0 for how much they vary."""

    kind: ClassVar = "feature_values"
    largest_range: float
    reach: float
    far: bool


@dataclass(frozen=True)
class FewSteps:
    """BN's moving statistics still hold a good share of their start values after the last step.

    They are what Batch Normalization uses on test rows; ``needed`` epochs leave less than 1 %.
    """

    kind: ClassVar = "few_steps"
    steps: int
    share: float
    needed: int


@dataclass(frozen=True)
class CoarseRows:
    """One test row moves the metric by more than the margin; ``needed`` rows would not."""

    kind: ClassVar = "coarse_test_rows"
    rows: int
    margin: float
    needed: int


@dataclass(frozen=True)
class NeverRight:
    """A class of which no run of an experiment had a single test row right."""

    kind: ClassVar = "class_never_right"
    experiment: Experiment
    classes: tuple[str, ...]


@dataclass(frozen=True)
class OneClassPrevails:
    """Most test rows are of one class, so that accuracy says little of the others."""

    kind: ClassVar = "one_class_prevails"
    share: float


@dataclass(frozen=True)
class BestAtEnd:
    """The best of the values that were tried is the smallest or the largest of them.

    ``wider`` has what is to be tried, of each key that was swept: the values there were and, of
    this one, more beyond the end.
    """

    kind: ClassVar = "best_at_end"
    name: str
    key: str
    value: float
    end: Literal["smallest", "largest"]
    wider: Mapping[str, tuple[Any, ...]]


OfData = ScalesApart | FeatureValues | CoarseRows | OneClassPrevails
Finding = OfData | AllDiverged | NotLearned | SomeLearned | FewSteps | NeverRight | BestAtEnd


def health(comparison: Comparison) -> list[Finding]:
    """Return what is to be mended before the comparison is believed; of a smoke run nothing."""
    if comparison.smoke:
        return []
    return [
        *(found for e in comparison.experiments for found in _of_experiment(e)),
        *_of_data(comparison),
        *_of_steps(comparison),
        *_of_tuning(comparison),
    ]


def _of_experiment(experiment: Experiment) -> Iterator[Finding]:
    completed = experiment.completed
    if not completed:
        yield AllDiverged(experiment, len(experiment.records))
        return
    rows = experiment.newest.data.test_rows_by_class
    if experiment.fails_to_train:
        yield NotLearned(experiment, all(map(says_one_class, completed)), max(rows) / sum(rows))
        return
    if experiment.mixed:
        did = len(experiment.learned)
        yield SomeLearned(experiment, did, len(completed) - did)
    names = experiment.newest.data.class_names or tuple(map(str, range(len(rows))))
    never = [
        name
        for place, name in enumerate(names)
        if rows[place]
        and not any((record.data.test_correct_by_class or rows)[place] for record in completed)
    ]
    if never:
        yield NeverRight(experiment, tuple(never))


def _of_data(comparison: Comparison) -> Iterator[Finding]:
    data = comparison.baseline.newest.data
    metric = comparison.question.measure
    for found in of_data(data, comparison.config.data.standardize, comparison.margin, metric.scale):
        if metric.by_row or not isinstance(found, CoarseRows | OneClassPrevails):
            yield found  # those two are about shares of test rows


def of_data(
    data: DataSummary, standardized: bool, margin: float, scale: float = 100.0
) -> Iterator[OfData]:
    """Yield what can be seen before anything is trained; the margin is ``scale`` times a share."""
    if not standardized:
        yield from _of_features(*data.feature_scales, data.feature_reach or 0.0)
    rows = data.rows[2]
    if scale / rows > margin > 0:
        yield CoarseRows(rows, margin, math.ceil(scale / margin))
    share = max(data.test_rows_by_class) / rows
    if share > _NEARLY_ALL:
        yield OneClassPrevails(share)


def _of_features(low: float, high: float, reach: float) -> Iterator[ScalesApart | FeatureValues]:
    far = reach > _OFFSET[0] and reach > _OFFSET[1] * high
    if low > 0 and high >= _FAR_APART * low:
        yield ScalesApart(low, high)
    elif high > 0 and (far or not _USUAL[0] <= high <= _USUAL[1]):
        yield FeatureValues(high, reach, far)


def _of_steps(comparison: Comparison) -> Iterator[FewSteps]:
    for training_rows, config in dict.fromkeys(
        (e.newest.data.rows[0], e.config) for e in comparison.experiments if e.completed
    ):
        per_epoch = math.ceil(training_rows / config.training.batch_size)
        steps, momentum = per_epoch * config.training.epochs, config.model.batch_norm.momentum
        share = momentum**steps
        if config.model.uses_batch_norm and share > _START_LEFT:
            enough = math.log(_START_LEFT) / math.log(momentum)
            yield FewSteps(steps, share, math.ceil(enough / per_epoch))
            return  # the others have as many steps, and mostly the same momentum


def _of_tuning(comparison: Comparison) -> Iterator[Finding]:
    for one in comparison.tuning.candidates if comparison.tuning else ():
        tried = {key: one.tried(key) for key in one.keys}
        for key, (value, end) in one.ends().items():
            beyond = _beyond(one.best.config, key, value, end)
            if beyond:
                wider = {**tried, key: tuple(sorted([*tried[key], *beyond]))}
                yield BestAtEnd(one.name, key, value, end, wider)


def _beyond(config: Config, key: str, value: float, end: str) -> list[float]:
    """Return a third and a tenth of a value, or three and ten times it, where a config allows."""
    factors = (1 / 3, 1 / 10) if end == "smallest" else (3, 10)
    further = {float(f"{value * factor:.1g}") for factor in factors}
    if isinstance(value, int):
        further = {round(one) for one in further}
    return [one for one in further - {value} if _allowed(config, key, one)]


def _allowed(config: Config, key: str, value: float) -> bool:
    section, _, setting = key.partition(".")
    settings = config.resolved()
    place = settings[section]
    *parents, leaf = setting.split(".")
    for parent in parents:
        place = place[parent]
    place[leaf] = value
    try:
        Config.model_validate(settings)
    except ValidationError:
        return False
    return True
