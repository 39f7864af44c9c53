"""What a comparison says, in plain words, and what it cannot say."""

from collections.abc import Callable, Iterator
from math import ceil

from bnbench.evidence import health
from bnbench.evidence.advice import IN_WORDS, Advice
from bnbench.evidence.comparison import INPUT_BN, PLACEMENT, Comparison, ExperimentContrast
from bnbench.evidence.deciding import next_seeds
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import CHOSEN_BY, Tuning
from bnbench.experiments.sweep import short_key
from bnbench.show.examples import examples
from bnbench.show.remarks import fails, named, network, reason
from bnbench.text import count, fixed, listed, signed

_FEW = 2  # undecided contrasts that have a sentence each


def answer(comparison: Comparison, advice: Advice = IN_WORDS) -> list[str]:
    """Return the answer: before or after the activations, what BN brings, and what spoils it."""
    if len(comparison.experiments) == 1:
        label = comparison.baseline.label
        alone = f"{label} is alone under this protocol: there is nothing to hold it against."
        return [alone, *_health(comparison, advice)]
    placements = comparison.placement_contrasts
    said = [_placement(comparison, c, advice, len(placements) > 1) for c in placements]
    return [
        *_smoke(comparison),
        *said,
        *_against_baseline(comparison, advice),
        *_floor(comparison),
        *_health(comparison, advice),
    ]


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
    after, before = (
        contrast.by_placement[side] for side in ("after_activation", "before_activation")
    )
    of = f" ({network(contrast)})" if several else ""
    if contrast.failing and result.looks:
        return (
            f"Before or after the activations is not answered{of}: {fails(contrast)} to train at "
            "these settings."
        )
    if result.verdict in ("better", "worse"):
        after_wins = (result.verdict == "better") == (contrast.experiment is after)
        first, second = ("After", "before") if after_wins else ("Before", "after")
        lead = f"{first} the activations beats {second} them{of} by {_lead(comparison, contrast)}"
        return f"{lead}{_ending(comparison, contrast)}."
    difference = _size(comparison, contrast, minus=contrast.experiment is before)
    if result.verdict == "equivalent":
        return (
            f"Before or after the activations makes no difference that matters{of}: after minus "
            f"before is {difference}, within ±{comparison.margin:g}"
            f"{_ending(comparison, contrast)}."
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
        "data.standardize": "standardized" if data.standardize else "",
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
    metric = comparison.question.measure
    best = max(finished, key=lambda e: metric.direction * (e.mean or 0.0))
    base = comparison.baselines[best].label
    mean = f"{fixed(metric.scale * (best.mean or 0.0))} {metric.unit}"
    seeds = count(len(best.values), "seed")
    survivors = f" (of {len(best.records)}; the others diverged)" if best.diverged else ""
    equal = [e.label for e in finished if e.mean == best.mean]
    if len(equal) > 1:
        yield f"{listed(equal)} share the best mean {metric.heading}: {mean}."
        return
    who = f"{base}, the baseline," if best is comparison.baselines[best] else best.label
    ratio = comparison.ratios[best].ratio
    cost = f", at {ratio:.2f} times the epoch time of {base}" if ratio else ""
    yield f"{who} has the best mean {metric.heading}: {mean} over {seeds}{survivors}{cost}."


def _against_baseline(comparison: Comparison, advice: Advice) -> Iterator[str]:
    """Yield what is held against the baseline: those decided alike in one sentence."""
    held = [
        c
        for c in comparison.contrasts
        if c.family == "baseline" and not (c.failing and c.result.looks)  # said with the health
    ]
    for base in dict.fromkeys(c.baseline for c in held):
        against = [c for c in held if c.baseline is base]
        yield from _against(comparison, base.label, against, advice)


def _against(
    comparison: Comparison, base: str, against: list[ExperimentContrast], advice: Advice
) -> Iterator[str]:
    words = {
        "better": f"Better than {base}",
        "worse": f"Worse than {base}",
        "equivalent": f"No difference to {base} that matters, within ±{comparison.margin:g} points",
    }
    for verdict, start in words.items():
        alike: dict[str, list[str]] = {}
        for contrast in against:
            if contrast.result.verdict == verdict:
                ending = _ending(comparison, contrast)
                alike.setdefault(ending, []).append(_by(comparison, contrast))
        for ending, said in alike.items():
            yield f"{start}: {listed(said)}{ending}."
    undecided = [contrast for contrast in against if not contrast.result.decided]
    if len(undecided) > _FEW:
        sizes = [f"{c.experiment.label} with {_size(comparison, c)}" for c in undecided]
        coming = [c for c in undecided if c.result.next_look]
        more = _more(comparison, coming[0], advice) if coming else ""
        yield f"Not decided against {base}: {listed(sizes)}{more}."
        return
    for contrast in undecided:
        yield (
            f"{named(contrast)} is not decided: {_size(comparison, contrast)}; "
            f"{_open(comparison, contrast, advice)}."
        )


def _health(comparison: Comparison, advice: Advice) -> Iterator[str]:
    """Yield what spoils the answer; findings that have one cure stand together."""
    by_cure: dict[str, list[str]] = {}
    for finding in health.health(comparison):
        by_cure.setdefault(finding.cure(advice), []).append(finding.message)
    for remedy, found in by_cure.items():
        yield f"{'; '.join(found)}: {remedy}."


def _by(comparison: Comparison, contrast: ExperimentContrast) -> str:
    label = contrast.experiment.label
    if contrast.result.verdict == "equivalent":
        return f"{label} with {_size(comparison, contrast)}"
    return f"{label} by {_lead(comparison, contrast)}"


def _lead(comparison: Comparison, contrast: ExperimentContrast) -> str:
    """Return by how much the better side leads."""
    metric = comparison.question.measure
    ours_leads = (contrast.result.verdict == "better") == (metric.direction == 1)
    below = " (less than the margin)" if contrast.result.below_margin else ""
    return _size(comparison, contrast, minus=not ours_leads, shown=fixed) + below


def _size(
    comparison: Comparison,
    contrast: ExperimentContrast,
    *,
    minus: bool = False,
    shown: Callable[[float], str] = signed,
) -> str:
    """Return the difference with its interval, from the other side with ``minus``."""
    result, metric = contrast.result, comparison.question.measure
    mean, interval = result.mean_difference, result.interval
    if result.deciding_look:
        mean, interval = result.deciding_look.mean, result.deciding_look.interval
    if mean is None:
        return "unknown"
    scale = -metric.scale if minus else metric.scale
    ends = sorted(scale * end for end in interval or ())
    within = f" [{', '.join(map(shown, ends))}]" if ends else ""
    unit = "points" if metric.difference_unit == "pp" else metric.difference_unit
    return f"{shown(scale * mean)} {unit}{within}"


def _ending(comparison: Comparison, contrast: ExperimentContrast) -> str:
    """Return when it was decided, and whether it holds for later seeds and for new images."""
    result = contrast.result
    said = f", decided at {result.decided_at} seeds"
    if mixed := [e.label for e in (contrast.experiment, contrast.baseline) if e.mixed]:
        return f"{said}, on means over runs of which some did not learn ({listed(mixed)})"
    if result.contradicted_by_last_look:
        return f"{said}, though the {result.looks[-1].seeds} seeds looked at now point elsewhere"
    new = f"new {examples(comparison.config.data)}"
    match contrast.new_images.holds if contrast.new_images else None:
        case True:
            return f"{said}; holds for {new}"
        case False:
            return f"{said}; open for {new}{_undecidable(comparison, contrast)}"
        case _:
            return said


def _undecidable(comparison: Comparison, contrast: ExperimentContrast) -> str:
    """Say where no number of seeds would make it hold on these test rows."""
    images, mean = contrast.new_images, abs(contrast.result.mean_difference or 0.0)
    if images is None or not mean:
        return ""
    room = mean
    if contrast.result.verdict == "equivalent":
        room = comparison.margin_in_metric - mean
    if not 0 < room < images.floor:
        return ""
    needed = ceil(images.rows * (images.floor / room) ** 2)
    return (
        f", which no number of seeds changes on {images.rows:,} test rows; more than {needed:,} "
        "would, if it stays as it is"
    )


def _floor(comparison: Comparison) -> Iterator[str]:
    """Say where the test rows are too few for the margin, however many seeds there are."""
    images = [c.new_images for c in comparison.contrasts if c.new_images]
    coarse = [found for found in images if found.rows_needed]
    if not coarse or comparison.smoke:
        return
    widest = max(coarse, key=lambda found: found.floor)
    floor = fixed(comparison.question.measure.scale * widest.floor)
    yield (
        f"For new {examples(comparison.config.data)} no number of seeds gets below ±{floor} points "
        f"on these {widest.rows:,} test rows; ±{comparison.margin:g} takes about "
        f"{widest.rows_needed:,}."
    )


def _open(comparison: Comparison, contrast: ExperimentContrast, advice: Advice) -> str:
    """Return why it is open and what would settle it."""
    said = (reason(comparison, contrast) or "") + _likely(comparison, contrast)
    if contrast.result.next_look and not contrast.failing:
        said += _more(comparison, contrast, advice)
    return said


def _more(comparison: Comparison, contrast: ExperimentContrast, advice: Advice) -> str:
    """Return how to get the seeds of the next look, where one can type it.

    What settles before or after gives none to networks of which that is decided, or can not be.
    """
    going_on = next_seeds([comparison])
    by_itself = {contrast.experiment.identity, contrast.baseline.identity} <= going_on.keys()
    apart = comparison.tuning_seeds
    seeds = apart + (contrast.result.next_look or 0)
    how = advice.more_seeds if by_itself else advice.seeds(seeds)
    return f": {how}" if how else ""


def _likely(comparison: Comparison, contrast: ExperimentContrast) -> str:
    """Return how many seeds settle it four times in five."""
    result, most = contrast.result, comparison.plan.most
    if not result.next_look or not result.looks or result.diverged[0] != result.diverged[1]:
        return ""
    if not result.std_difference or not result.verdict:
        return ""
    observed, at_margin = result.seeds_needed, result.seeds_needed_at_margin
    if observed is None and at_margin is None:
        return f" (no look up to {most} seeds settles it four times in five)"
    if observed == at_margin:
        return f" (four times in five {observed} seeds settle it)"
    texts = [f"{n} seeds" if n else f"no look up to {most} seeds" for n in (observed, at_margin)]
    return (
        f" (four times in five {texts[0]} settle it if it stays as it is, {texts[1]} if the true "
        "difference is the margin)"
    )


def _unclean(comparison: Comparison) -> Iterator[str]:
    confounded: dict[Experiment, list[str]] = {}
    for contrast in comparison.contrasts:
        both = {INPUT_BN, PLACEMENT} <= set(contrast.differs_in)
        if both and comparison.is_against_baseline(contrast):
            confounded.setdefault(contrast.baseline, []).append(contrast.experiment.label)
    for base, with_input in confounded.items():
        verb = "differs" if len(with_input) == 1 else "differ"
        yield (
            f"{listed(with_input)} {verb} from {base.label} in the input BN too: that gain is not "
            f"the hidden layers' alone{_input_share(comparison, base)}."
        )


def _input_share(comparison: Comparison, base: Experiment) -> str:
    for contrast in comparison.contrasts:
        alone = contrast.baseline is base and contrast.differs_in == (INPUT_BN,)
        if alone and contrast.result.mean_difference is not None:
            scale = contrast.experiment.metric.scale
            difference = signed(scale * contrast.result.mean_difference)
            return f" (input BN alone, {contrast.experiment.label}: {difference} points)"
    return "; an experiment with input BN and no other would tell how much is"


def _smoke(comparison: Comparison) -> Iterator[str]:
    if comparison.smoke:
        yield (
            "This is a smoke run on the shipped sample: it shows that the program works, not which "
            "placement is better."
        )


def _limits(comparison: Comparison, advice: Advice) -> Iterator[str]:
    if comparison.smoke:
        return
    if comparison.tuning:
        yield (
            "Every experiment stands here with the values that did best on the validation data"
            f"{_seeds_of_choice(comparison.tuning)}; the test data had no part in that choice"
            f"{', nor these seeds in the comparison' if comparison.tuning.tuning_seeds else ''}."
        )
    pairs = len(comparison.experiments) * (len(comparison.experiments) - 1) // 2
    if len(comparison.contrasts) < pairs:
        how = f" ({advice.all_pairs})" if advice.all_pairs else ""
        yield f"The other pairs are not tested here; contrasting all pairs does{how}."
    yield _scope(comparison)
    yield "All of it is for this network, data set and training budget, and says nothing of others."


def _seeds_of_choice(tuning: Tuning) -> str:
    if not all(one.paired for one in tuning.candidates):
        return ""  # a remark says so
    seeds = {len(one.judged(e).records) for one in tuning.candidates for e in one.experiments}
    first = f"the first {seeds.pop()} seeds" if len(seeds) == 1 else "the first seeds"
    if any(e.diverged for one in tuning.candidates for e in one.experiments):
        return (
            f", over those of {first} that its values with the smallest share of diverged runs have"
        )
    return f", over {first}"


def _scope(comparison: Comparison) -> str:
    """Return what the intervals and verdicts are for."""
    metric, rows = comparison.question.measure, comparison.baseline.newest.data.rows
    validation = metric is CHOSEN_BY
    of = f"these {rows[1]:,} validation rows" if validation else f"these {rows[2]:,} test rows"
    start = (
        f"Intervals and verdicts are for new seeds on {of} and stay right as seeds are added by "
    )
    new = f"new {examples(comparison.config.data)}"
    if metric.by_row:
        return f"{start}the plan; it is said where they hold for {new} too."
    return f"{start}the plan; for {new} they are not worked out with this metric."
