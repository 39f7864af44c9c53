"""Looks: the estimate of each contrast as seeds were added, and the look that decided."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.show import grids
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import MARGIN, THICK, ZERO, Style, style_of
from bnbench.show.remarks import named
from bnbench.text import count, signed

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
        sheet.top += layout.LINE * (2 + max(name.count("\n") for name in names))
        for place, (contrast, name) in enumerate(zip(row, names, strict=True)):
            axes = sheet.add_axes(_LEFT + place * (across + _BETWEEN), across, _HEIGHT)
            axes.set_title(name, loc="left", pad=72 * layout.LINE + 4, size="medium", weight="bold")
            _draw_panel(axes, comparison, contrast)
            if not place:
                axes.set_ylabel(f"difference [{contrast.experiment.metric.difference_unit}]")
            if contrast in contrasts[-columns:]:  # no panel is below it
                axes.set_xlabel("seeds")
        sheet.top += _HEIGHT + _BELOW
    results = [contrast.result for contrast in contrasts]
    marks = [f"grey: margin of ±{comparison.margin:g}"]
    if any(result.decided for result in results):
        marks.append("dashed: the look that decided")
    if any(len(result.looks) < len(comparison.plan.looks) for result in results):
        marks.append("ticks without a point: looks to come")
    sheet.write_lines("; ".join(marks))


def _draw_panel(axes: Axes, comparison: Comparison, contrast: ExperimentContrast) -> None:
    axes.axhspan(-comparison.margin, comparison.margin, **MARGIN)
    axes.axhline(0, **ZERO)
    result, scale = contrast.result, contrast.experiment.metric.scale
    style = style_of(comparison, contrast.experiment)
    for look in result.looks:
        if look.interval:
            ends = [scale * end for end in look.interval]
            axes.plot([look.seeds] * 2, ends, color=style["color"], linewidth=THICK)
    seeds = [look.seeds for look in result.looks]
    means = scale * np.array(
        [look.sample.mean for look in result.looks], dtype=float
    )  # None as NaN
    axes.plot(seeds, means, **style | {"linestyle": "-", "linewidth": 0.8, "markersize": 8})
    if result.decided_at is not None:
        axes.axvline(result.decided_at, **_DECISION)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(y=0.1)
    plan = comparison.plan
    axes.xaxis.set_major_locator(FixedLocator(plan.looks, nbins=10))  # as many as fit
    axes.set_xticks(plan.looks, minor=True)
    axes.tick_params(axis="x", which="both", length=4)
    beyond = max(0.5, 0.04 * (plan.most - plan.first))
    axes.set_xlim(plan.first - beyond, plan.most + beyond)
    axes.grid(visible=False, axis="x")
    # above the look that decided, if one did
    place = result.decided_at or plan.first - beyond
    above, where = (0, 4), ("data", "axes fraction")
    align = "right" if place > (plan.first + plan.most) / 2 else "left"
    axes.annotate(grids.verdict(contrast), (place, 1), above, where, "offset points", ha=align)


def words(comparison: Comparison) -> str:
    """Return the verdict of each contrast and what it was at each look."""
    measured, plan = comparison.question.measure.heading, comparison.plan
    sentences = [
        f"Differences in {measured} in percentage points ± half the interval at each look. "
        f"The plan ends at {count(plan.most, 'seed')}; the margin is ±{comparison.margin:g}."
    ]
    for contrast in comparison.contrasts:
        parts = [grids.verdict(contrast)]
        for look in contrast.result.looks:
            scale = contrast.experiment.metric.scale
            mean = grids.with_interval(signed, look.sample.mean, look.interval, scale)
            parts.append(f"at {count(look.seeds, 'seed')} {mean}")
        sentences.append(f"{named(contrast)}: {'; '.join(parts)}.")
    return " ".join(sentences)
