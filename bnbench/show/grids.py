"""A comparison and a network as tables of text, not yet laid out for any medium."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.epoch_times import EpochRatio
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import Tuning
from bnbench.evidence.verdicts import Contrast
from bnbench.experiments.architecture import Activation, Dense, Layer
from bnbench.experiments.sweep import label, short_key
from bnbench.show.remarks import (
    after_and_before,
    examples,
    excludes_zero,
    lacks_significance,
    network,
)
from bnbench.text import fixed, seconds, signed

NOTHING = "–"
_LONGEST_HEADING = 16  # of a baseline's name, as a wider column would be left out sooner


@dataclass(frozen=True)
class Column:
    """A column: its heading, its unit, and what to do with it on a terminal that is too narrow.

    First the columns ``beneath`` become a second line in the cells of the one before them. Then
    those with the highest ``dispensable`` are left out; those with 0 never are.
    """

    heading: str
    unit: str = ""
    dispensable: int = 0
    numeric: bool = True
    beneath: bool = False

    @property
    def header(self) -> str:
        """Heading with unit, in one line."""
        return f"{self.heading} [{self.unit}]" if self.unit else self.heading


@dataclass(frozen=True)
class Grid:
    """A titled table whose cells are plain text, not yet laid out for any medium.

    One that is ``turnable`` may have its rows for columns where it is too wide.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    turnable: bool = False

    def turned(self) -> "Grid":
        """Return it with the rows for columns."""
        first, *others = self.columns
        heads, *cells = zip(*self.rows, strict=True)
        columns = (Column("", numeric=False), *(Column(head, first.unit) for head in heads))
        rows = zip((column.header for column in others), cells, strict=True)
        return Grid(self.title, columns, tuple((head, *row) for head, row in rows))


def placements(comparison: Comparison) -> Grid:
    """Return one row for each pair that differs in the placement alone: after minus before."""
    metric, new = comparison.question.measure, f"new {examples(comparison.config.data)}"
    return Grid(
        f"Before or after the activations (after minus before, margin ±{comparison.margin:g} "
        f"{metric.difference_unit})",
        (
            Column("network", numeric=False),
            *(Column(short_key(key), "after, before", dispensable=5) for key in comparison.tuned),
            Column("after", metric.unit, dispensable=4),
            Column("before", metric.unit, dispensable=4),
            Column("difference", metric.difference_unit),
            Column(new, metric.difference_unit, dispensable=3, beneath=True),
            Column("seeds", dispensable=2),
            Column("verdict", numeric=False),
            Column(f"on {new}", dispensable=1, numeric=False, beneath=True),
        ),
        tuple(_placement_row(comparison, contrast) for contrast in comparison.placement_contrasts),
    )


def _placement_row(comparison: Comparison, contrast: ExperimentContrast) -> tuple[str, ...]:
    after, before = after_and_before(contrast)
    sign = 1 if contrast.experiment is after else -1
    values = [(after.config.settings()[k], before.config.settings()[k]) for k in comparison.tuned]
    result = contrast.result
    return (
        network(contrast),
        *(", ".join(map(setting_value, pair)) for pair in values),
        _mean(after),
        _mean(before),
        difference(contrast, sign),
        _for_new_images(contrast),
        str(result.looks[-1].seeds if result.looks else result.sample.pairs),
        _winner(contrast, sign),
        on_new_images(contrast),
    )


def _winner(contrast: ExperimentContrast, sign: int) -> str:
    """Return the verdict with the placement that it is for; ``sign`` 1 means after minus before."""
    if contrast.failing and contrast.result.looks:
        after, before = after_and_before(contrast)
        sides = {"after": after, "before": before}
        failing = [name for name, side in sides.items() if side in contrast.failing]
        return f"{' and '.join(failing)} {'fails' if len(failing) == 1 else 'fail'} to train"
    better = {"better": sign, "worse": -sign}.get(contrast.result.verdict or "")
    if better is None:
        return verdict(contrast)
    side = "after" if better == 1 else "before"
    return verdict(contrast).replace(contrast.result.verdict or "", f"{side} better", 1)


def results(comparison: Comparison) -> Grid:
    """Return one row for each experiment: its metric, its difference to the baseline, its time."""
    metric = comparison.question.measure
    labels = {base.label for base in comparison.baselines.values()}
    base = labels.pop() if len(labels) == 1 else ""
    base = base if 0 < len(base) <= _LONGEST_HEADING else "baseline"
    return Grid(
        "Results (± half the 95 % interval, for differences over all looks)",
        (
            Column("experiment", numeric=False),
            Column("placement", dispensable=2, numeric=False, beneath=True),
            *(Column(short_key(key)) for key in comparison.tuned),
            Column(metric.heading, metric.unit),
            Column("seeds", dispensable=4, beneath=True),
            Column(f"vs {base}", metric.difference_unit, dispensable=1),
            Column("verdict", dispensable=3, numeric=False, beneath=True),
            Column(f"new {examples(comparison.config.data)}", dispensable=6, numeric=False),
            Column("epoch time", "s", dispensable=5),
            Column("ratio", "95 % CI", dispensable=5, beneath=True),
        ),
        tuple(_result_row(comparison, e) for e in comparison.experiments),
    )


def _result_row(comparison: Comparison, experiment: Experiment) -> tuple[str, ...]:
    contrast = comparison.against_baseline(experiment)
    quartiles = experiment.epoch_quartiles
    is_baseline = experiment is comparison.baselines[experiment]
    settings = experiment.config.settings() if comparison.tuned else {}
    return (
        experiment.label,
        experiment.config.model.batch_norm.placement,
        *(setting_value(settings[key]) for key in comparison.tuned),
        _mean(experiment),
        _seeds(experiment),
        difference(contrast) if contrast else NOTHING,
        "baseline" if contrast is None else verdict(contrast),
        NOTHING if contrast is None else on_new_images(contrast),
        seconds(quartiles[1]) if quartiles else NOTHING,
        NOTHING if is_baseline else _ratio(comparison.ratios[experiment]),
    )


def contrasts(comparison: Comparison) -> Grid:
    """Return one row for each contrast with its test, its wins and what else differs."""
    unit = comparison.question.measure.difference_unit
    new = f"new {examples(comparison.config.data)}"
    return Grid(
        f"Contrasts (first minus second, margin ±{comparison.margin:g} {unit})",
        (
            Column("experiment", numeric=False),
            Column("against", numeric=False, beneath=True),
            Column("seeds", dispensable=3),
            Column("difference", unit),
            Column(new, unit, dispensable=5, beneath=True),
            Column("p", "Holm", dispensable=4),
            Column("won-tied-lost", dispensable=4, beneath=True),
            Column("P(improvement)", "95 % CI", dispensable=8),
            Column("verdict", numeric=False),
            Column(f"on {new}", dispensable=2, numeric=False, beneath=True),
            Column("also differs in", dispensable=7, numeric=False),
        ),
        tuple(_contrast_row(contrast) for contrast in comparison.contrasts),
    )


def _contrast_row(contrast: ExperimentContrast) -> tuple[str, ...]:
    result = contrast.result
    improvement, ci95 = result.sample.improvement
    share = NOTHING if improvement is None else f"{improvement:.2f}"
    if ci95:
        share += " [{:.2f}, {:.2f}]".format(*ci95)
    return (
        contrast.experiment.label,
        contrast.baseline.label,
        str(result.looks[-1].seeds if result.looks else result.sample.pairs),
        difference(contrast),
        _for_new_images(contrast),
        NOTHING if result.p_holm is None else f"{result.p_holm:.4f}",
        "{}-{}-{}".format(*result.sample.outcomes),
        share,
        verdict(contrast) + _because(result),
        on_new_images(contrast),
        ", ".join(key.removeprefix("model.") for key in contrast.confounds) or NOTHING,
    )


def _for_new_images(contrast: ExperimentContrast) -> str:
    if contrast.new_images is None:
        return NOTHING
    low, high = contrast.new_images.interval
    return f"± {fixed(contrast.experiment.metric.scale * (high - low) / 2)}"


def candidates(tuning: Tuning) -> Grid:
    """Return one row for each value of each swept experiment, with the accuracy that chose."""
    return Grid(
        "Tuning (mean ± half the 95 % interval, after the last epoch)",
        (
            Column("experiment", numeric=False),
            *(Column(short_key(key)) for key in tuning.keys),
            Column("seeds", dispensable=1),
            Column("validation accuracy", "%"),
            Column("chosen", numeric=False),
        ),
        tuple(
            (
                one.name,
                *map(setting_value, one.values(candidate).values()),
                _seeds(one.judged(candidate)),
                _mean(one.judged(candidate)),
                "best" if candidate is one.best else "",
            )
            for one in tuning.candidates
            for candidate in one.experiments
        ),
    )


def setting_value(value: Any) -> str:
    """Return a setting's value as tables have it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def parameters(comparison: Comparison) -> Grid:
    """Return one row for each experiment with its parameters in total and by role."""
    counts = {e: e.newest.parameters.counts() for e in comparison.experiments}
    roles = next(iter(counts.values()))
    return Grid(
        "Parameters",
        (
            Column("experiment", numeric=False),
            *(
                Column(role.replace("non_", "non-").replace("_", " "), dispensable=order)
                for order, role in enumerate(roles)
            ),
        ),
        tuple(
            (label(e.config), *(f"{number:,}" for number in numbers.values()))
            for e, numbers in counts.items()
        ),
        turnable=True,
    )


def layers(network: Sequence[Layer]) -> Grid:
    """Return the network layer by layer, as ``model.summary()`` has it."""
    return Grid(
        "Layers",
        (
            Column("layer", numeric=False),
            Column("kind", numeric=False),
            Column("output shape", dispensable=1),
            Column("activation", dispensable=2, numeric=False),
            Column("parameters"),
        ),
        tuple(
            (
                layer.name,
                layer.kind,
                f"(None, {', '.join(map(str, layer.output_shape))})",
                layer.activation if isinstance(layer, Dense | Activation) else NOTHING,
                f"{layer.size:,}",
            )
            for layer in network
        ),
    )


def variables(network: Sequence[Layer]) -> Grid:
    """Return every variable with its role, its shape and whether it is trained."""
    return Grid(
        "Variables",
        (
            Column("layer", numeric=False),
            Column("role", numeric=False),
            Column("shape", dispensable=1),
            Column("parameters", dispensable=2),
            Column("trained", numeric=False),
        ),
        tuple(
            (
                layer.name,
                variable.role,
                " × ".join(map(str, variable.shape)),
                f"{variable.size:,}",
                "yes" if variable.trained else "no",
            )
            for layer in network
            for variable in layer.variables
        ),
    )


def _seeds(experiment: Experiment) -> str:
    total = len(experiment.records)
    return f"{len(experiment.values)}/{total}" if experiment.diverged else str(total)


def _mean(experiment: Experiment) -> str:
    return with_interval(fixed, experiment.mean, experiment.ci95, experiment.metric.scale)


def difference(contrast: ExperimentContrast, sign: int = 1) -> str:
    """Return ``sign`` times the mean difference in the unit that is shown, ± half its interval."""
    result, scale = contrast.result, sign * contrast.experiment.metric.scale
    return with_interval(signed, result.sample.mean, result.interval, scale)


def with_interval(
    shown: Callable[[float], str],
    mean: float | None,
    interval: tuple[float, float] | None,
    scale: float,
) -> str:
    """Return ``scale`` times a mean ± half its interval, each where there is one."""
    if mean is None:
        return NOTHING
    half = f" ± {fixed(abs(scale) * (interval[1] - interval[0]) / 2)}" if interval else ""
    return shown(scale * mean) + half


def verdict(contrast: ExperimentContrast) -> str:
    """Return the verdict with the look that it fell at, or what is to come before there is one."""
    result = contrast.result
    if not contrast.experiment.records.keys() & contrast.baseline.records.keys():
        return "no common seed"
    if not result.looks:
        return f"first look at {result.next_look}"
    if contrast.failing:
        alone = contrast.failing == (contrast.baseline,)
        return "baseline fails" if alone else "fails to train"
    if result.verdict is None:
        return "no verdict"
    if result.decided:
        below = ", below the margin" * result.below_margin
        contradicted = f", not at {result.looks[-1].seeds}" * result.contradicted_by_last_look
        return f"{result.verdict} at {result.decided_at}{below}{contradicted}"
    if result.waits_for_others:
        return f"{result.verdict}, others first"
    coming = f"next {result.next_look}" if result.next_look else "plan ended"
    return f"{result.verdict}, {coming}"


def _because(result: Contrast) -> str:
    """Return why it is undecided though the interval excludes zero."""
    if result.decided or not excludes_zero(result):
        return ""
    first, second = result.sample.diverged
    if first != second:
        return f" ({first} and {second} diverged)"
    if lacks_significance(result):
        return f" (p {result.p_value:.4f} > {result.p_required:.4f})"
    return ""


def on_new_images(contrast: ExperimentContrast) -> str:
    """Return whether the verdict holds for new images."""
    images = None if contrast.failing else contrast.new_images
    holds = images.holds if images else None
    return NOTHING if holds is None else "holds" if holds else "open"


def _ratio(ratio: EpochRatio) -> str:
    if ratio.mismatch:
        return "not comparable"
    if ratio.ratio is None:
        return NOTHING
    interval = " [{:.2f}, {:.2f}]".format(*ratio.ci95) if ratio.ci95 else ""
    return f"{ratio.ratio:.2f}{interval}"
