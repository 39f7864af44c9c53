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
_BETWEEN, _RIGHT, _BELOW = 0.4, 0.4, 0.5  # inches around the bars
_KEYS = 0.09 + 2 * layout.LINE  # of a legend with its title and a line
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
_PANELS = {"number of parameters": _ROLES, "without the kernels": _ROLES[1:]}


def draw(part: SubFigure, comparison: Comparison) -> None:
    """Draw a row of bars for each experiment, with its total, above the keys of the roles."""
    width, names = layout.width_of(part), _names(comparison)
    left, rows = layout.name_width(names, width), _rows_height(names, width)
    across, places = layout.two_panels(
        width, left=left, right=_RIGHT, between=_BETWEEN, height=rows + _BELOW
    )
    for place, (label, roles) in zip(places, _PANELS.items(), strict=True):
        axes = layout.add_axes(part, *place, across, rows)
        at = layout.lay_rows(axes, names, [""] * len(names), width)
        axes.tick_params(labelleft=place[0] == left)
        axes.set_xlabel(label)
        _draw_bars(axes, at, comparison, roles)
    narrow = layout.narrow(width)
    above = _KEYS / height(comparison, width) if narrow else 0
    _explain_bars(part, "trained", "lower left", _ROLES[:4], above)
    _explain_bars(part, "not trained", "lower left" if narrow else "lower right", _ROLES[4:], 0)


def _explain_bars(part: SubFigure, title: str, place: Any, roles: _Roles, above: float) -> None:
    narrow = layout.narrow(layout.width_of(part))
    part.legend(
        handles=[Patch(label=role.replace("_", " "), **style) for role, style in roles],
        loc=place,
        bbox_to_anchor=(0, above, 1, 1),
        title=title,
        alignment="left",
        ncols=2 if narrow else len(roles),
    )


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


def height(comparison: Comparison, width: float) -> float:
    """Return the height of the plot with all rows, in inches."""
    panel = _rows_height(_names(comparison), width) + _BELOW
    return 2 * (panel + _KEYS) + layout.LINE if layout.narrow(width) else panel + _KEYS


def _names(comparison: Comparison) -> list[str]:
    return [experiment.label for experiment in comparison.experiments]


def _rows_height(names: Sequence[str], width: float) -> float:
    return float(layout.row_heights(names, [""] * len(names), width).sum())


def words(comparison: Comparison) -> str:
    """Return each experiment's number of parameters, role by role."""
    grid = grids.parameters(comparison)
    roles = [column.heading for column in grid.columns[1:]]
    said = ["Numbers of parameters."]
    for label, *sizes in grid.rows:
        said.append(f"{label}: {', '.join(map(' '.join, zip(roles, sizes, strict=True)))}.")
    return " ".join(said)
