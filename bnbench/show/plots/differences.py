"""Paired differences: each contrast's mean and intervals, what was won, and the verdict."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.stats import Array
from bnbench.show import grids
from bnbench.show.plots import layout
from bnbench.show.plots.style import MARGIN, THICK, ZERO, style_of
from bnbench.show.remarks import confound, examples, named, network
from bnbench.text import signed

HEADING = "Paired differences: means over seeds, with intervals that are right over all looks"
_ALONE = "There is nothing to hold the one experiment against, so there are no differences."
_ALIGNMENTS = ("right", "center", "left", "left")  # of the columns beside the axes
_BETWEEN = 0.15  # inches from one column to the next


class _Row(NamedTuple):
    """A contrast by its name or, without one, a heading."""

    name: str
    contrast: ExperimentContrast | None = None


def draw(part: SubFigure, comparison: Comparison) -> None:
    """Draw a row for each contrast, with its numbers and verdict at the right."""
    if not comparison.contrasts:
        layout.write_notes(part, [_ALONE])
        return
    width = layout.width_of(part)
    rows = _contrast_rows(comparison, width)
    names, beside = [row.name for row in rows], _beside(rows, width)
    left, right = layout.name_width(names, width), _right(rows, width)
    axes = layout.add_axes(part, left, 0, width - left - right, _rows_height(rows, width))
    axes.axvspan(-comparison.margin, comparison.margin, **MARGIN)
    axes.axvline(0, **ZERO)
    at = layout.lay_rows(axes, names, beside, width)
    for y, row in zip(at, rows, strict=True):
        if row.contrast:
            _draw_contrast(axes, y, comparison, row.contrast)
    if not layout.narrow(width):
        _write_table(axes, at, rows)
        for name, row in zip(axes.get_yticklabels(), rows, strict=True):
            name.set_fontweight("normal" if row.contrast else "bold")
    axes.set_xlabel(f"difference in {_measured(comparison)} [percentage points]")
    layout.write_notes(part, _notes(comparison))


def _draw_contrast(
    axes: Axes, y: float, comparison: Comparison, contrast: ExperimentContrast
) -> None:
    result, scale = contrast.result, contrast.experiment.metric.scale
    style = style_of(comparison, contrast.experiment)
    color = style["color"]
    if result.interval:
        ends = scale * np.array(result.interval)
        axes.plot(ends, [y, y], color=color, linewidth=THICK, solid_capstyle="butt")
    if contrast.new_images:
        ends = scale * np.array(contrast.new_images.interval)
        axes.plot(ends, [y, y], color=color, linewidth=1, alpha=0.6, marker="|", markersize=9)
    if result.mean_difference is not None:
        style |= {"linestyle": "", "markersize": 8}
        if result.interval is None:
            style |= {"markerfacecolor": "white", "markeredgecolor": color, "markeredgewidth": 1.2}
        axes.plot(scale * result.mean_difference, y, **style)


def _table(rows: Sequence[_Row]) -> list[tuple[str, ...]]:
    """Return the cells beside each row; the first row is a heading, which has the columns'."""
    held = [row.contrast for row in rows if row.contrast]
    told = [examples(contrast.experiment.config.data) for contrast in held if _holds(contrast)]
    heads = ("difference", "won-tied-lost", "verdict", f"new {told[0]}" if told else "")
    return [heads, *(_cells(row.contrast) for row in rows[1:])]


def _cells(contrast: ExperimentContrast | None) -> tuple[str, ...]:
    if contrast is None:
        return ("",) * len(_ALIGNMENTS)
    result = contrast.result
    return (
        grids.difference(contrast),
        f"{result.wins}-{result.ties}-{result.losses}",
        grids.verdict(contrast).replace(", ", ",\n") + _star(contrast),
        _holds(contrast),
    )


def _beside(rows: Sequence[_Row], width: float) -> list[str]:
    """Return what a row must have room for: its verdict or, in a narrow plot, all its words."""
    if layout.narrow(width):
        return [_told(row.contrast) for row in rows if row.contrast]
    return [cells[2] for cells in _table(rows)]


def _told(contrast: ExperimentContrast) -> str:
    difference, won, _, holds = _cells(contrast)
    on = f", {holds} for new {examples(contrast.experiment.config.data)}" if holds else ""
    return f"{difference}, won-tied-lost {won}\n{grids.verdict(contrast)}{on}{_star(contrast)}"


def _star(contrast: ExperimentContrast) -> str:
    return "" if contrast.clean else " *"


def _widths(rows: Sequence[_Row]) -> list[float]:
    """Return the widths of the columns beside the axes."""
    columns = zip(*_table(rows), strict=True)
    return [_BETWEEN + max(map(layout.text_width, cells)) for cells in columns]


def _right(rows: Sequence[_Row], width: float) -> float:
    """Return what stands right of the axes, in inches."""
    return 2 * layout.EDGE if layout.narrow(width) else sum(_widths(rows)) + layout.EDGE


def _write_table(axes: Axes, at: Array, rows: Sequence[_Row]) -> None:
    """Write the columns right of the axes."""
    right = 0.0
    columns = zip(*_table(rows), strict=True)
    for cells, width, align in zip(columns, _widths(rows), _ALIGNMENTS, strict=True):
        left, right = right + _BETWEEN, right + width
        anchor = 72 * {"left": left, "center": (left + right) / 2, "right": right}[align]
        where = ("axes fraction", "data")
        for y, cell in zip(at, cells, strict=True):
            if cell:
                offset = (anchor, 0)
                axes.annotate(cell, (1, y), offset, where, "offset points", ha=align, va="center")


def _notes(comparison: Comparison) -> list[str]:
    """Return what the reader must know of the marks that are drawn."""
    held, shown = comparison.contrasts, examples(comparison.config.data)
    marks = [f"grey: margin of ±{comparison.margin:g}"]
    if any(contrast.result.interval for contrast in held):
        marks.append(f"thick: for new seeds on these {shown}")
    if any(contrast.new_images for contrast in held):
        marks.append(f"thin: for new {shown} too")
    if any(not contrast.result.interval for contrast in held):
        marks.append("open: no interval yet")
    unclean = any(not contrast.clean for contrast in held)
    return ["; ".join(marks), *["* differs in settings other than the placement"] * unclean]


def height(comparison: Comparison, width: float) -> float:
    """Return the height of the plot with all rows, in inches."""
    if not comparison.contrasts:
        return layout.bare_height(_ALONE, width)
    notes = layout.noted(_notes(comparison), width)
    return _rows_height(_contrast_rows(comparison, width), width) + 0.5 + layout.LINE * len(notes)


def _rows_height(rows: Sequence[_Row], width: float) -> float:
    names = [row.name for row in rows]
    return float(layout.row_heights(names, _beside(rows, width), width).sum())


def _contrast_rows(comparison: Comparison, width: float) -> list[_Row]:
    """Return the contrasts in their order, under headings: of the placement, and who against.

    In a narrow plot there are no headings: each contrast has its whole name.
    """
    if layout.narrow(width):
        return [_Row(named(contrast), contrast) for contrast in comparison.contrasts]
    rows = []
    for heading, contrasts in groupby(comparison.contrasts, _heading):
        rows.append(_Row(heading))
        for contrast in contrasts:
            alone = contrast.family == "placement"
            name = network(contrast) if alone else contrast.experiment.label
            rows.append(_Row(name, contrast))
    return rows


def _heading(contrast: ExperimentContrast) -> str:
    if contrast.family == "placement":
        ours, theirs = (
            experiment.config.model.batch_norm.placement.removesuffix("_activation")
            for experiment in (contrast.experiment, contrast.baseline)
        )
        return f"placement alone: {ours} against {theirs} the activations"
    return f"against {contrast.baseline.label}"


def words(comparison: Comparison) -> str:
    """Return each contrast with its difference, its verdict and what else differs."""
    if not comparison.contrasts:
        return _ALONE
    said = [
        f"Differences in {_measured(comparison)} in percentage points ± half the interval for new "
        f"seeds. The margin is ±{comparison.margin:g}."
    ]
    for contrast in comparison.contrasts:
        remark = "" if contrast.clean else f"; {confound(contrast)}"
        difference = f"{grids.difference(contrast)}, {grids.verdict(contrast)}"
        said.append(f"{named(contrast)}: {difference}{_images_in_words(contrast)}{remark}.")
    return " ".join(said)


def _images_in_words(contrast: ExperimentContrast) -> str:
    if contrast.new_images is None:
        return ""
    scale, answer = contrast.experiment.metric.scale, _holds(contrast)
    low, high = (signed(scale * end) for end in contrast.new_images.interval)
    return f"; for new {examples(contrast.experiment.config.data)} from {low} to {high}" + (
        answer and f", {answer}"
    )


def _holds(contrast: ExperimentContrast) -> str:
    """Return whether the verdict holds for new images, or nothing where there is none to hold."""
    return grids.on_new_images(contrast).strip(grids.NOTHING)


def _measured(comparison: Comparison) -> str:
    return comparison.question.measure.heading
