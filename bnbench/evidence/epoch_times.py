"""The ratio of two experiments' epoch times, where these can be compared."""

from dataclasses import dataclass

from bnbench.evidence import stats
from bnbench.evidence.experiment import Experiment

_TIMED = "processor", "device", "jobs", "tensorflow"  # of a run's environment


@dataclass(frozen=True)
class EpochRatio:
    """An experiment's epoch time over the baseline's: the median of the paired seeds' ratios.

    There is none where ``mismatch`` says what differs. ``interleaved`` is False where all runs of
    one came before those of the other: the ratio then contains the machine's drift.
    """

    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    mismatch: str | None = None
    interleaved: bool = True


def epoch_ratio(experiment: Experiment, baseline: Experiment) -> EpochRatio:
    """Return the ratio over the seeds that both completed; none of an experiment to itself."""
    seeds = sorted(experiment.values.keys() & baseline.values.keys())
    if experiment is baseline or not seeds:
        return EpochRatio()
    both = [list(one.records.values()) for one in (experiment, baseline)]
    for field in _TIMED:
        seen = {str(getattr(r.environment, field)) for records in both for r in records}
        if len(seen) > 1:
            return EpochRatio(mismatch=f"different {field}: {', '.join(sorted(seen))}")
    ours, theirs = experiment.epoch_seconds(seeds), baseline.epoch_seconds(seeds)
    if len(seeds) < 2:
        return EpochRatio(ours[0] / theirs[0])
    ratio, low, high = stats.ratio_interval(ours, theirs)
    (first, last), (base_first, base_last) = (
        (min(starts), max(starts))
        for starts in ([r.started_at for r in records] for records in both)
    )
    interleaved = first <= base_last and base_first <= last
    return EpochRatio(ratio, (low, high), interleaved=interleaved)
