"""What weakens a comparison, and the words that all media share: names, reasons, confounds."""

from collections.abc import Iterator

from bnbench.evidence.comparison import PLACEMENT, Comparison, ExperimentContrast
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.records import RunRecord
from bnbench.evidence.stats import Interval
from bnbench.evidence.verdicts import Contrast
from bnbench.experiments.config import DataConfig
from bnbench.experiments.fields import TRAINING_ROWS
from bnbench.experiments.sweep import without_placement
from bnbench.text import count, listed

_ORIGINS = {  # of a run, with their plural: what may change its numbers though all settings agree
    "tensorflow": "versions of TensorFlow",
    "keras": "versions of Keras",
    "numpy": "versions of NumPy",
    "bnbench": "versions of bnbench",
    "processor": "processors",
    "instruction_set": "instruction sets",
    "device": "devices",
    "variables": "environment variables",
}


def remarks(comparison: Comparison) -> Iterator[str]:
    """Yield what weakens it: of the experiments, the tuning, the contrasts, then the times."""
    yield from _baseline(comparison)
    yield from _plan(comparison)
    yield from _same_networks(comparison)
    yield from _diverged(comparison)
    yield from _mixed_origins(comparison)
    yield from _unequal_seeds(comparison)
    yield from _tuning(comparison)
    for contrast in comparison.contrasts:
        if contrast.confounds and comparison.is_against_baseline(contrast):
            yield f"{named(contrast)}: {confound(contrast)}"
    yield from _epoch_times(comparison)


def examples(data: DataConfig) -> str:
    """Return what a data set's examples are called: images, rows, or data of an array file."""
    if data.dataset in TRAINING_ROWS:
        return "images"
    return "rows" if data.is_table else "data"


def named(contrast: ExperimentContrast) -> str:
    """Return which experiment is compared with which."""
    return f"{contrast.experiment.label} against {contrast.baseline.label}"


def after_and_before(contrast: ExperimentContrast) -> tuple[Experiment, Experiment]:
    """Return the sides of a contrast of the family "placement": BN after, then BN before."""
    sides = contrast.experiment, contrast.baseline  # BN after is second only as the baseline
    first = sides[0].config.model.batch_norm.placement
    return sides if first == "after_activation" else sides[::-1]


def network(contrast: ExperimentContrast) -> str:
    """Return the common part of the labels of two placements, or both labels if there is none."""
    after, before = after_and_before(contrast)
    one, other = (without_placement(e.label, e.config) for e in (after, before))
    return one if one == other else f"{after.label} against {before.label}"


def confound(contrast: ExperimentContrast) -> str:
    """Return what else differs in a contrast that is not clean, in words."""
    others = ", ".join(contrast.confounds)
    if PLACEMENT in contrast.differs_in:
        return f"not a clean comparison: also differs in {others}"
    return f"not a comparison of placements: differs in {others}"


def reason(comparison: Comparison, contrast: ExperimentContrast) -> str | None:
    """Return why a contrast has no verdict or is undecided; None where it is decided."""
    result = contrast.result
    tuning = comparison.tuning
    if tuning and not tuning.is_fair(contrast.experiment, contrast.baseline):
        return "the two did not have the same values and seeds to choose from"
    if contrast.failing and result.looks:
        labels = [e.label for e in contrast.failing]
        return (
            f"{listed(labels)} {'fails' if len(labels) == 1 else 'fail'} to train at these settings"
        )
    if result.decided:
        return None
    if not result.looks:
        pairs, first = count(result.sample.pairs, "paired seed"), comparison.plan.first
        return f"{pairs}; verdicts begin at {first} seeds{_lacking(contrast)}"
    reasons = [_diverged_more(contrast), _not_significant(comparison, contrast)]
    return "; ".join([*filter(None, reasons), _what_comes(comparison, contrast)])


def only_lacks_significance(result: Contrast) -> bool:
    """Return whether the interval excludes zero as shown, but p is larger than it may be."""
    p, required, interval = result.p_value, result.p_required, result.interval
    if p is None or required is None or interval is None:
        return False
    return p > required and excludes_zero(interval)


def excludes_zero(interval: Interval) -> bool:
    """Return whether zero is outside; ends that `signed` rounds to zero are zero here, too."""
    low, high = (round(end, 11) for end in interval)
    return not low <= 0 <= high


def _diverged_more(contrast: ExperimentContrast) -> str:
    ours, theirs = contrast.result.sample.diverged
    if ours == theirs:
        return ""
    more = contrast.experiment if ours > theirs else contrast.baseline
    return (
        f"{more.label} diverged more often ({max(ours, theirs)} runs, the other "
        f"{min(ours, theirs)}): its mean is over the runs that completed, so it is never better, "
        "nor equivalent"
    )


def _not_significant(comparison: Comparison, contrast: ExperimentContrast) -> str:
    result = contrast.result
    if not only_lacks_significance(result):
        return ""
    many = sum(c.family == contrast.family for c in comparison.contrasts)
    among = f" among {count(many, 'contrast')}" if many > 1 else ""
    return (
        f"the interval excludes zero, but its p of {result.p_value:.3g} must be at most "
        f"{result.p_required:.3g}{among}"
    )


def _what_comes(comparison: Comparison, contrast: ExperimentContrast) -> str:
    if contrast.result.waits_for_others:
        return "other comparisons must finish first"
    if contrast.result.next_look is None:
        return f"the plan ended at {comparison.plan.most} seeds"
    return f"next look at {contrast.result.next_look} seeds{_lacking(contrast)}"


def _lacking(contrast: ExperimentContrast) -> str:
    recorded = contrast.experiment.records.keys() & contrast.baseline.records.keys()
    holes = [seed for seed in contrast.result.missing if seed < max(recorded, default=-1)]
    return f" (seeds missing: {', '.join(map(str, holes))})" if holes else ""


def _baseline(comparison: Comparison) -> Iterator[str]:
    wanted, base = comparison.question.baseline, comparison.baseline.label
    if candidates := ", ".join(comparison.baseline_may_be):
        yield (
            f"baseline {wanted} may be any of {candidates}: name one of them; {base} is the "
            "baseline here"
        )
    elif wanted and not comparison.baseline_was_named:
        yield f"{wanted} has no record here; {base} is the baseline"


def _plan(comparison: Comparison) -> Iterator[str]:
    plan, question = comparison.plan, comparison.question
    promise = (
        f"first look at {plan.first} seeds, then every {plan.step} to {plan.most}, margin "
        f"±{plan.margin:g}" + (f", after {plan.tuning} seeds that tune" if plan.tuning else "")
    )
    if question.margin is not None and question.margin != plan.margin:
        yield (
            f"the margin of ±{question.margin:g} was given for this comparison; the plan that was "
            f"stated before the runs has ±{plan.margin:g}"
        )
    if {r.config.plan for e in comparison.experiments for r in e.records.values()} - {plan}:
        yield (
            f"the plans differ; what counts is: {promise}. The promise of one false verdict in "
            "twenty is for one plan, fixed before the first run"
        )
    results = sorted((c.result for c in comparison.contrasts), key=lambda result: result.unused)
    for seeds, pairs in {r.looks[-1].seeds: r.unused for r in results if r.unused}.items():
        yield (
            f"{count(pairs, 'paired seed')} after the look at {seeds}: in the means of the "
            "experiments, not in the contrasts"
        )
    for contrast in comparison.contrasts:
        result = contrast.result
        if result.contradicted_by_last_look:
            yield (
                f"{named(contrast)}: {result.verdict} was decided at {result.decided_at} seeds and "
                f"stays, though the last look, at {result.looks[-1].seeds} seeds, contradicts it"
            )


def _diverged(comparison: Comparison) -> Iterator[str]:
    for e in comparison.experiments:
        if e.diverged and e.values:
            yield (
                f"{e.label}: {e.diverged} of {len(e.records)} runs diverged; its mean is over the "
                "runs that completed"
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
        if len(seen := {_origin(record, field) for record in records} - {None}) > 1:
            yield f"made with different {words}: {', '.join(sorted(filter(None, seen)))}; " + (
                "that alone may make runs of one seed differ, so they are not exactly paired"
                if any(_differs_in_pairs(field, c) for c in comparison.contrasts)
                else "the same for both runs of each pair, so they stay exactly paired"
            )


def _origin(record: RunRecord, field: str) -> str | None:
    """Return what a run was made with; None where older records do not say."""
    value = getattr(record.environment, field)
    if field == "variables":
        return " ".join(f"{name}={setting}" for name, setting in sorted(value.items())) or "none"
    return None if field == "numpy" and value == "unknown" else str(value)


def _differs_in_pairs(field: str, contrast: ExperimentContrast) -> bool:
    ours, theirs = contrast.experiment.records, contrast.baseline.records
    return any(
        len({_origin(side[seed], field) for side in (ours, theirs)} - {None}) > 1
        for seed in ours.keys() & theirs.keys()
    )


def _unequal_seeds(comparison: Comparison) -> Iterator[str]:
    for e in comparison.experiments:
        base = comparison.baselines[e]
        common = len(e.records.keys() & base.records.keys())
        alone = len(e.records) - common, len(base.records) - common
        if any(alone):
            yield (
                f"{e.label} and {base.label} have different seeds: {common} are paired, "
                f"{alone[0]} and {alone[1]} are not"
            )


def _tuning(comparison: Comparison) -> Iterator[str]:
    tuning = comparison.tuning
    if tuning is None:
        return
    if len({one.grid for one in tuning.candidates}) > 1:
        yield (
            "not all experiments were tuned over the same values: more values to choose from are "
            "an advantage, so there is no verdict between those that differ in them"
        )
    for one in tuning.candidates:
        faults = {
            "there is no seed that all its values completed": not one.paired,
            "its values do not have the same seeds": one.uneven,
        }
        for fault in (words for words, found in faults.items() if found):
            yield (
                f"{one.best.label} was chosen though {fault}, so over the same seeds another might "
                "be the best"
            )


def _epoch_times(comparison: Comparison) -> Iterator[str]:
    later: dict[str, list[str]] = {}
    for experiment in comparison.experiments:
        ratio, base = comparison.ratios[experiment], comparison.baselines[experiment].label
        if ratio.mismatch:
            yield f"{experiment.label}: epoch time not comparable with {base}: {ratio.mismatch}"
        if not ratio.interleaved:
            later.setdefault(base, []).append(experiment.label)
    for base, labels in later.items():
        yield (
            f"{', '.join(labels)}: runs not interleaved with those of {base}, so the ratio of "
            "their epoch times also contains changes of the machine's speed"
        )
