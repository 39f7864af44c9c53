"""A comparison: experiments of one protocol, and the contrasts of two of them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from bnbench.evidence.epoch_times import EpochRatio
from bnbench.evidence.experiment import Experiment, position
from bnbench.evidence.images import NewImages
from bnbench.evidence.pairs import Sample
from bnbench.evidence.question import Question
from bnbench.evidence.stats import Interval
from bnbench.evidence.tuning import Tuning
from bnbench.evidence.verdicts import Contrast
from bnbench.experiments.config import Config, PlanConfig

PLACEMENT = "model.batch_norm.placement"
Family = Literal["placement", "baseline", "other"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True)
class ExperimentContrast:
    """One experiment compared with another, seed by seed; differences are the first's minus.

    The first is the one with BN after the activations, unless it is the other's baseline.
    ``differs_in`` names the settings in which the two differ, except those that were tuned. Each
    ``family`` has its own 5 %: "placement" answers before or after, "baseline" compares all with
    their baselines, "other" has the rest of all pairs.
    """

    experiment: Experiment
    baseline: Experiment
    differs_in: tuple[str, ...]
    family: Family
    result: Contrast
    new_images: NewImages | None = None

    @property
    def failing(self) -> tuple[Experiment, ...]:
        """The sides that do no better than guessing; of these no verdict is reported."""
        return tuple(e for e in (self.experiment, self.baseline) if e.fails_to_train)

    @property
    def confounds(self) -> tuple[str, ...]:
        """The settings besides the placement in which the two differ; a clean contrast has none."""
        return tuple(key for key in self.differs_in if key != PLACEMENT)


@dataclass(frozen=True)
class Comparison:
    """All experiments of one protocol on one state of the data, compared with a baseline.

    With ``tuning`` they are of protocols that differ in what was tuned. ``reference`` is the name
    of the comparison: its protocol's id or ``tuned``, with a suffix where that is not unique.
    ``baselines`` has the baseline of each experiment; a baseline is its own. ``baseline_may_be``
    has the labels of all experiments that the baseline's name means, if several.
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
        """The first of the baselines."""
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
            part: {k: v for k, v in resolved[part].items() if f"{part}.{k}" not in self.tuned}
            for part in ("data", "training")
        }

    @property
    def margin(self) -> float:
        """The difference that does not matter, in the unit in which differences are shown."""
        return self.plan.margin if self.question.margin is None else self.question.margin

    @property
    def margin_in_metric(self) -> float:
        """The same in the metric's own unit: a share of 1 for accuracies."""
        return self.margin / self.question.measure.scale

    @property
    def smoke(self) -> bool:
        """Whether this is of smoke runs, which only test the program."""
        return self.config.data.dataset == "fashion_mnist_sample"

    def recall_difference(
        self, experiment: Experiment, place: int
    ) -> tuple[float | None, Interval | None]:
        """Return the difference in a class's recall to the baseline, and its interval.

        Both are shares of 1 over the paired seeds, None where these are too few.
        """
        ours, theirs = experiment.recalls, self.baselines[experiment].recalls
        both = sorted(ours.keys() & theirs.keys())
        differences = (float(ours[seed][place] - theirs[seed][place]) for seed in both)
        sample = Sample(tuple(d for d in differences if not math.isnan(d)))
        return sample.mean, sample.interval(0.05)

    def against_baseline(self, experiment: Experiment) -> ExperimentContrast | None:
        """Return the contrast of this experiment with its baseline."""
        own = (c for c in self.contrasts if c.experiment is experiment)
        return next(filter(self.is_against_baseline, own), None)

    def is_against_baseline(self, contrast: ExperimentContrast) -> bool:
        """Whether a contrast is with its experiment's own baseline."""
        return contrast.baseline is self.baselines[contrast.experiment]

    @property
    def placement_contrasts(self) -> list[ExperimentContrast]:
        """The contrasts of BN after with BN before the activations."""
        return [contrast for contrast in self.contrasts if contrast.family == "placement"]

    @property
    def primary_contrasts(self) -> list[ExperimentContrast]:
        """The contrasts that answer the question: of placements, else all."""
        return self.placement_contrasts or list(self.contrasts)

    @property
    def tuning_seeds(self) -> int:
        """How many seeds chose among swept values and are not used in the contrasts."""
        return self.tuning.tuning_seeds if self.tuning else 0


def first_experiment(experiments: Iterable[Experiment]) -> Experiment:
    """Return the one that comes first in tables."""
    return min(experiments, key=lambda e: position(e.config, ()))
