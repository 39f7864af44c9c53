"""What must be said under a comparison's tables before anyone relies on them."""

from collections.abc import Iterator

from bnbench.evidence.comparison import PLACEMENT, Comparison, EpochRatio, ExperimentContrast
from bnbench.evidence.stats import MINIMUM_PAIRS
from bnbench.experiments.sweep import short_key
from bnbench.text import count


def remarks(comparison: Comparison) -> Iterator[str]:
    """Yield what weakens the comparison: runs that diverged, confounds, times that do not compare.

    What concerns the experiments comes first, then the tuning, the contrasts and the times.
    """
    yield from _baseline(comparison)
    yield from _diverged(comparison)
    yield from _tuning(comparison)
    for contrast in comparison.contrasts:
        if not contrast.clean and contrast.baseline is comparison.baseline:
            yield f"{named(contrast)}: {confound(contrast)}"
    yield from _epoch_times(comparison)


def named(contrast: ExperimentContrast) -> str:
    """Return which experiment is held against which."""
    return f"{contrast.experiment.label} against {contrast.baseline.label}"


def confound(contrast: ExperimentContrast) -> str:
    """Return what else differs in a contrast that is not clean, in words."""
    others = ", ".join(contrast.confounds)
    if PLACEMENT in contrast.differs_in:
        return f"not a clean comparison: also differs in {others}"
    return f"not a comparison of placements: differs in {others}"


def reason(comparison: Comparison, contrast: ExperimentContrast) -> str | None:
    """Return why so many pairs allow no verdict, or none but inconclusive; None where they do."""
    result = contrast.result
    if result.pairs_required is None:
        return None
    if result.pairs < MINIMUM_PAIRS:
        return f"{count(result.pairs, 'pair')}; a verdict needs at least {result.pairs_required}"
    judged = [c for c in comparison.contrasts if c.result.pairs >= MINIMUM_PAIRS]
    return (
        f"{result.pairs} pairs cannot reach significance with {len(judged)} contrasts; "
        f"that takes at least {result.pairs_required}"
    )


def incomparable(ratio: EpochRatio) -> str | None:
    """Return why two epoch times are not compared, or None."""
    if ratio.unlike is None:
        return None
    return f"different {ratio.unlike.aspect}: {', '.join(ratio.unlike.values)}"


def _baseline(comparison: Comparison) -> Iterator[str]:
    wanted = comparison.question.baseline
    if wanted and not comparison.baseline_was_named:
        yield f"{wanted} has no record here; {comparison.baseline.label} is the baseline"


def _diverged(comparison: Comparison) -> Iterator[str]:
    for e in comparison.experiments:
        if e.diverged:
            yield (
                f"{e.label}: {e.diverged} of {len(e.records)} runs diverged; its mean is over "
                "survivors"
            )


def _tuning(comparison: Comparison) -> Iterator[str]:
    tuning = comparison.tuning
    if tuning is None:
        return
    if not tuning.even:
        yield "not all experiments were tuned over the same values"
    for one in tuning.candidates:
        for key, (value, end) in one.ends().items():
            yield (
                f"{one.name} does best at the {end} {short_key(key)} that was tried, {value:g}; "
                "beyond it may be better"
            )


def _epoch_times(comparison: Comparison) -> Iterator[str]:
    base = comparison.baseline.label
    for experiment, ratio in comparison.ratios.items():
        if why := incomparable(ratio):
            yield f"{experiment.label}: epoch time not comparable with {base}: {why}"
    if later := [e.label for e, ratio in comparison.ratios.items() if not ratio.in_turns]:
        yield (
            f"{', '.join(later)}: not run in turns with {base}, so the ratio of their epoch times "
            "holds the machine's drift too"
        )
