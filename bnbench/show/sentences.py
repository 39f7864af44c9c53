"""What a comparison says, in plain words, and what it cannot say."""

from collections.abc import Iterator

from bnbench.evidence import health
from bnbench.evidence.comparison import INPUT_BN, PLACEMENT, Comparison, ExperimentContrast
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import Tuning
from bnbench.experiments.sweep import short_key
from bnbench.show.advice import IN_WORDS, Advice
from bnbench.show.health import cure, message
from bnbench.show.remarks import named, reason
from bnbench.text import count, fixed, listed, signed

_WHERE = {"after_activation": "after the activations", "before_activation": "before them"}


def answer(comparison: Comparison, advice: Advice = IN_WORDS) -> list[str]:
    """Return the answer: before or after the activations, and what BN brings over the baseline."""
    if len(comparison.experiments) == 1:
        label = comparison.baseline.label
        return [f"{label} is alone under this protocol: there is nothing to hold it against."]
    placements = [c for c in comparison.contrasts if c.family == "placement"]
    said = [_placement(comparison, c, advice, len(placements) > 1) for c in placements]
    return [*said, *_against_baseline(comparison, advice), *_health(comparison, advice)]


def closing(comparison: Comparison, advice: Advice = IN_WORDS) -> list[str]:
    """Return the closing sentences: the best, its cost, and the limits."""
    if len(comparison.experiments) == 1:
        return []
    return [*_best(comparison), *_unclean(comparison), *_limits(comparison, advice)]


def _placement(
    comparison: Comparison, contrast: ExperimentContrast, advice: Advice, several: bool
) -> str:
    """Return before or after: a sentence on experiments that differ in the placement alone."""
    result = contrast.result
    sides = {
        e.config.model.batch_norm.placement: e for e in (contrast.experiment, contrast.baseline)
    }
    after, before = sides["after_activation"], sides["before_activation"]
    of = f" ({after.label} against {before.label})" if several else ""
    if contrast.failing and not comparison.smoke:
        return (
            f"Before or after the activations is not answered{of}: "
            f"{listed([e.label for e in contrast.failing])} "
            f"{'fails' if len(contrast.failing) == 1 else 'fail'} to train at these settings."
        )
    if result.verdict in ("better", "worse"):
        after_wins = (result.verdict == "better") == (contrast.experiment is after)
        first, second = ("After", "before") if after_wins else ("Before", "after")
        size = _size(comparison, contrast, absolute=True)
        return f"{first} the activations beats {second} them{of} by {size}{_ending(contrast)}."
    difference = _size(comparison, contrast, minus=contrast.experiment is before)
    if result.verdict == "equivalent":
        return (
            f"Before or after the activations makes no difference that matters{of}: after minus "
            f"before is {difference}, within ±{comparison.margin:g}{_ending(contrast)}."
        )
    return (
        f"Before or after the activations is not decided{of}: after minus before is "
        f"{difference}; {_open(comparison, contrast, advice)}."
    )


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
    return ""


def _cost(comparison: Comparison, experiment: Experiment) -> str:
    ratio = comparison.ratios[experiment]
    if ratio.ratio is None:
        return ""
    return f", at {ratio.ratio:.2f} times its epoch time"


def _against_baseline(comparison: Comparison, advice: Advice) -> Iterator[str]:
    """Yield what is held against the baseline: those decided alike in one sentence."""
    against = [
        c
        for c in comparison.contrasts
        if c.baseline is comparison.baseline and c.family == "baseline"
        if comparison.smoke or not c.failing  # which is said with the health
    ]
    base = comparison.baseline.label
    words = {
        "better": f"Better than {base}",
        "worse": f"Worse than {base}",
        "equivalent": f"No difference to {base} that matters, within ±{comparison.margin:g} points",
    }
    for verdict, start in words.items():
        alike: dict[str, list[str]] = {}
        for contrast in against:
            if contrast.result.verdict == verdict:
                alike.setdefault(_ending(contrast), []).append(_by(comparison, contrast))
        for ending, said in alike.items():
            yield f"{start}: {listed(said)}{ending}."
    for contrast in against:
        if not contrast.result.decided:
            yield (
                f"{named(contrast)} is not decided: {_size(comparison, contrast)}; "
                f"{_open(comparison, contrast, advice)}."
            )


def _health(comparison: Comparison, advice: Advice) -> Iterator[str]:
    for finding in health.health(comparison):
        yield f"{message(finding)}: {cure(finding, advice)}."


def _by(comparison: Comparison, contrast: ExperimentContrast) -> str:
    label, result = contrast.experiment.label, contrast.result
    if result.verdict == "equivalent":
        return f"{label} with {_size(comparison, contrast)}"
    below = " (less than the margin)" if result.below_margin else ""
    return f"{label} by {_size(comparison, contrast, absolute=True)}{below}"


def _size(
    comparison: Comparison,
    contrast: ExperimentContrast,
    *,
    minus: bool = False,
    absolute: bool = False,
) -> str:
    """Return the difference with its interval, from the other side with ``minus``."""
    result, metric = contrast.result, comparison.question.measure
    if result.mean_difference is None:
        return "unknown"
    minus = minus or (absolute and result.mean_difference < 0)
    scale = -metric.scale if minus else metric.scale
    shown = fixed if absolute else signed
    ends = sorted(scale * end for end in result.interval or ())
    interval = f" [{', '.join(map(shown, ends))}]" if ends else ""
    unit = "points" if metric.difference_unit == "pp" else metric.difference_unit
    return f"{shown(scale * result.mean_difference)} {unit}{interval}"


def _ending(contrast: ExperimentContrast) -> str:
    """Return when it was decided, and whether it holds for new images."""
    decided = f", decided at {contrast.result.decided_at} seeds"
    match contrast.new_images.holds if contrast.new_images else None:
        case True:
            return f"{decided}; holds for new images"
        case False:
            return f"{decided}; open for new images{_rows(contrast)}"
        case _:
            return decided


def _rows(contrast: ExperimentContrast) -> str:
    images = contrast.new_images
    if images is None or images.rows_needed is None:
        return ""
    return (
        f", which no number of seeds settles on {images.rows:,} test rows; about "
        f"{images.rows_needed:,} would"
    )


def _open(comparison: Comparison, contrast: ExperimentContrast, advice: Advice) -> str:
    """Return why it is open and what would settle it."""
    said = reason(comparison, contrast) or ""
    result = contrast.result
    if result.looks and result.next_look and result.verdict:
        said += _likely(comparison, contrast)
    if result.next_look and advice.more_seeds:
        said += f": {advice.more_seeds}"
    return said + _rows(contrast)


def _likely(comparison: Comparison, contrast: ExperimentContrast) -> str:
    """Return how many seeds settle it four times in five."""
    result, most = contrast.result, comparison.plan.most
    observed, at_margin = (
        f"by {seeds} seeds" if seeds else f"not by {most} seeds"
        for seeds in (result.seeds_needed, result.seeds_needed_at_margin)
    )
    if observed == at_margin:
        return f" (four times in five it is settled {observed})"
    return (
        f" (four times in five it is settled {observed} if it stays as it is, {at_margin} if the "
        "true difference is the margin)"
    )


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


def _limits(comparison: Comparison, advice: Advice) -> Iterator[str]:
    if comparison.smoke:
        yield (
            "This is a smoke run on the shipped sample: it shows that the program works, not which "
            "placement is better."
        )
        return
    if comparison.tuning:
        yield (
            "Every experiment stands here with the values that did best on the validation data"
            f"{_seeds_of_choice(comparison.tuning)}; the test data had no part in that choice."
        )
    pairs = len(comparison.experiments) * (len(comparison.experiments) - 1) // 2
    if len(comparison.contrasts) < pairs:
        how = f" ({advice.all_pairs})" if advice.all_pairs else ""
        yield f"The other pairs are not tested here; contrasting all pairs does{how}."
    rows = comparison.baseline.newest.data.rows[2]
    yield (
        f"Intervals and verdicts are for new seeds on these {rows:,} test rows and stay right as "
        "seeds are added by the plan; it is said where they hold for new images too."
    )
    yield "All of it is for this network, data set and training budget, and says nothing of others."


def _seeds_of_choice(tuning: Tuning) -> str:
    if not all(one.paired for one in tuning.candidates):
        return ""  # a remark says so
    if any(e.diverged for one in tuning.candidates for e in one.experiments):
        return ", over the seeds that all its values with the smallest share of diverged runs have"
    return ", over the seeds that all its values have"
