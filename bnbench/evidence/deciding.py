"""Which experiments get further seeds until what is asked is decided."""

from collections.abc import Mapping, Sequence

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.experiment import Identity


def contrasts_to_decide(comparisons: Sequence[Comparison]) -> list[ExperimentContrast]:
    """Return the contrasts that end the adding of seeds once all of them are decided."""
    return [c for comparison in _deciding(comparisons) for c in comparison.primary_contrasts]


def next_seeds(comparisons: Sequence[Comparison]) -> dict[Identity, int]:
    """Return which experiments get further seeds, and up to how many.

    They are all that share a baseline with an open primary contrast, except those of which every
    contrast is decided.
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
    """Return how many runs there would be at the plan's end, with those ``done`` that it lacks."""
    planned = {
        experiment.identity: comparison.tuning_seeds + comparison.plan.most
        for comparison in _deciding(comparisons)
        for experiment in comparison.experiments
    }
    return sum(planned.get(identity, seeds) for identity, seeds in done.items())


def _deciding(comparisons: Sequence[Comparison]) -> Sequence[Comparison]:
    """Return the comparisons that are to be decided: the tuned, where there are any."""
    return [comparison for comparison in comparisons if comparison.tuning] or comparisons


def _is_open(comparison: Comparison, contrast: ExperimentContrast) -> bool:
    """Whether seeds may decide it: they mend neither a side that fails nor an unfair choice."""
    if contrast.failing or contrast.result.next_look is None:
        return False
    tuning = comparison.tuning
    return tuning is None or tuning.is_fair(contrast.experiment, contrast.baseline)
