"""Which experiments get further seeds until what is asked is decided."""

from collections.abc import Mapping, Sequence

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.experiment import Identity


def contrasts_to_decide(comparisons: Sequence[Comparison]) -> list[ExperimentContrast]:
    """Return the contrasts that must all be decided before no more seeds are added."""
    return [c for comparison in _deciding(comparisons) for c in comparison.primary_contrasts]


def next_seeds(comparisons: Sequence[Comparison]) -> dict[Identity, int]:
    """Return which experiments get further seeds, and up to how many.

    They have an undecided contrast, and their baseline is also that of an undecided primary one.
    """
    wanted: dict[Identity, int] = {}
    for comparison in _deciding(comparisons):
        base = comparison.baselines
        primary = comparison.primary_contrasts
        undecided = {base[c.experiment] for c in primary if _is_open(comparison, c)}
        for contrast in comparison.contrasts:
            if _is_open(comparison, contrast) and base[contrast.experiment] in undecided:
                seeds = comparison.tuning_seeds + (contrast.result.next_look or 0)
                for side in (contrast.experiment, contrast.baseline):
                    wanted[side.identity] = max(wanted.get(side.identity, 0), seeds)
    return wanted


def runs_at_most(comparisons: Sequence[Comparison], done: Mapping[Identity, int]) -> int:
    """Return how many runs there would be at the plan's end, and with those ``done`` outside it."""
    planned = {
        experiment.identity: comparison.tuning_seeds + comparison.plan.most
        for comparison in _deciding(comparisons)
        for experiment in comparison.experiments
    }
    return sum(planned.get(identity, seeds) for identity, seeds in done.items())


def _deciding(comparisons: Sequence[Comparison]) -> Sequence[Comparison]:
    """Return the comparisons to decide: the tuned, where there are any."""
    return [comparison for comparison in comparisons if comparison.tuning] or comparisons


def _is_open(comparison: Comparison, contrast: ExperimentContrast) -> bool:
    """Return whether seeds may decide it: they repair no side that fails, and no unfair choice."""
    if contrast.failing or contrast.result.next_look is None:
        return False
    tuning = comparison.tuning
    return tuning is None or tuning.is_fair(contrast.experiment, contrast.baseline)
