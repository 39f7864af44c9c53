"""Paired differences: each contrast's mean and intervals, what was won, and the verdict."""

from itertools import groupby

import numpy as np
from matplotlib.axes import Axes

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.show import grids
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import MARGIN, THICK, ZERO, Style, style_of
from bnbench.show.remarks import confound, examples, named, network
from bnbench.text import signed

HEADING = "Paired differences: means over seeds, with intervals that are valid over all looks"
_COLUMNS = (("right", 0.95), ("center", 1.5), ("left", 2.05), ("left", 3.2))  # from the axes
_BESIDE = 4.05  # inches for all of them

_Row = tuple[str, ExperimentContrast | None]  # a contrast under its name, or a heading


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw a row for each contrast, with its numbers and verdict at the right."""
    named_rows = _rows(comparison)
    table = [_cells(contrast) for _, contrast in named_rows]
    shown = examples(comparison.config.data)
    new = f"new {shown}" * any(cells[-1] for cells in table)
    table[0] = ("difference", "won-tied-lost", "verdict", new)  # beside the first heading
    rows = layout.Rows(
        [name for name, _ in named_rows],
        [cells[2] for cells in table],
        [place for place, (_, contrast) in enumerate(named_rows) if contrast is None],
    )
    axes = sheet.add_axes(rows.left, layout.WIDTH - rows.left - _BESIDE, rows.height)
    axes.axvspan(-comparison.margin, comparison.margin, **MARGIN)
    axes.axvline(0, **ZERO)
    axes.set_xlabel(f"difference in {comparison.question.measure.heading} [percentage points]")
    rows.lay(axes)
    for y, (_, contrast), cells in zip(rows.middles, named_rows, table, strict=True):
        for cell, (align, inches) in zip(cells, _COLUMNS, strict=True):
            offset, where = (72 * inches, 0), ("axes fraction", "data")
            axes.annotate(cell, (1, y), offset, where, "offset points", ha=align, va="center")
        if contrast:
            _draw_contrast(axes, y, contrast, style_of(comparison, contrast.experiment))
    sheet.top += rows.height + 0.55
    contrasts = comparison.contrasts
    marks = [f"grey: margin of ±{comparison.margin:g}"]
    if any(contrast.result.interval for contrast in contrasts):
        marks.append(f"thick: for new seeds on these {shown}")
    if any(contrast.new_images for contrast in contrasts):
        marks.append(f"thin: for new {shown} too")
    if any(not contrast.result.interval for contrast in contrasts):
        marks.append("open: no interval yet")
    sheet.write_lines("; ".join(marks))
    if any(contrast.confounds for contrast in contrasts):
        sheet.write_lines("* differs in settings other than the placement")


def _draw_contrast(axes: Axes, y: float, contrast: ExperimentContrast, style: Style) -> None:
    result, scale = contrast.result, contrast.experiment.metric.scale
    color = style["color"]
    if result.interval:
        ends = scale * np.array(result.interval)
        axes.plot(ends, [y, y], color=color, linewidth=THICK, solid_capstyle="butt")
    if contrast.new_images:
        ends = scale * np.array(contrast.new_images.interval)
        axes.plot(ends, [y, y], color=color, linewidth=1, alpha=0.6, marker="|", markersize=9)
    if result.sample.mean is not None:
        style |= {"linestyle": "", "markersize": 8}
        if result.interval is None:
            style |= {"markerfacecolor": "white", "markeredgecolor": color, "markeredgewidth": 1.2}
        axes.plot(scale * result.sample.mean, y, **style)


def _cells(contrast: ExperimentContrast | None) -> tuple[str, ...]:
    if contrast is None:
        return ("",) * len(_COLUMNS)
    result = contrast.result
    return (
        grids.difference(contrast),
        "{}-{}-{}".format(*result.sample.outcomes),
        grids.verdict(contrast).replace(", ", ",\n") + " *" * bool(contrast.confounds),
        _holds(contrast),
    )


def _rows(comparison: Comparison) -> list[_Row]:
    rows: list[_Row] = []
    for heading, contrasts in groupby(comparison.contrasts, _heading):
        rows.append((heading, None))
        for contrast in contrasts:
            placement = contrast.family == "placement"
            name = network(contrast) if placement else contrast.experiment.label
            rows.append((name, contrast))
    return rows


def _heading(contrast: ExperimentContrast) -> str:
    if contrast.family != "placement":
        return f"compared with {contrast.baseline.label}"
    sides = (contrast.experiment, contrast.baseline)
    first, second = (
        side.config.model.batch_norm.placement.removesuffix("_activation") for side in sides
    )
    return f"placement alone: {first} minus {second} the activations"


def words(comparison: Comparison) -> str:
    """Return each contrast with its difference, its verdict and what else differs."""
    sentences = [
        f"Differences in {comparison.question.measure.heading} in percentage points ± half the "
        f"interval for new seeds. The margin is ±{comparison.margin:g}."
    ]
    for contrast in comparison.contrasts:
        parts = [f"{grids.difference(contrast)}, {grids.verdict(contrast)}"]
        if contrast.new_images:
            scale, holds = contrast.experiment.metric.scale, _holds(contrast)
            low, high = (signed(scale * end) for end in contrast.new_images.interval)
            new = f"for new {examples(comparison.config.data)} from {low} to {high}"
            parts.append(f"{new}, {holds}" if holds else new)
        if contrast.confounds:
            parts.append(confound(contrast))
        sentences.append(f"{named(contrast)}: {'; '.join(parts)}.")
    return " ".join(sentences)


def _holds(contrast: ExperimentContrast) -> str:
    """Return whether the verdict holds for new images; empty where there is no verdict."""
    return grids.on_new_images(contrast).strip(grids.NOTHING)
