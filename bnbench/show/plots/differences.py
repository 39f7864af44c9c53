"""Paired differences: each contrast's mean and interval, what was won and the verdict."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.show import grids
from bnbench.show.plots import layout
from bnbench.show.plots.style import style_of
from bnbench.show.remarks import confound, named
from bnbench.text import count

HEADING = "Paired differences: means over seeds with 95 % intervals"
_BESIDE = ((92, "right"), (138, "center"), (182, "left"))  # points from the axes, and alignment
_ALONE = "There is nothing to hold the one experiment against, so there are no differences."


def draw(part: SubFigure, comparison: Comparison) -> None:
    """Draw a row for each contrast, with its numbers and verdict at the right."""
    if not comparison.contrasts:
        part.text(0.01, 0.2, _ALONE)
        return
    axes = part.subplots()
    margin = comparison.question.margin
    axes.axvspan(-margin, margin, color="#e4e4e4", linewidth=0, zorder=0)
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    rows = _contrast_rows(comparison)
    names = [name for name, _ in rows]
    at = layout.lay_rows(axes, names)
    _write_beside(axes, at[0], ("difference", "won-tied-lost", "verdict"))
    for y, name, (_, contrast) in zip(at, axes.get_yticklabels(), rows, strict=True):
        if contrast:
            _draw_contrast(axes, y, comparison, contrast)
        else:
            name.set_fontweight("bold")
    unclean = not all(contrast.clean for contrast in comparison.contrasts)
    verdicts = [_verdict(contrast) for contrast in comparison.contrasts]
    right = _BESIDE[-1][0] / 72 + max(map(layout.text_width, verdicts)) + 0.3
    layout.set_margins(part, layout.name_width(names), right, layout.FOOT, gap=0)
    axes.set_xlabel(
        f"difference in {_measured(comparison)} [percentage points]; grey: margin of ±{margin:g}"
        + "\n* differs in settings other than the placement" * unclean
    )


def _draw_contrast(
    axes: Axes, y: float, comparison: Comparison, contrast: ExperimentContrast
) -> None:
    result, scale = contrast.result, contrast.experiment.metric.scale
    look = style_of(comparison, contrast.experiment)
    color = look["color"]
    if result.ci95:
        axes.plot(scale * np.array(result.ci95), [y, y], color=color, marker="|")
    if result.mean_difference is not None:
        look |= {"markeredgecolor": color, "markersize": 7, "linestyle": ""}
        fill = color if result.ci95 else "white"
        axes.plot(scale * result.mean_difference, y, **look | {"markerfacecolor": fill})
    outcomes = f"{result.wins}-{result.ties}-{result.losses}"
    verdict = _verdict(contrast) + ("" if contrast.clean else " *")
    _write_beside(axes, y, (grids.difference(contrast), outcomes, verdict))


def _write_beside(axes: Axes, y: float, cells: Sequence[str]) -> None:
    where = ("axes fraction", "data")
    for cell, (right, align) in zip(cells, _BESIDE, strict=True):
        axes.annotate(cell, (1, y), (right, 0), where, "offset points", ha=align, va="center")


def height(comparison: Comparison) -> float:
    """Return the height of the plot with all rows, in inches."""
    names = [name for name, _ in _contrast_rows(comparison)]
    return layout.rows_height(names, layout.FOOT) if names else layout.BARE


def _contrast_rows(comparison: Comparison) -> list[tuple[str, ExperimentContrast | None]]:
    """Return the contrasts by name, under a heading for each experiment they are against."""
    rows: list[tuple[str, ExperimentContrast | None]] = []
    for baseline, contrasts in groupby(comparison.contrasts, lambda contrast: contrast.baseline):
        rows.append((f"against {baseline.label}", None))
        rows += ((contrast.experiment.label, contrast) for contrast in contrasts)
    return rows


def words(comparison: Comparison) -> str:
    """Return each contrast with its difference, its verdict and what else differs."""
    if not comparison.contrasts:
        return _ALONE
    measured, margin = _measured(comparison), f"{comparison.question.margin:g}"
    said = [f"Differences in {measured} in percentage points ± half the 95 % interval."]
    said.append(f"The margin is ±{margin}.")
    for contrast in comparison.contrasts:
        remark = "" if contrast.clean else f"; {confound(contrast)}"
        verdict = _verdict(contrast)
        said.append(f"{named(contrast)}: {grids.difference(contrast)}, {verdict}{remark}.")
    return " ".join(said)


def _measured(comparison: Comparison) -> str:
    return comparison.question.measure.heading


def _verdict(contrast: ExperimentContrast) -> str:
    result = contrast.result
    if result.verdict:
        return result.verdict + (" (below margin)" if result.below_margin else "")
    if not contrast.experiment.records.keys() & contrast.baseline.records.keys():
        return "no common seed"
    return f"no verdict ({count(result.pairs, 'pair')})"
