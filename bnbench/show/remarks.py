"""What must be said under a comparison's tables before anyone relies on them."""

from collections.abc import Iterator

from bnbench.evidence.comparison import PLACEMENT, Comparison, EpochRatio, ExperimentContrast
from bnbench.evidence.stats import MINIMUM_PAIRS
from bnbench.experiments.sweep import short_key
from bnbench.text import count, listed

_ORIGINS = {  # of a run, with their plural: what may change its numbers though all settings agree
    "tensorflow": "versions of TensorFlow",
    "keras": "versions of Keras",
    "bnbench": "versions of bnbench",
    "processor": "processors",
    "instruction_set": "instruction sets",
    "device": "devices",
}


def remarks(comparison: Comparison) -> Iterator[str]:
    """Yield what weakens the comparison: runs that diverged, confounds, times that do not compare.

    What concerns the experiments comes first, then the tuning, the contrasts and the times.
    """
    yield from _baseline(comparison)
    yield from _same_networks(comparison)
    yield from _diverged(comparison)
    yield from _mixed_origins(comparison)
    yield from _unequal_seeds(comparison)
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


def _same_networks(comparison: Comparison) -> Iterator[str]:
    by_id: dict[str, list[str]] = {}
    for experiment in comparison.experiments:
        by_id.setdefault(experiment.identity[1], []).append(experiment.label)
    for own, labels in by_id.items():
        if len(labels) > 1:
            yield f"{listed(labels)} are one network under different names (id {own})"


def _mixed_origins(comparison: Comparison) -> Iterator[str]:
    records = [r for e in comparison.experiments for r in e.records.values()]
    for field, words in _ORIGINS.items():
        if len(seen := {getattr(record.environment, field) for record in records}) > 1:
            yield (
                f"made with different {words}: {', '.join(sorted(seen))}; runs of one seed may "
                "then differ for that alone, and are not exactly paired"
            )


def _unequal_seeds(comparison: Comparison) -> Iterator[str]:
    base = comparison.baseline
    for e in comparison.experiments:
        common = e.records.keys() & base.records.keys()
        if not common:
            yield f"{e.label} and {base.label} have no seed in common, so nothing is paired"
        else:
            alone = len(e.records) - len(common), len(base.records) - len(common)
            if any(alone):
                yield (
                    f"{e.label} and {base.label} have different seeds: {len(common)} are paired, "
                    f"{alone[0]} and {alone[1]} stand alone"
                )


def _tuning(comparison: Comparison) -> Iterator[str]:
    tuning = comparison.tuning
    if tuning is None:
        return
    if not tuning.even:
        yield "not all experiments were tuned over the same values"
    for one in tuning.candidates:
        if not one.paired:
            yield (
                f"{one.best.label} was chosen though there is no seed that all its values "
                "completed: over the same seeds another might be the best"
            )
        if one.short_of_seeds:
            yield (
                f"{one.best.label} was chosen with {count(len(one.best.records), 'seed')}, though "
                "other values have more: with as many it might not be the best"
            )
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
