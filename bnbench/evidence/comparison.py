"""What a comparison is: experiments of one protocol, and contrasts of two of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from bnbench.evidence import stats
from bnbench.evidence.epoch_times import EpochRatio
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.images import NewImages
from bnbench.evidence.names import position
from bnbench.evidence.question import Question
from bnbench.evidence.tuning import Tuning
from bnbench.evidence.verdicts import Contrast
from bnbench.experiments.config import Config, PlanConfig
from bnbench.experiments.fields import Placement

PLACEMENT = "model.batch_norm.placement"
INPUT_BN = "model.batch_norm.input"
Family = Literal["placement", "baseline", "other"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class ExperimentContrast:
    """One experiment compared with another, seed by seed; differences are the first's minus.

    Of BN after and before the activations the first is the one with BN after, unless one of the two
    is the other's baseline, which comes second. ``differs_in`` names the settings in which they
    differ, except those that were tuned. Each ``family`` has its own 5 %: "placement" answers
    before or after, "baseline" compares the rest with it, "other" has what else was asked for.
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
        return first_experiment(self.baselines.values())

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

    @property
    def placement_contrasts(self) -> list[ExperimentContrast]:
        """The contrasts that answer before or after."""
        return [contrast for contrast in self.contrasts if contrast.family == "placement"]

    @property
    def primary_contrasts(self) -> list[ExperimentContrast]:
        """What decides the comparison: before or after, else all with the baseline."""
        return self.placement_contrasts or list(self.contrasts)

    @property
    def tuning_seeds(self) -> int:
        """How many seeds chose among swept values and have no part in the contrasts."""
        return self.tuning.tuning_seeds if self.tuning else 0


def first_experiment(experiments: Iterable[Experiment]) -> Experiment:
    """Return the one that stands first in tables."""
    return min(experiments, key=lambda e: position(e.config, ()))
