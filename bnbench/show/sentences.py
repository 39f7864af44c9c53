"""The answer of a comparison, in plain words, and its limits."""

from collections.abc import Callable, Iterator, Sequence

from bnbench.evidence.advice import IN_WORDS, Advice
from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.deciding import next_seeds
from bnbench.evidence.health import health
from bnbench.evidence.tuning import CHOSEN_BY
from bnbench.experiments.sweep import short_key
from bnbench.show.remarks import after_and_before, examples, named, network, reason
from bnbench.text import count, fixed, listed, signed

_FEW = 2  # undecided contrasts that have a sentence each
_SMOKE = (
    "This is a smoke run on the shipped sample: it shows that the program works, not which "
    "placement is better."
)


def answer(comparison: Comparison, advice: Advice = IN_WORDS) -> list[str]:
    """Return the answer: before or after, what BN brings, and what makes it unreliable."""
    if len(comparison.experiments) == 1:
        label = comparison.baseline.label
        alone = f"{label} is the only experiment of this protocol: nothing to compare it with."
        return [alone, *_health(comparison, advice)]
    return [
        *([_SMOKE] if comparison.smoke else []),
        *(_placement(comparison, c, advice) for c in comparison.placement_contrasts),
        *_against_baseline(comparison, advice),
        *_floor(comparison),
        *_health(comparison, advice),
    ]


def closing(comparison: Comparison, advice: Advice = IN_WORDS) -> list[str]:
    """Return the closing sentences: the best, its cost, and the limits."""
    if len(comparison.experiments) == 1:
        return []
    return [*_best(comparison), *_limits(comparison, advice)]


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
    what = f"protocol {comparison.reference}"
    if comparison.tuning:
        what = f"tuned over {listed([short_key(key) for key in comparison.tuned])}"
    start = f"Smoke run, {what}" if comparison.smoke else what[0].upper() + what[1:]
    state = ""
    if comparison.reference not in ("tuned", comparison.config.protocol_id):
        newest = comparison.baseline.newest
        state = f", data {newest.data.sha256[:8]}, training version {newest.training_version}"
    return f"{start}: {describe_protocol(comparison)}{state}"


def _placement(comparison: Comparison, contrast: ExperimentContrast, advice: Advice) -> str:
    result = contrast.result
    after, _ = after_and_before(contrast)
    of = f" ({network(contrast)})" if len(comparison.placement_contrasts) > 1 else ""
    if contrast.failing and result.looks:
        return f"No comparison of before and after{of}: {reason(comparison, contrast)}."
    if result.verdict in ("better", "worse"):
        after_is_better = (result.verdict == "better") == (contrast.experiment is after)
        sides = "After is better than before" if after_is_better else "Before is better than after"
        return f"{sides}{of} by {_lead(comparison, contrast)}{_ending(comparison, contrast)}."
    size = _size(comparison, contrast, minus=contrast.experiment is not after)
    if result.verdict == "equivalent":
        return (
            f"Before and after are equivalent{of}: after minus before is {size}, within "
            f"±{comparison.margin:g}{_ending(comparison, contrast)}."
        )
    yet = " yet" if result.next_look else ""
    return (
        f"No clear winner{yet} between before and after{of}: after minus before is {size}; "
        f"{_undecided(comparison, contrast, advice)}."
    )


def _against_baseline(comparison: Comparison, advice: Advice) -> Iterator[str]:
    """Yield what is compared with the baseline: those decided alike in one sentence."""
    by_base: dict[str, list[ExperimentContrast]] = {}
    for contrast in comparison.contrasts:
        fails_to_train = contrast.failing and contrast.result.looks  # as a finding says
        if contrast.family == "baseline" and not fails_to_train:
            by_base.setdefault(contrast.baseline.label, []).append(contrast)
    for base, contrasts in by_base.items():
        yield from _decided(comparison, base, contrasts)
        yield from _open(comparison, base, contrasts, advice)


def _decided(
    comparison: Comparison, base: str, contrasts: Sequence[ExperimentContrast]
) -> Iterator[str]:
    starts = {
        "better": (f"Better than {base}", "by", _lead),
        "worse": (f"Worse than {base}", "by", _lead),
        "equivalent": (
            f"Equivalent to {base}, within ±{comparison.margin:g} points",
            "with",
            _size,
        ),
    }
    for verdict, (start, link, size) in starts.items():
        alike: dict[str, list[str]] = {}
        for contrast in contrasts:
            if contrast.result.verdict == verdict:
                found = f"{contrast.experiment.label} {link} {size(comparison, contrast)}"
                alike.setdefault(_ending(comparison, contrast), []).append(found)
        for ending, experiments in alike.items():
            yield f"{start}: {listed(experiments)}{ending}."


def _open(
    comparison: Comparison, base: str, contrasts: Sequence[ExperimentContrast], advice: Advice
) -> Iterator[str]:
    undecided = [contrast for contrast in contrasts if not contrast.result.decided]
    if len(undecided) > _FEW:
        sizes = [f"{c.experiment.label} with {_size(comparison, c)}" for c in undecided]
        coming = [_more(comparison, c, advice) for c in undecided if c.result.next_look]
        yield f"Undecided against {base}: {listed(sizes)}{''.join(coming[:1])}."
        return
    for contrast in undecided:
        yield (
            f"{named(contrast)} is undecided: {_size(comparison, contrast)}; "
            f"{_undecided(comparison, contrast, advice)}."
        )


def _health(comparison: Comparison, advice: Advice) -> Iterator[str]:
    by_cure: dict[str, list[str]] = {}
    for finding in health(comparison):
        by_cure.setdefault(finding.cure(advice), []).append(finding.message)
    for cure, messages in by_cure.items():
        yield f"{'; '.join(messages)}: {cure}."


def _lead(comparison: Comparison, contrast: ExperimentContrast) -> str:
    metric = comparison.question.measure
    first_leads = (contrast.result.verdict == "better") == (metric.direction == 1)
    below = " (less than the margin)" if contrast.result.below_margin else ""
    return _size(comparison, contrast, minus=not first_leads, shown=fixed) + below


def _size(
    comparison: Comparison,
    contrast: ExperimentContrast,
    *,
    minus: bool = False,
    shown: Callable[[float], str] = signed,
) -> str:
    """Return the difference with its interval; ``minus`` changes the sign of both."""
    metric = comparison.question.measure
    look = contrast.result.deciding_look
    mean = look.sample.mean if look else contrast.result.sample.mean
    if mean is None:
        return "unknown"
    scale = -metric.scale if minus else metric.scale
    ends = sorted(scale * end for end in (look.interval if look else None) or ())
    within = f" [{', '.join(map(shown, ends))}]" if ends else ""
    unit = "points" if metric.difference_unit == "pp" else metric.difference_unit
    return f"{shown(scale * mean)} {unit}{within}"


def _ending(comparison: Comparison, contrast: ExperimentContrast) -> str:
    result = contrast.result
    when = f", decided at {result.decided_at} seeds"
    if mixed := [e.label for e in (contrast.experiment, contrast.baseline) if e.mixed]:
        return f"{when}, on means over runs of which some did not learn ({listed(mixed)})"
    if result.contradicted_by_last_look:
        return f"{when}, though the last look, at {result.looks[-1].seeds} seeds, contradicts it"
    new = f"new {examples(comparison.config.data)}"
    holds = contrast.new_images.holds if contrast.new_images else None
    if holds is None:
        return when
    return f"{when}; holds for {new} too" if holds else f"{when}; open for {new}"


def _floor(comparison: Comparison) -> Iterator[str]:
    """Yield whether the test rows are too few for the margin, however many seeds there are."""
    images = [c.new_images for c in comparison.contrasts if c.new_images]
    coarse = [found for found in images if found.rows_needed]
    if not coarse or comparison.smoke:
        return
    widest = max(coarse, key=lambda found: found.floor)
    floor = fixed(comparison.question.measure.scale * widest.floor)
    yield (
        f"For new {examples(comparison.config.data)} no number of seeds makes an interval narrower "
        f"than ±{floor} points on these {widest.rows:,} test rows; ±{comparison.margin:g} takes "
        f"about {widest.rows_needed:,} rows."
    )


def _undecided(comparison: Comparison, contrast: ExperimentContrast, advice: Advice) -> str:
    why = (reason(comparison, contrast) or "") + _likely(comparison, contrast)
    if contrast.result.next_look and not contrast.failing:
        why += _more(comparison, contrast, advice)
    return why


def _more(comparison: Comparison, contrast: ExperimentContrast, advice: Advice) -> str:
    """Return how to get the seeds of the next look, where one can type it."""
    how = advice.more_seeds
    sides = {contrast.experiment.identity, contrast.baseline.identity}
    if not sides <= next_seeds([comparison]).keys():  # no seeds are added to these automatically
        how = advice.seeds(comparison.tuning_seeds + (contrast.result.next_look or 0))
    return f": {how}" if how else ""


def _likely(comparison: Comparison, contrast: ExperimentContrast) -> str:
    result = contrast.result
    same = len(set(result.sample.diverged)) == 1
    if not (result.next_look and result.looks and result.verdict and result.sample.std and same):
        return ""
    as_seen, at_margin = (
        f"{seeds} seeds have" if seeds else f"no look up to {comparison.plan.most} seeds has"
        for seeds in (result.seeds_needed, result.seeds_needed_at_margin)
    )
    if as_seen == at_margin:
        return f" ({as_seen} an 80 % chance of deciding)"
    return (
        f" (if the difference is real, {as_seen} an 80 % chance of deciding; if it is the margin, "
        f"{at_margin})"
    )


def _best(comparison: Comparison) -> Iterator[str]:
    metric = comparison.question.measure
    means = {e: e.mean for e in comparison.experiments if e.mean is not None}
    if not means:
        yield "No run completed."
        return
    highest = max(means.values(), key=lambda mean: metric.direction * mean)
    mean = f"the best mean {metric.heading}: {fixed(metric.scale * highest)} {metric.unit}"
    best, *equal = [e for e in means if means[e] == highest]
    if equal:
        yield f"{listed([e.label for e in (best, *equal)])} share {mean}."
        return
    base = comparison.baselines[best]
    who = f"{base.label}, the baseline," if best is base else best.label
    completed = f" (of {len(best.records)}; the others diverged)" if best.diverged else ""
    ratio = comparison.ratios[best].ratio
    cost = f", at {ratio:.2f} times the epoch time of {base.label}" if ratio else ""
    yield f"{who} has {mean} over {count(len(best.values), 'seed')}{completed}{cost}."


def _limits(comparison: Comparison, advice: Advice) -> Iterator[str]:
    if comparison.smoke:
        return
    if comparison.tuning:
        yield (
            "Every experiment is shown with the values that did best on the validation data; the "
            "test data had no part in that choice"
            f"{', nor its seeds in the comparison' if comparison.tuning_seeds else ''}."
        )
    possible = len(comparison.experiments) * (len(comparison.experiments) - 1) // 2
    if len(comparison.contrasts) < possible:
        how = f": {advice.all_pairs}" if advice.all_pairs else ""
        yield f"Not all pairs of experiments are compared here{how}."
    metric, rows = comparison.question.measure, comparison.baseline.newest.data.rows
    of = f"{rows[1]:,} validation" if metric is CHOSEN_BY else f"{rows[2]:,} test"
    new = f"new {examples(comparison.config.data)}"
    limit = f"each verdict says whether it holds for {new} too"
    if not metric.by_row:
        limit = f"for {new} they are not worked out with this metric"
    yield (
        f"Intervals and verdicts are for new seeds on these {of} rows, and stay right as seeds are "
        f"added by the plan; {limit}."
    )
    yield "All of it is for this network, data set and training budget, not for others."
