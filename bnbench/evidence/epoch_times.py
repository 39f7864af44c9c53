"""The ratio of two experiments' epoch times, where these can be compared."""

from dataclasses import dataclass

from bnbench.evidence import stats
from bnbench.evidence.experiment import Experiment

_TIMED = {  # what affects epoch times, of a run's environment, with its name
    "processor": "processor",
    "device": "device",
    "jobs": "jobs",
    "tensorflow": "TensorFlow",
}


@dataclass(frozen=True)
class Mismatch:
    """What differs between runs, so that their epoch times cannot be compared."""

    aspect: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class EpochRatio:
    """An experiment's epoch time over the baseline's: the median of the paired seeds' ratios.

    With a ``mismatch`` there is no ratio. ``interleaved`` is False where all runs of one came
    before those of the other, so that the ratio contains the machine's drift.
    """

    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    mismatch: Mismatch | None = None
    interleaved: bool = True


def epoch_ratio(experiment: Experiment, baseline: Experiment) -> EpochRatio:
    """Return the ratio over the seeds that both completed; none of an experiment to itself."""
    seeds = sorted(experiment.values.keys() & baseline.values.keys())
    if experiment is baseline or not seeds:
        return EpochRatio()
    if mismatch := _mismatch(experiment, baseline):
        return EpochRatio(mismatch=mismatch)
    ours, theirs = experiment.epoch_seconds(seeds), baseline.epoch_seconds(seeds)
    if len(seeds) < 2:
        return EpochRatio(ours[0] / theirs[0])
    ratio, low, high = stats.ratio_interval(ours, theirs)
    return EpochRatio(ratio, (low, high), interleaved=_interleaved(experiment, baseline))


def _mismatch(*experiments: Experiment) -> Mismatch | None:
    """Return the first aspect that affects epoch times and is not the same in all runs."""
    environments = [r.environment for e in experiments for r in e.records.values()]
    for field, aspect in _TIMED.items():
        seen = {str(getattr(environment, field)) for environment in environments}
        if len(seen) > 1:
            return Mismatch(aspect, tuple(sorted(seen)))
    return None


def _interleaved(experiment: Experiment, baseline: Experiment) -> bool:
    ours, theirs = (
        sorted(record.started_at for record in one.records.values())
        for one in (experiment, baseline)
    )
    return ours[0] <= theirs[-1] and theirs[0] <= ours[-1]
