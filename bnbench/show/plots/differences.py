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
from bnbench.show.examples import examples
from bnbench.show.plots import layout
from bnbench.show.plots.style import MARGIN, THICK, ZERO, style_of
from bnbench.show.remarks import confound, named
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
        part.text(0.01, 0.2, _ALONE)
        return
    axes = part.subplots()
    axes.axvspan(-comparison.margin, comparison.margin, **MARGIN)
    axes.axvline(0, **ZERO)
    rows = _contrast_rows(comparison)
    names = [row.name for row in rows]
    table = _table(rows)
    at = layout.lay_rows(axes, names, _verdicts(table))
    for y, name, row in zip(at, axes.get_yticklabels(), rows, strict=True):
        if row.contrast:
            _draw_contrast(axes, y, comparison, row.contrast)
        else:
            name.set_fontweight("bold")
    right = _write_beside(axes, at, table)
    notes = _notes(comparison)
    layout.set_margins(part, layout.name_width(names), right, _foot(notes), gap=0)
    axes.set_xlabel(f"difference in {_measured(comparison)} [percentage points]")
    layout.write_notes(part, notes)


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
        grids.verdict(contrast).replace(", ", ",\n") + ("" if contrast.clean else " *"),
        _holds(contrast),
    )


def _verdicts(table: Sequence[Sequence[str]]) -> list[str]:
    return [cells[2] for cells in table]


def _write_beside(axes: Axes, at: Array, table: Sequence[Sequence[str]]) -> float:
    """Write the rows of the table right of the axes and return the width they take, in inches."""
    right = 0.0
    for cells, align in zip(zip(*table, strict=True), _ALIGNMENTS, strict=True):
        left = right + _BETWEEN
        right = left + max(map(layout.text_width, cells))
        anchor = 72 * {"left": left, "center": (left + right) / 2, "right": right}[align]
        where = ("axes fraction", "data")
        for y, cell in zip(at, cells, strict=True):
            if cell:
                offset = (anchor, 0)
                axes.annotate(cell, (1, y), offset, where, "offset points", ha=align, va="center")
    return right + layout.EDGE


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


def _foot(notes: Sequence[str]) -> float:
    return 0.5 + layout.LINE * len(notes)


def height(comparison: Comparison) -> float:
    """Return the height of the plot with all rows, in inches."""
    if not comparison.contrasts:
        return layout.BARE
    rows = _contrast_rows(comparison)
    names, foot = [row.name for row in rows], _foot(_notes(comparison))
    return layout.rows_height(names, foot, _verdicts(_table(rows)))


def _contrast_rows(comparison: Comparison) -> list[_Row]:
    """Return the contrasts in their order, under headings: of the placement, and who against."""
    rows = []
    for heading, contrasts in groupby(comparison.contrasts, _heading):
        rows.append(_Row(heading))
        for contrast in contrasts:
            alone = contrast.family == "placement"
            rows.append(_Row(named(contrast) if alone else contrast.experiment.label, contrast))
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
