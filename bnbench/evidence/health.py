"""What makes an answer unreliable: each kind of finding with its test, its words and its cure."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import ValidationError

from bnbench.evidence.advice import Advice, Sweep
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment, says_one_class
from bnbench.evidence.records import DataSummary
from bnbench.experiments.config import Config
from bnbench.experiments.sweep import is_number, short_key
from bnbench.text import count, listed, percent


@dataclass(frozen=True)
class Finding(ABC):
    """One reason not to rely on an answer; a new kind is a subclass, and its entry in ``KINDS``.

    It is ``about`` an experiment's label, the name of a swept config, or "data"; ``message`` is a
    sentence without its full stop.
    """

    kind: ClassVar[str]  # in JSON
    about: str
    message: str

    @classmethod
    @abstractmethod
    def find(cls, comparison: Comparison) -> Iterator[Self]:
        """Yield what is found of this kind."""

    @abstractmethod
    def cure(self, advice: Advice) -> str:
        """Return what to do about it: what to type where one can type, else in words."""


def health(comparison: Comparison) -> list[Finding]:
    """Return what to repair before the comparison is believed; nothing for a smoke run."""
    if comparison.smoke:
        return []
    return [finding for kind in KINDS for finding in kind.find(comparison)]


class _OfExperiment(Finding):
    @classmethod
    def find(cls, comparison: Comparison) -> Iterator[Self]:
        for experiment in comparison.experiments:
            if message := cls.said_of(experiment):
                yield cls(experiment.label, f"{experiment.label}{message}")

    @staticmethod
    @abstractmethod
    def said_of(experiment: Experiment) -> str | None:
        """Return what follows the experiment's label, where there is anything to say."""

    def cure(self, advice: Advice) -> str:
        return advice.rates


_FAILS = " fails to train at these settings: "


class AllDiverged(_OfExperiment):
    """No run of an experiment completed."""

    kind = "all_diverged"

    @staticmethod
    def said_of(experiment: Experiment) -> str | None:
        if experiment.completed:
            return None
        runs = len(experiment.records)
        return f"{_FAILS}{'its one run' if runs == 1 else f'each of its {runs} runs'} diverged"


class OneClassSaid(_OfExperiment):
    """Every run of an experiment assigns all test rows to one class."""

    kind = "most_frequent_class"

    @staticmethod
    def said_of(experiment: Experiment) -> str | None:
        if not (experiment.completed and all(map(says_one_class, experiment.completed))):
            return None
        rows = experiment.newest.data.test_rows_by_class
        return (
            f"{_FAILS}every run assigns all test rows to one class; the most frequent one is "
            f"{percent(max(rows) / sum(rows))} % of them"
        )


class NotLearned(_OfExperiment):
    """No run of an experiment did better than guessing, in any other way."""

    kind = "not_learned"

    @staticmethod
    def said_of(experiment: Experiment) -> str | None:
        if not experiment.fails_to_train or all(map(says_one_class, experiment.completed)):
            return None
        return (
            f"{_FAILS}no run does clearly better than guessing, or there is nothing to learn in "
            "these features"
        )


class SomeLearned(_OfExperiment):
    """Some runs of an experiment learned and some did not."""

    kind = "some_learned"

    @staticmethod
    def said_of(experiment: Experiment) -> str | None:
        if not experiment.mixed:
            return None
        learned, completed = len(experiment.learned), len(experiment.completed)
        return (
            f": {count(learned, 'run')} learned and {completed - learned} did not do clearly "
            "better than guessing, so its mean describes neither"
        )


class NeverRight(_OfExperiment):
    """An experiment that learned has classes of which no run had a single test row right."""

    kind = "class_never_right"

    @staticmethod
    def said_of(experiment: Experiment) -> str | None:
        data = experiment.newest.data
        rows = data.test_rows_by_class
        right = [r.data.test_correct_by_class or rows for r in experiment.completed]
        names = data.class_names or tuple(map(str, range(len(rows))))
        never = [
            name
            for place, name in enumerate(names)
            if rows[place] and not any(by_class[place] for by_class in right)
        ]
        if experiment.fails_to_train or not never:
            return None
        return (
            f" has no test row right of {'class' if len(never) == 1 else 'classes'} {listed(never)}"
        )

    def cure(self, advice: Advice) -> str:
        return advice.recalls


class OfData(Finding):
    """What can be seen before anything is trained."""

    of_shares: ClassVar = False  # it matters only where the metric is a share of the test rows

    @classmethod
    def find(cls, comparison: Comparison) -> Iterator[Self]:
        metric = comparison.question.measure
        if metric.by_row or not cls.of_shares:
            data, standardized = comparison.baseline.newest.data, comparison.config.data.standardize
            yield from cls.find_in(data, standardized, comparison.margin, metric.scale)

    @classmethod
    def find_in(
        cls, data: DataSummary, standardized: bool, margin: float, scale: float
    ) -> Iterator[Self]:
        """Yield the finding, if any; the ``margin`` is ``scale`` times a share of the test rows."""
        if message := cls.said_of(data, standardized, margin, scale):
            yield cls("data", message)

    @staticmethod
    @abstractmethod
    def said_of(data: DataSummary, standardized: bool, margin: float, scale: float) -> str | None:
        """Return the message, where there is anything to say."""

    def cure(self, advice: Advice) -> str:
        return advice.standardize


class ScalesApart(OfData):
    """The features' ranges differ so much that the network hardly sees the small ones."""

    kind = "feature_scales"

    @staticmethod
    def said_of(data: DataSummary, standardized: bool, margin: float, scale: float) -> str | None:
        low, high = data.feature_scales
        if standardized or not _apart(data):
            return None
        return (
            f"the features' ranges lie {high / low:,.0f}-fold apart ({low:.3g} to {high:.3g}), or "
            "single values lie far out: the network hardly sees the small ones, and Batch "
            "Normalization on the input repairs just that"
        )


def _apart(data: DataSummary) -> bool:
    low, high = data.feature_scales
    return low > 0 and high >= 100 * low


class FeatureValues(OfData):
    """The features are far smaller or larger than 1, or far from 0 for how much they vary."""

    kind = "feature_values"

    @staticmethod
    def said_of(data: DataSummary, standardized: bool, margin: float, scale: float) -> str | None:
        largest, reach = data.feature_scales[1], data.feature_reach or 0.0
        far = reach > 10 and reach > 5 * largest
        usual = 0.1 <= largest <= 100  # what the usual learning rates suit
        if standardized or _apart(data) or largest <= 0 or (usual and not far):
            return None
        return (
            f"the features {f'reach {reach:,.4g} with' if far else 'have'} ranges of "
            f"{largest:,.4g} at most, not about 1 around 0: the usual learning rates do not suit "
            "that, and Batch Normalization on the input repairs just that"
        )


class CoarseRows(OfData):
    """One test row moves the metric by more than the margin."""

    kind = "coarse_test_rows"
    of_shares = True

    @staticmethod
    def said_of(data: DataSummary, standardized: bool, margin: float, scale: float) -> str | None:
        rows = data.rows[2]
        if not scale / rows > margin > 0:
            return None
        return (
            f"one of the {rows:,} test rows is worth {100 / rows:.2g} points, more than the margin "
            f"of {margin:g}: that takes {math.ceil(scale / margin):,} rows at least"
        )

    def cure(self, advice: Advice) -> str:
        return advice.margin


class OneClassPrevails(OfData):
    """Most test rows are of one class, so that accuracy says little about the others."""

    kind = "one_class_prevails"
    of_shares = True

    @staticmethod
    def said_of(data: DataSummary, standardized: bool, margin: float, scale: float) -> str | None:
        share = max(data.test_rows_by_class) / data.rows[2]
        if share <= 0.8:
            return None
        of = f"{percent(share)} % of the test rows are of one class"
        return f"{of}: accuracy says little about the others"

    def cure(self, advice: Advice) -> str:
        return advice.balanced


@dataclass(frozen=True)
class FewSteps(Finding):
    """BN's moving statistics, used on test rows, keep more than 1 % of their start values."""

    kind = "few_steps"
    epochs_needed: int

    @classmethod
    def find(cls, comparison: Comparison) -> Iterator[Self]:
        for experiment in comparison.experiments:
            training, model = experiment.config.training, experiment.config.model
            per_epoch = math.ceil(experiment.newest.data.rows[0] / training.batch_size)
            steps, momentum = per_epoch * training.epochs, model.batch_norm.momentum
            if experiment.completed and model.uses_batch_norm and momentum**steps > 0.01:
                needed = math.ceil(math.log(0.01) / math.log(momentum) / per_epoch)
                message = (
                    f"after {count(steps, 'step')} the moving statistics, which Batch "
                    f"Normalization uses on test rows, still hold {percent(momentum**steps)} % of "
                    f"their start values; {count(needed, 'epoch')} leave less than 1 %"
                )
                yield cls("data", message, needed)
                return  # the others have as many steps, and mostly the same momentum

    def cure(self, advice: Advice) -> str:
        return advice.set("training.epochs", self.epochs_needed)


@dataclass(frozen=True)
class BestAtEnd(Finding):
    """The best of the values that were tried is the smallest or the largest of them.

    ``wider`` has what to try: the values of before and, of this setting, some beyond the end.
    """

    kind = "best_at_end"
    wider: Sweep

    @classmethod
    def find(cls, comparison: Comparison) -> Iterator[Self]:
        for one in comparison.tuning.candidates if comparison.tuning else ():
            tried = {key: one.tried(key) for key in one.keys}
            for key, value in one.values(one.best).items():
                end = _end(value, tried[key])
                if end and (beyond := _beyond(one.best.config, key, value, end)):
                    message = (
                        f"{one.name} does best at the {end} {short_key(key)} that was tried, "
                        f"{value:g}; values beyond it may be better"
                    )
                    wider = {**tried, key: tuple(sorted([*tried[key], *beyond]))}
                    yield cls(one.name, message, wider)

    def cure(self, advice: Advice) -> str:
        return advice.sweep(self.wider)


def _end(value: Any, tried: Sequence[Any]) -> str | None:
    """Return which end of several numbers a value is, if any."""
    if not is_number(value) or len(tried) < 2:
        return None
    return {min(tried): "smallest", max(tried): "largest"}.get(value)


def _beyond(config: Config, key: str, value: float, end: str) -> list[float]:
    """Return a third and a tenth of a value, or three and ten times it, where a config allows."""
    factors = (1 / 3, 1 / 10) if end == "smallest" else (3, 10)
    further = {float(f"{value * factor:.1g}") for factor in factors}
    if isinstance(value, int):
        further = {round(one) for one in further}
    return [one for one in further - {value} if _allowed(config, key, one)]


def _allowed(config: Config, key: str, value: float) -> bool:
    settings = place = config.resolved()
    *parents, leaf = key.split(".")
    for parent in parents:
        place = place[parent]
    place[leaf] = value
    try:
        Config.model_validate(settings)
    except ValidationError:
        return False
    return True


_OF_DATA: tuple[type[OfData], ...] = (ScalesApart, FeatureValues, CoarseRows, OneClassPrevails)
_OF_EXPERIMENTS = (AllDiverged, OneClassSaid, NotLearned, SomeLearned, NeverRight)
KINDS: tuple[type[Finding], ...] = (*_OF_EXPERIMENTS, *_OF_DATA, FewSteps, BestAtEnd)


def of_data(
    data: DataSummary, standardized: bool, margin: float, scale: float = 100.0
) -> Iterator[OfData]:
    """Yield what can be seen before anything is trained; the margin is ``scale`` times a share."""
    for kind in _OF_DATA:
        yield from kind.find_in(data, standardized, margin, scale)
