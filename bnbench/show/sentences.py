"""What a comparison says, in plain words, and what it cannot say."""

from collections.abc import Iterator

from bnbench.evidence.comparison import INPUT_BN, PLACEMENT, Comparison, ExperimentContrast
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import Tuning
from bnbench.experiments.sweep import short_key
from bnbench.show.remarks import named, reason
from bnbench.text import count, fixed, listed, signed


def closing(comparison: Comparison) -> list[str]:
    """Return the closing sentences: the best, the verdicts, the cost, and the limits."""
    if len(comparison.experiments) == 1:
        label = comparison.baseline.label
        return [f"{label} is alone under this protocol: there is nothing to hold it against."]
    return [
        *_best(comparison),
        *_verdicts(comparison),
        *_placements(comparison),
        *_unclean(comparison),
        *_limits(comparison),
    ]


def describe_protocol(comparison: Comparison) -> str:
    """Return data and training in one line."""
    data, training = comparison.config.data, comparison.config.training
    shown = {
        "data.dataset": data.dataset,
        "training.epochs": count(training.epochs, "epoch"),
        "training.optimizer": training.optimizer,
        "training.learning_rate": f"learning rate {training.learning_rate:g}",
        "training.momentum": f"momentum {training.momentum:g}" if training.momentum else "",
        "training.batch_size": f"batch size {training.batch_size}",
    }
    return ", ".join(text for key, text in shown.items() if text and key not in comparison.tuned)


def title(comparison: Comparison) -> str:
    """Return what is compared, in one line."""
    if comparison.tuning:
        what = f"tuned over {listed([short_key(key) for key in comparison.tuned])}"
    else:
        what = f"protocol {comparison.reference}"
    start = f"Smoke run, {what}" if comparison.smoke else what[0].upper() + what[1:]
    return f"{start}: {describe_protocol(comparison)}{_state(comparison)}"


def _state(comparison: Comparison) -> str:
    """Return on which state of the data, and how, the runs were made, where another exists."""
    if comparison.reference in ("tuned", comparison.config.protocol_id):
        return ""
    newest = comparison.baseline.newest
    return f", data {newest.data.sha256[:8]}, training version {newest.training_version}"


def _best(comparison: Comparison) -> Iterator[str]:
    finished = [e for e in comparison.experiments if e.mean is not None]
    if not finished:
        yield "No run completed."
        return
    best = max(finished, key=lambda e: e.mean or 0.0)
    base = comparison.baseline.label
    metric = comparison.question.measure
    mean = f"{fixed(metric.scale * (best.mean or 0.0))} {metric.unit}"
    seeds = count(len(best.values), "seed")
    if best is comparison.baseline:
        yield f"{base}, the baseline, has the highest mean accuracy: {mean} over {seeds}."
        return
    contrast = comparison.against_baseline(best)
    lead = (_lead(contrast) if contrast else "") + _cost(comparison, best)
    yield f"{best.label} has the highest mean accuracy: {mean} over {seeds}{lead}."


def _lead(contrast: ExperimentContrast) -> str:
    base = contrast.baseline.label
    if contrast.result.mean_difference is None:
        return f", with no seed in common with {base}"
    return f", {_difference(contrast)} against {base}"


def _difference(contrast: ExperimentContrast) -> str:
    result, scale = contrast.result, contrast.experiment.metric.scale
    shown = [signed(scale * end) for end in result.ci95 or ()]
    interval = f" [{', '.join(shown)}]" if shown else ""
    return f"{signed(scale * (result.mean_difference or 0.0))} percentage points{interval}"


def _cost(comparison: Comparison, experiment: Experiment) -> str:
    ratio = comparison.ratios[experiment]
    if ratio.ratio is None:
        return ""
    return f", at {ratio.ratio:.2f} times its epoch time"


def _verdicts(comparison: Comparison) -> Iterator[str]:
    base, margin = comparison.baseline.label, f"{comparison.question.margin:g}"
    against = [c for c in comparison.contrasts if c.baseline is comparison.baseline]
    said = {
        "better": f"Better than {base}",
        "worse": f"Worse than {base}",
        "equivalent": f"Equivalent to {base} within ±{margin} points",
    }
    for verdict, words in said.items():
        if judged := [_named(c) for c in against if c.result.verdict == verdict]:
            yield f"{words}: {listed(judged)}."
    for contrast in against:
        if contrast.result.verdict == "inconclusive":
            yield f"{_inconclusive(comparison, contrast)}."
    if undecided := [c for c in against if c.result.verdict is None]:
        reasons = sorted({reason(comparison, c) or "" for c in undecided})
        names = listed([c.experiment.label for c in undecided])
        yield f"No verdict on {names}: {'; '.join(reasons)}."


def _placements(comparison: Comparison) -> Iterator[str]:
    for contrast in comparison.contrasts:
        if contrast.baseline is not comparison.baseline and contrast.differs_in == (PLACEMENT,):
            verdict = contrast.result.verdict or "no verdict"
            yield f"Placement alone, {named(contrast)}: {_difference(contrast)}, {verdict}."


def _named(contrast: ExperimentContrast) -> str:
    below = " (below the margin)" if contrast.result.below_margin else ""
    return contrast.experiment.label + below


def _inconclusive(comparison: Comparison, contrast: ExperimentContrast) -> str:
    why = reason(comparison, contrast)
    said = f"{named(contrast)} is inconclusive" + (f" ({why})" if why else "")
    if seeds := contrast.result.seeds_needed:
        said += f"; about {seeds} seeds would settle ±{comparison.question.margin:g} points"
    return said


def _unclean(comparison: Comparison) -> Iterator[str]:
    base = comparison.baseline
    against = [c for c in comparison.contrasts if c.baseline is base]
    confounded = [c for c in against if {INPUT_BN, PLACEMENT} <= set(c.differs_in)]
    with_input = [c.experiment.label for c in confounded]
    if not with_input:
        return
    verb = "differs" if len(with_input) == 1 else "differ"
    yield (
        f"{listed(with_input)} {verb} from {base.label} in the input BN too: that gain is not "
        f"the hidden layers' alone{_input_share(comparison)}."
    )


def _input_share(comparison: Comparison) -> str:
    for contrast in comparison.contrasts:
        alone = contrast.baseline is comparison.baseline and contrast.differs_in == (INPUT_BN,)
        if alone and contrast.result.mean_difference is not None:
            scale = contrast.experiment.metric.scale
            difference = signed(scale * contrast.result.mean_difference)
            return f" (input BN alone, {contrast.experiment.label}: {difference} points)"
    return "; an experiment with input BN and no other would tell how much is"


def _limits(comparison: Comparison) -> Iterator[str]:
    if comparison.smoke:
        yield (
            "This is a smoke run on the shipped sample: it shows that the program works, not which "
            "placement is better."
        )
        return
    others = [e for e in comparison.experiments if e is not comparison.baseline]
    if comparison.tuning:
        yield (
            "Every experiment stands here with the values that did best on the validation data"
            f"{_seeds_of_choice(comparison.tuning)}; the test data had no part in that choice."
        )
    if len(others) > 1 and not comparison.question.all_pairs:
        yield "How these rank among each other is not tested here; contrasting all pairs does."
    yield "It holds for this network, data set and training budget, and says nothing of others."


def _seeds_of_choice(tuning: Tuning) -> str:
    if not all(one.paired for one in tuning.candidates):
        return ""  # a remark says so
    if any(e.diverged for one in tuning.candidates for e in one.experiments):
        return ", over the seeds that all its values with the smallest share of diverged runs have"
    return ", over the seeds that all its values have"
