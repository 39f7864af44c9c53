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
        if comparison.tuning and not comparison.tuning.fair:  # no number of seeds mends it
            continue
        base = comparison.baselines
        unsettled = {base[c.experiment] for c in sought(comparison) if _is_open(c)}
        for contrast in filter(_is_open, comparison.contrasts):
            if base[contrast.experiment] in unsettled:
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


def _is_open(contrast: ExperimentContrast) -> bool:
    result = contrast.result
    return result.next_look is not None and not contrast.failing  # which no number of seeds mends
