"""Paired differences: each contrast's mean and intervals, what was won, and the verdict."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.show import grids
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import MARGIN, THICK, ZERO, style_of
from bnbench.show.remarks import confound, examples, named, network
from bnbench.text import signed

HEADING = "Paired differences: means over seeds, with intervals that are valid over all looks"
_COLUMNS = (("right", 0.95), ("center", 1.5), ("left", 2.05), ("left", 3.2))  # from the axes
_BESIDE = 4.05  # inches for all of them

_Row = tuple[str, ExperimentContrast | None]  # a contrast under its name, or a heading


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw a row for each contrast, with its numbers and verdict at the right."""
    rows = _rows(comparison)
    names, table = layout.row_names(name for name, _ in rows), _table(rows)
    ends, left = layout.row_ends(names, [cells[2] for cells in table]), layout.name_width(names)
    axes = sheet.add_axes(left, layout.WIDTH - left - _BESIDE, ends[-1])
    axes.axvspan(-comparison.margin, comparison.margin, **MARGIN)
    axes.axvline(0, **ZERO)
    axes.set_xlabel(f"difference in {_measured(comparison)} [percentage points]")
    middles = layout.lay_rows(axes, names, ends)
    labels = axes.get_yticklabels()
    for y, (_, contrast), cells, label in zip(middles, rows, table, labels, strict=True):
        _write_cells(axes, y, cells)
        if contrast:
            _draw_contrast(axes, y, comparison, contrast)
        else:
            label.set_fontweight("bold")
    sheet.top += ends[-1] + 0.55
    for note in _notes(comparison):
        sheet.write_lines(note)


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
    if result.sample.mean is not None:
        style |= {"linestyle": "", "markersize": 8}
        if result.interval is None:
            style |= {"markerfacecolor": "white", "markeredgecolor": color, "markeredgewidth": 1.2}
        axes.plot(scale * result.sample.mean, y, **style)


def _table(rows: Sequence[_Row]) -> list[tuple[str, ...]]:
    """Return the cells beside each row; beside the first heading are those of the columns."""
    table = [_cells(contrast) for _, contrast in rows]
    data = [contrast.experiment.config.data for _, contrast in rows if contrast]
    new = f"new {examples(data[0])}" if any(cells[-1] for cells in table) else ""
    return [("difference", "won-tied-lost", "verdict", new), *table[1:]]


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


def _write_cells(axes: Axes, y: float, cells: Sequence[str]) -> None:
    """Write the cells of a row right of the axes."""
    for cell, (align, inches) in zip(cells, _COLUMNS, strict=True):
        if cell:
            offset, where = (72 * inches, 0), ("axes fraction", "data")
            axes.annotate(cell, (1, y), offset, where, "offset points", ha=align, va="center")


def _notes(comparison: Comparison) -> list[str]:
    """Return what the marks that are drawn mean."""
    contrasts, shown = comparison.contrasts, examples(comparison.config.data)
    marks = [f"grey: margin of ±{comparison.margin:g}"]
    if any(contrast.result.interval for contrast in contrasts):
        marks.append(f"thick: for new seeds on these {shown}")
    if any(contrast.new_images for contrast in contrasts):
        marks.append(f"thin: for new {shown} too")
    if any(not contrast.result.interval for contrast in contrasts):
        marks.append("open: no interval yet")
    unclean = any(contrast.confounds for contrast in contrasts)
    return ["; ".join(marks), *["* differs in settings other than the placement"] * unclean]


def _rows(comparison: Comparison) -> list[_Row]:
    """Return the contrasts in their order, under headings: placements, and the baseline."""
    rows: list[_Row] = []
    for heading, contrasts in groupby(comparison.contrasts, _heading):
        rows.append((heading, None))
        for contrast in contrasts:
            placement = contrast.family == "placement"
            name = network(contrast) if placement else contrast.experiment.label
            rows.append((name, contrast))
    return rows


def _heading(contrast: ExperimentContrast) -> str:
    if contrast.family == "placement":
        after, before = (
            experiment.config.model.batch_norm.placement.removesuffix("_activation")
            for experiment in (contrast.experiment, contrast.baseline)
        )
        return f"placement alone: {after} minus {before} the activations"
    return f"compared with {contrast.baseline.label}"


def words(comparison: Comparison) -> str:
    """Return each contrast with its difference, its verdict and what else differs."""
    sentences = [
        f"Differences in {_measured(comparison)} in percentage points ± half the interval for new "
        f"seeds. The margin is ±{comparison.margin:g}."
    ]
    for contrast in comparison.contrasts:
        remark = f"; {confound(contrast)}" if contrast.confounds else ""
        difference = f"{grids.difference(contrast)}, {grids.verdict(contrast)}"
        sentences.append(f"{named(contrast)}: {difference}{_images_in_words(contrast)}{remark}.")
    return " ".join(sentences)


def _images_in_words(contrast: ExperimentContrast) -> str:
    if contrast.new_images is None:
        return ""
    scale, answer = contrast.experiment.metric.scale, _holds(contrast)
    low, high = (signed(scale * end) for end in contrast.new_images.interval)
    return f"; for new {examples(contrast.experiment.config.data)} from {low} to {high}" + (
        answer and f", {answer}"
    )


def _holds(contrast: ExperimentContrast) -> str:
    """Return whether the verdict holds for new images, or nothing where there is no verdict."""
    return grids.on_new_images(contrast).strip(grids.NOTHING)


def _measured(comparison: Comparison) -> str:
    return comparison.question.measure.heading
