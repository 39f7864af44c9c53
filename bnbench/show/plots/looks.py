"""Looks: the estimate of each contrast as seeds were added, and the look that decided."""

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.verdicts import Look
from bnbench.show.grids import NOTHING, verdict
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import MARGIN, THICK, ZERO, Style, style_of
from bnbench.show.remarks import named
from bnbench.text import count, fixed, signed

HEADING = "Looks: means as seeds were added, with intervals that are valid over all looks"
_DECISION: Style = {"color": "black", "linestyle": (0, (4, 3)), "linewidth": 0.8, "zorder": 1}
_LEFT, _RIGHT, _BETWEEN = 0.75, 0.2, 0.6  # inches beside the panels
_HEIGHT, _BELOW = 1.3, 0.55


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw a panel for each contrast, at most two side by side, with its verdict."""
    contrasts = comparison.contrasts
    columns = min(2, len(contrasts))
    across = (layout.WIDTH - _LEFT - _RIGHT - (columns - 1) * _BETWEEN) / columns
    for start in range(0, len(contrasts), columns):
        row = contrasts[start : start + columns]
        names = [layout.wrapped(named(contrast), 0.8 * across) for contrast in row]  # bold
        sheet.top += layout.LINE * (1 + max(map(layout.line_count, names)))
        for place, (contrast, name) in enumerate(zip(row, names, strict=True)):
            axes = sheet.add_axes(_LEFT + place * (across + _BETWEEN), across, _HEIGHT)
            _draw_panel(axes, comparison, contrast)
            _write_above(axes, comparison, contrast, name)
            if not place:
                axes.set_ylabel(f"difference [{contrast.experiment.metric.difference_unit}]")
            if contrast in contrasts[-columns:]:  # no panel is below it
                axes.set_xlabel("seeds")
        sheet.top += _HEIGHT + _BELOW
    sheet.write_lines(_note(comparison))


def _draw_panel(axes: Axes, comparison: Comparison, contrast: ExperimentContrast) -> None:
    axes.axhspan(-comparison.margin, comparison.margin, **MARGIN)
    axes.axhline(0, **ZERO)
    result, scale = contrast.result, contrast.experiment.metric.scale
    style = style_of(comparison, contrast.experiment)
    for look in result.looks:
        if look.interval:
            ends = [scale * end for end in look.interval]
            axes.plot([look.seeds] * 2, ends, color=style["color"], linewidth=THICK)
    seen = [(k.seeds, scale * k.sample.mean) for k in result.looks if k.sample.mean is not None]
    at, means = [seeds for seeds, _ in seen], [mean for _, mean in seen]
    axes.plot(at, means, **style | {"linestyle": "-", "linewidth": 0.8, "markersize": 8})
    if result.decided_at is not None:
        axes.axvline(result.decided_at, **_DECISION)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(y=0.1)
    plan = comparison.plan
    axes.xaxis.set_major_locator(FixedLocator(plan.looks, nbins=10))  # as many as have room
    axes.set_xticks(plan.looks, minor=True)
    axes.tick_params(axis="x", which="both", length=4)
    beyond = max(0.5, 0.04 * (plan.most - plan.first))
    axes.set_xlim(plan.first - beyond, plan.most + beyond)
    axes.grid(visible=False, axis="x")


def _write_above(
    axes: Axes, comparison: Comparison, contrast: ExperimentContrast, name: str
) -> None:
    """Write which contrast it is and, at the look that decided if one did, the verdict."""
    axes.set_title(name, loc="left", pad=72 * layout.LINE + 4, size="medium", weight="bold")
    decided_at, plan = contrast.result.decided_at, comparison.plan
    place, where = (0.0, "axes fraction") if decided_at is None else (decided_at, "data")
    late = place > (plan.first + plan.most) / 2
    axes.annotate(
        verdict(contrast),
        (place, 1),
        (0, 4),
        (where, "axes fraction"),
        "offset points",
        ha="right" if late else "left",
    )


def _note(comparison: Comparison) -> str:
    """Return what the marks that are drawn mean."""
    results = [contrast.result for contrast in comparison.contrasts]
    marks = [f"grey: margin of ±{comparison.margin:g}"]
    if any(result.decided for result in results):
        marks.append("dashed: the look that decided")
    if any(len(result.looks) < len(comparison.plan.looks) for result in results):
        marks.append("ticks without a point: looks to come")
    return "; ".join(marks)


def words(comparison: Comparison) -> str:
    """Return the verdict of each contrast and what it was at each look."""
    measured, plan = comparison.question.measure.heading, comparison.plan
    sentences = [
        f"Differences in {measured} in percentage points ± half the interval at each look. "
        f"The plan ends at {count(plan.most, 'seed')}; the margin is ±{comparison.margin:g}."
    ]
    for contrast in comparison.contrasts:
        scale = contrast.experiment.metric.scale
        course = "".join(f"; at {_seen(look, scale)}" for look in contrast.result.looks)
        sentences.append(f"{named(contrast)}: {verdict(contrast)}{course}.")
    return " ".join(sentences)


def _seen(look: Look, scale: float) -> str:
    mean = NOTHING if look.sample.mean is None else signed(scale * look.sample.mean)
    half = f" ± {fixed(scale * (look.interval[1] - look.interval[0]) / 2)}" if look.interval else ""
    return f"{count(look.seeds, 'seed')} {mean}{half}"
