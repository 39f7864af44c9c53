"""Which experiments get further seeds until what is asked is decided."""

from collections.abc import Mapping, Sequence

from bnbench.evidence.comparison import Comparison, ExperimentContrast, sought
from bnbench.evidence.experiment import Identity


def asked(comparisons: Sequence[Comparison]) -> list[ExperimentContrast]:
    """Return the contrasts that are to be decided."""
    return [contrast for comparison in _settling(comparisons) for contrast in sought(comparison)]


def next_seeds(comparisons: Sequence[Comparison]) -> dict[Identity, int]:
    """Return which experiments get further seeds, and up to how many.

    They are all that share the baseline of what is open in what is asked, but for those of which
    all is decided.
    """
    wanted: dict[Identity, int] = {}
    for comparison in _settling(comparisons):
        base = comparison.baselines
        unsettled = {base[c.experiment] for c in sought(comparison) if _is_open(comparison, c)}
        for contrast in comparison.contrasts:
            if _is_open(comparison, contrast) and base[contrast.experiment] in unsettled:
                seeds = _apart(comparison) + (contrast.result.next_look or 0)
                for side in (contrast.experiment, contrast.baseline):
                    wanted[side.identity] = max(wanted.get(side.identity, 0), seeds)
    return wanted


def at_most(comparisons: Sequence[Comparison], done: Mapping[Identity, int]) -> int:
    """Return how many runs there would be at the plan's end, with those ``done`` that it lacks."""
    whole = {
        experiment.identity: _apart(comparison) + comparison.plan.most
        for comparison in _settling(comparisons)
        for experiment in comparison.experiments
    }
    return sum(whole.get(identity, seeds) for identity, seeds in done.items())


def _settling(comparisons: Sequence[Comparison]) -> Sequence[Comparison]:
    """Return the comparisons that are to be settled: the tuned, where there are any."""
    return [comparison for comparison in comparisons if comparison.tuning] or comparisons


def _apart(comparison: Comparison) -> int:
    return comparison.tuning.apart if comparison.tuning else 0


def _is_open(comparison: Comparison, contrast: ExperimentContrast) -> bool:
    """Whether seeds may decide it: they mend neither a side that fails nor an unfair choice."""
    if contrast.failing or contrast.result.next_look is None:
        return False
    tuning = comparison.tuning
    return tuning is None or tuning.is_fair(contrast.experiment, contrast.baseline)
