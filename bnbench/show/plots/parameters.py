"""Parameters: how many there are of each role, with the kernels and without."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from bnbench.evidence.comparison import Comparison
from bnbench.evidence.stats import Array
from bnbench.show import grids
from bnbench.show.plots import layout
from bnbench.show.plots.style import Style

HEADING = "Parameters: with the kernels and, on a scale of its own, without"
_FOOT = layout.FOOT + 0.35  # with the titles of the legends
_Roles = Sequence[tuple[str, Style]]
_ROLES: _Roles = tuple(  # those that are not trained are hatched
    (role, {"facecolor": fill, "hatch": hatch, "edgecolor": "black", "linewidth": 0.6})
    for role, fill, hatch in (
        ("kernel", "#e6e6e6", ""),
        ("bias", "#000000", ""),
        ("gamma", "#0072b2", ""),
        ("beta", "#56b4e9", ""),
        ("moving_mean", "#ffffff", "/////"),
        ("moving_variance", "#f6c9a8", "xxxxx"),
    )
)


def draw(part: SubFigure, comparison: Comparison) -> None:
    """Draw a row of bars for each experiment, with its total, above the keys of the roles."""
    left, right = part.subplots(1, 2, sharey=True)
    names = [experiment.label for experiment in comparison.experiments]
    at = layout.lay_rows(left, names)
    _draw_bars(left, at, comparison, _ROLES)
    _draw_bars(right, at, comparison, _ROLES[1:])
    left.set_xlabel("number of parameters")
    right.set_xlabel("without the kernels")
    _explain_bars(part, "trained", "lower left", _ROLES[:4])
    _explain_bars(part, "not trained", "lower right", _ROLES[4:])
    layout.set_margins(part, layout.name_width(names), 0.4, _FOOT, gap=0.4)


def _explain_bars(part: SubFigure, title: str, place: Any, roles: _Roles) -> None:
    keys = [Patch(label=role.replace("_", " "), **style) for role, style in roles]
    part.legend(handles=keys, loc=place, title=title, alignment="left", ncols=len(keys))


def _draw_bars(axes: Axes, at: Array, comparison: Comparison, roles: _Roles) -> None:
    sizes = [experiment.newest.parameters for experiment in comparison.experiments]
    ends = np.zeros(len(at))
    for role, style in roles:
        widths = np.array([getattr(size, role) for size in sizes])
        axes.barh(at, widths, 0.19, left=ends, label=role, **style)
        ends += widths
    for end, y in zip(ends, at, strict=True):
        axes.annotate(f"{end:,.0f}", (end, y), (4, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.25 * max(1, *ends))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def height(comparison: Comparison) -> float:
    """Return the height of the plot with all rows, in inches."""
    return layout.rows_height([experiment.label for experiment in comparison.experiments], _FOOT)


def words(comparison: Comparison) -> str:
    """Return each experiment's number of parameters, role by role."""
    grid = grids.parameters(comparison)
    roles = [column.heading for column in grid.columns[1:]]
    said = ["Numbers of parameters."]
    for label, *sizes in grid.rows:
        said.append(f"{label}: {', '.join(map(' '.join, zip(roles, sizes, strict=True)))}.")
    return " ".join(said)
