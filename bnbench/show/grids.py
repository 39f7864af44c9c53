"""A comparison and a network as tables of text, not yet laid out for any medium."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.epoch_times import EpochRatio
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import Tuning
from bnbench.evidence.verdicts import Contrast
from bnbench.experiments.architecture import Activation, Dense, Layer
from bnbench.experiments.sweep import short_key
from bnbench.show import remarks
from bnbench.text import fixed, seconds, signed

NOTHING = "–"
_LONGEST_HEADING = 16  # of a baseline's name, as a wider column would be left out sooner
Item = TypeVar("Item")


@dataclass(frozen=True)
class Column:
    """A column: its heading, its unit, and what to do with it on a terminal that is too narrow.

    First the columns ``beneath`` become a second line in the cells of the one before them. Then
    those with the highest ``dispensable`` are left out, from the right; those with 0 never are.
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
    """A titled table whose cells are plain text, not yet laid out for any medium."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def grid(title: str, items: Iterable[Item], *columns: tuple[Column, Callable[[Item], str]]) -> Grid:
    """Return a table with a row for each item; each column comes with what makes its cells."""
    rows = tuple(tuple(cell(item) for _, cell in columns) for item in items)
    return Grid(title, tuple(column for column, _ in columns), rows)


def text(heading: str, dispensable: int = 0, *, beneath: bool = False) -> Column:
    """Return a column of words."""
    return Column(heading, "", dispensable, numeric=False, beneath=beneath)


def placements(comparison: Comparison) -> Grid:
    """Return one row for each pair that differs in the placement alone: after minus before."""
    metric, new = comparison.question.measure, f"new {remarks.examples(comparison.config.data)}"

    def side(which: int) -> Callable[[ExperimentContrast], str]:
        return lambda contrast: _mean(remarks.after_and_before(contrast)[which])

    def settings(key: str) -> Callable[[ExperimentContrast], str]:
        return lambda contrast: ", ".join(map(_setting(key), remarks.after_and_before(contrast)))

    return grid(
        f"Before or after the activations (after minus before, margin ±{comparison.margin:g} "
        f"{metric.difference_unit})",
        comparison.placement_contrasts,
        (text("network"), remarks.network),
        *((Column(short_key(k), "after, before", 5), settings(k)) for k in comparison.tuned),
        (Column("after", metric.unit, 4), side(0)),
        (Column("before", metric.unit, 4), side(1)),
        (Column("difference", metric.difference_unit), lambda c: difference(c, _sign(c))),
        (Column(new, metric.difference_unit, 3, beneath=True), _for_new_images),
        (Column("seeds", dispensable=2), _pairs),
        (text("verdict"), _winner),
        (text(f"on {new}", 1, beneath=True), on_new_images),
    )


def _sign(contrast: ExperimentContrast) -> int:
    """Return 1 where the contrast is after minus before, else -1."""
    return 1 if contrast.experiment is remarks.after_and_before(contrast)[0] else -1


def _winner(contrast: ExperimentContrast) -> str:
    if contrast.failing and contrast.result.looks:
        sides = zip(remarks.after_and_before(contrast), ("after", "before"), strict=True)
        failing = [name for side, name in sides if side in contrast.failing]
        return f"{' and '.join(failing)} {'fails' if len(failing) == 1 else 'fail'} to train"
    better = {"better": _sign(contrast), "worse": -_sign(contrast)}
    word, *rest = verdict(contrast).split(" ", 1)
    if word in better:
        word = "after better" if better[word] == 1 else "before better"
    return " ".join([word, *rest])


def results(comparison: Comparison) -> Grid:
    """Return one row for each experiment: its metric, its difference to the baseline, its time."""
    metric = comparison.question.measure
    labels = {base.label for base in comparison.baselines.values()}
    base = labels.pop() if len(labels) == 1 else ""
    base = base if 0 < len(base) <= _LONGEST_HEADING else "baseline"

    def against(
        cell: Callable[[ExperimentContrast], str], none: str = NOTHING
    ) -> Callable[[Experiment], str]:
        def of_experiment(experiment: Experiment) -> str:
            contrast = comparison.against_baseline(experiment)
            return cell(contrast) if contrast else none

        return of_experiment

    return grid(
        "Results (± half the 95 % interval, for differences over all looks)",
        comparison.experiments,
        (text("experiment"), lambda e: e.label),
        (text("placement", beneath=True), lambda e: e.config.model.batch_norm.placement),
        *((Column(short_key(key), dispensable=2), _setting(key)) for key in comparison.tuned),
        (Column(metric.heading, metric.unit), _mean),
        (Column("seeds", dispensable=1, beneath=True), _seeds),
        (Column(f"vs {base}", metric.difference_unit), against(difference)),
        (text("verdict", beneath=True), against(verdict, "baseline")),
        (text(f"new {remarks.examples(comparison.config.data)}", 4), against(on_new_images)),
        (
            Column("epoch time", "s", 3),
            lambda e: seconds(e.epoch_quartiles[1]) if e.epoch_quartiles else NOTHING,
        ),
        (Column("ratio", "95 % CI", 3, beneath=True), lambda e: _ratio(comparison.ratios[e])),
    )


def contrasts(comparison: Comparison) -> Grid:
    """Return one row for each contrast with its test, its wins and what else differs."""
    unit = comparison.question.measure.difference_unit
    new = f"new {remarks.examples(comparison.config.data)}"
    return grid(
        f"Contrasts (first minus second, margin ±{comparison.margin:g} {unit})",
        comparison.contrasts,
        (text("experiment"), lambda c: c.experiment.label),
        (text("against", beneath=True), lambda c: c.baseline.label),
        (Column("seeds", dispensable=3), _pairs),
        (Column("difference", unit), difference),
        (Column(new, unit, 5, beneath=True), _for_new_images),
        (
            Column("p", "Holm", 4),
            lambda c: NOTHING if c.result.p_holm is None else f"{c.result.p_holm:.4f}",
        ),
        (
            Column("won-tied-lost", dispensable=4, beneath=True),
            lambda c: "{}-{}-{}".format(*c.result.sample.outcomes),
        ),
        (
            Column("P(improvement)", "95 % CI", 7),
            lambda c: _share(*c.result.sample.improvement),
        ),
        (text("verdict"), lambda c: verdict(c) + _because(c.result)),
        (text(f"on {new}", 2, beneath=True), on_new_images),
        (
            text("also differs in", 6),
            lambda c: ", ".join(key.removeprefix("model.") for key in c.confounds) or NOTHING,
        ),
    )


def _pairs(contrast: ExperimentContrast) -> str:
    looks = contrast.result.looks
    return str(looks[-1].seeds if looks else contrast.result.sample.pairs)


def _for_new_images(contrast: ExperimentContrast) -> str:
    if contrast.new_images is None:
        return NOTHING
    low, high = contrast.new_images.interval
    return f"± {fixed(contrast.experiment.metric.scale * (high - low) / 2)}"


def candidates(tuning: Tuning) -> Grid:
    """Return one row for each value of each swept experiment, with the accuracy that chose."""
    columns = (
        text("experiment"),
        *(Column(short_key(key)) for key in tuning.keys),
        Column("seeds", dispensable=1),
        Column("validation accuracy", "%"),
        text("chosen"),
    )
    rows = (
        (
            one.name,
            *map(setting_value, one.values(candidate).values()),
            _seeds(one.judged(candidate)),
            _mean(one.judged(candidate)),
            "best" if candidate is one.best else "",
        )
        for one in tuning.candidates
        for candidate in one.experiments
    )
    title = "Tuning (mean ± half the 95 % interval, after the last epoch)"
    return Grid(title, columns, tuple(rows))


def setting_value(value: Any) -> str:
    """Return a setting's value as tables have it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _setting(key: str) -> Callable[[Experiment], str]:
    return lambda experiment: setting_value(experiment.config.settings()[key])


def parameters(comparison: Comparison) -> Grid:
    """Return one row for each experiment with its parameters in total and by role."""
    counts = {e: e.newest.parameters.counts() for e in comparison.experiments}
    roles = next(iter(counts.values()))
    second = ("non_trainable", "bias", "beta", "moving_variance")  # of two that belong together
    columns = (
        Column(
            role.replace("non_", "non-").replace("_", " "),
            dispensable=order,
            beneath=role in second,
        )
        for order, role in enumerate(roles)
    )
    rows = ((e.label, *map("{:,}".format, roles.values())) for e, roles in counts.items())
    return Grid("Parameters", (text("experiment"), *columns), tuple(rows))


def layers(network: Sequence[Layer]) -> Grid:
    """Return the network layer by layer, as ``model.summary()`` has it."""
    return grid(
        "Layers",
        network,
        (text("layer"), lambda layer: layer.name),
        (text("kind"), lambda layer: layer.kind),
        (
            Column("output shape", dispensable=1),
            lambda layer: f"(None, {', '.join(map(str, layer.output_shape))})",
        ),
        (
            text("activation", 2),
            lambda layer: layer.activation if isinstance(layer, Dense | Activation) else NOTHING,
        ),
        (Column("parameters"), lambda layer: f"{layer.size:,}"),
    )


def variables(network: Sequence[Layer]) -> Grid:
    """Return every variable with its role, its shape and whether it is trained."""
    return grid(
        "Variables",
        [(layer.name, variable) for layer in network for variable in layer.variables],
        (text("layer"), lambda pair: pair[0]),
        (text("role"), lambda pair: pair[1].role),
        (Column("shape", dispensable=1), lambda pair: " × ".join(map(str, pair[1].shape))),
        (Column("parameters", dispensable=2), lambda pair: f"{pair[1].size:,}"),
        (text("trained"), lambda pair: "yes" if pair[1].trained else "no"),
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
    if result.decided or not (result.interval and remarks.excludes_zero(result.interval)):
        return ""
    first, second = result.sample.diverged
    if first != second:
        return f" ({first} and {second} diverged)"
    if remarks.only_lacks_significance(result):
        return f" (p {result.p_value:.3g} > {result.p_required:.3g})"
    return ""


def on_new_images(contrast: ExperimentContrast) -> str:
    """Return whether the verdict holds for new images."""
    images = None if contrast.failing else contrast.new_images
    return (
        NOTHING if images is None or images.holds is None else "holds" if images.holds else "open"
    )


def _ratio(ratio: EpochRatio) -> str:
    return "not comparable" if ratio.mismatch else _share(ratio.ratio, ratio.ci95)


def _share(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.2f}" + (" [{:.2f}, {:.2f}]".format(*interval) if interval else "")
