"""What must be said under a comparison's tables before anyone relies on them."""

from collections.abc import Iterator

from bnbench.evidence.comparison import PLACEMENT, Comparison, ExperimentContrast
from bnbench.evidence.epoch_times import EpochRatio
from bnbench.experiments.config import PlanConfig
from bnbench.experiments.sweep import without_placement
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
    yield from _plan(comparison)
    yield from _same_networks(comparison)
    yield from _diverged(comparison)
    yield from _mixed_origins(comparison)
    yield from _unequal_seeds(comparison)
    yield from _tuning(comparison)
    for contrast in comparison.contrasts:
        if not contrast.clean and comparison.is_against_baseline(contrast):
            yield f"{named(contrast)}: {confound(contrast)}"
    yield from _epoch_times(comparison)


def named(contrast: ExperimentContrast) -> str:
    """Return which experiment is held against which."""
    return f"{contrast.experiment.label} against {contrast.baseline.label}"


def network(contrast: ExperimentContrast) -> str:
    """Return what tells this pair of placements from others: what both labels have beside them."""
    one, other = (
        without_placement(e.label, e.config) for e in (contrast.experiment, contrast.baseline)
    )
    return one if one == other else named(contrast)


def confound(contrast: ExperimentContrast) -> str:
    """Return what else differs in a contrast that is not clean, in words."""
    others = ", ".join(contrast.confounds)
    if PLACEMENT in contrast.differs_in:
        return f"not a clean comparison: also differs in {others}"
    return f"not a comparison of placements: differs in {others}"


def reason(comparison: Comparison, contrast: ExperimentContrast) -> str | None:
    """Return why a contrast has no verdict, or none but undecided; None where it has one."""
    result = contrast.result
    tuning = comparison.tuning
    if tuning and not tuning.is_fair(contrast.experiment, contrast.baseline):
        return "the two did not have the same values and seeds to choose from"
    if contrast.failing and result.looks:
        return f"{fails(contrast)} to train at these settings"
    if result.decided:
        return None
    if not result.looks:
        first = comparison.plan.first
        return f"{count(result.pairs, 'pair')}; verdicts begin at {first} seeds{_lacking(contrast)}"
    reasons = [_diverged_more(contrast), _not_significant(comparison, contrast)]
    return "; ".join([*filter(None, reasons), _what_comes(comparison, contrast)])


def fails(contrast: ExperimentContrast) -> str:
    """Return which sides fail, with the verb."""
    failing = [e.label for e in contrast.failing]
    return f"{listed(failing)} {'fails' if len(failing) == 1 else 'fail'}"


def _diverged_more(contrast: ExperimentContrast) -> str:
    ours, theirs = contrast.result.diverged
    if ours == theirs:
        return ""
    more = contrast.experiment if ours > theirs else contrast.baseline
    return (
        f"{more.label} diverged more often ({max(ours, theirs)} runs, the other "
        f"{min(ours, theirs)}): its mean is over survivors, so it is never better, nor equivalent"
    )


def _not_significant(comparison: Comparison, contrast: ExperimentContrast) -> str:
    """Say what p must be where the interval alone would tell a difference."""
    result = contrast.result
    if result.interval is None or result.interval[0] <= 0 <= result.interval[1]:
        return ""
    if result.p_value is None or result.p_required is None or result.p_value <= result.p_required:
        return ""
    many = sum(c.family == contrast.family for c in comparison.contrasts)
    among = f" among {count(many, 'contrast')}" if many > 1 else ""
    return (
        f"the interval excludes zero, but its p of {p_value(result.p_value)} must be at most "
        f"{p_value(result.p_required)}{among}"
    )


def _what_comes(comparison: Comparison, contrast: ExperimentContrast) -> str:
    result = contrast.result
    if result.waits_for_others:
        return "hangs on other contrasts, which lack seeds"
    if result.next_look is None:
        return f"the plan ended at {comparison.plan.most} seeds"
    return f"next look at {result.next_look} seeds{_lacking(contrast)}"


def _lacking(contrast: ExperimentContrast) -> str:
    """Name the holes: seeds that are lacking though later ones are there."""
    recorded = contrast.experiment.records.keys() & contrast.baseline.records.keys()
    holes = [seed for seed in contrast.result.missing if seed < max(recorded, default=-1)]
    if not holes:
        return ""
    return f", which waits for seed{'s' * (len(holes) > 1)} {listed([str(s) for s in holes])}"


def p_value(p: float) -> str:
    """Return a p with four decimals, or that it is less."""
    return f"{p:.4f}" if p >= 0.0001 else "less than 0.0001"


def incomparable(ratio: EpochRatio) -> str | None:
    """Return why two epoch times are not compared, or None."""
    if ratio.mismatch is None:
        return None
    return f"different {ratio.mismatch.aspect}: {', '.join(ratio.mismatch.values)}"


def _baseline(comparison: Comparison) -> Iterator[str]:
    wanted, base = comparison.question.baseline, comparison.baseline.label
    if comparison.baseline_may_be:
        candidates = ", ".join(comparison.baseline_may_be)
        yield (
            f"baseline {wanted} may be any of {candidates}: name one of them; {base} is the "
            "baseline here"
        )
    elif wanted and not comparison.baseline_was_named:
        yield f"{wanted} has no record here; {base} is the baseline"


def _plan(comparison: Comparison) -> Iterator[str]:
    plan, question = comparison.plan, comparison.question
    if question.margin is not None and question.margin != plan.margin:
        yield (
            f"the margin of ±{question.margin:g} was given for this comparison; the plan that was "
            f"stated before the runs has ±{plan.margin:g}"
        )
    if comparison.plans - {plan}:
        each = [{r.config.plan for r in e.records.values()} for e in comparison.experiments]
        changed = any(len(plans) > 1 for plans in each) or comparison.question.plan
        what = "the plan was changed after the first run" if changed else "the plans differ"
        yield (
            f"{what}; what counts is: {_looks(plan)}. The promise of one false verdict in twenty "
            "is for one plan, fixed before the first run"
        )
    for seeds, pairs in _after_the_last_look(comparison).items():
        yield (
            f"the {count(pairs, 'pair')} of seeds after the look at {seeds} {_are(pairs)} in the "
            "means of the experiments, not in the contrasts"
        )
    for contrast in comparison.contrasts:
        if contrast.result.contradicted_by_last_look:
            result = contrast.result
            yield (
                f"{named(contrast)}: {result.verdict} was decided at {result.decided_at} seeds and "
                f"stays; the {result.looks[-1].seeds} seeds looked at now point elsewhere"
            )


def _looks(plan: PlanConfig) -> str:
    return (
        f"first look at {plan.first} seeds, then every {plan.step} to {plan.most}, margin "
        f"±{plan.margin:g}" + (f", after {plan.tuning} seeds that tune" if plan.tuning else "")
    )


def _after_the_last_look(comparison: Comparison) -> dict[int, int]:
    """Return how many pairs no contrast has looked at yet, by the look that was the last."""
    found: dict[int, int] = {}
    for result in (contrast.result for contrast in comparison.contrasts):
        if result.unused:
            seeds = result.looks[-1].seeds
            found[seeds] = max(found.get(seeds, 0), result.unused)
    return found


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _diverged(comparison: Comparison) -> Iterator[str]:
    for e in comparison.experiments:
        if e.diverged and e.values:
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
            yield f"made with different {words}: {', '.join(sorted(seen))}; " + (
                "runs of one seed may then differ for that alone, and are not exactly paired"
                if any(_differs_in_pairs(field, c) for c in comparison.contrasts)
                else "never the two runs of a pair, so they stay exactly paired"
            )


def _differs_in_pairs(field: str, contrast: ExperimentContrast) -> bool:
    ours, theirs = contrast.experiment.records, contrast.baseline.records
    return any(
        getattr(ours[seed].environment, field) != getattr(theirs[seed].environment, field)
        for seed in ours.keys() & theirs.keys()
    )


def _unequal_seeds(comparison: Comparison) -> Iterator[str]:
    for e in comparison.experiments:
        base = comparison.baselines[e]
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
        yield (
            "not all experiments were tuned over the same values: the larger choice wins falsely, "
            "so there is no verdict between those that differ in them"
        )
    for one in tuning.candidates:
        if not one.paired:
            yield (
                f"{one.best.label} was chosen though there is no seed that all its values "
                "completed: over the same seeds another might be the best"
            )
        if one.uneven:
            yield (
                f"{one.best.label} was chosen though its values do not have the same seeds: with "
                "as many for each another might be the best"
            )


def _epoch_times(comparison: Comparison) -> Iterator[str]:
    later: dict[str, list[str]] = {}
    for experiment, ratio in comparison.ratios.items():
        base = comparison.baselines[experiment].label
        if why := incomparable(ratio):
            yield f"{experiment.label}: epoch time not comparable with {base}: {why}"
        if not ratio.interleaved:
            later.setdefault(base, []).append(experiment.label)
    for base, labels in later.items():
        yield (
            f"{', '.join(labels)}: not run in turns with {base}, so the ratio of their epoch times "
            "holds the machine's drift too"
        )
