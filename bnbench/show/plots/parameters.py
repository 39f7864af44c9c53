"""Parameters: how many there are of each role, with the kernels and without."""

from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bnbench.evidence.comparison import Comparison
from bnbench.show import grids
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import Style

HEADING = "Parameters: all of them, and on another scale those that are not kernels"
_BETWEEN, _RIGHT = 0.4, 0.4  # inches beside the panels
_ROLES: Sequence[tuple[str, Style]] = tuple(  # those that are not trained are hatched
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


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw a row of bars for each experiment, with its total, above the keys of the roles."""
    rows = layout.Rows(experiment.label for experiment in comparison.experiments)
    across = (layout.WIDTH - rows.left - _BETWEEN - _RIGHT) / 2
    for place, (label, roles) in enumerate(_PANELS.items()):
        axes = sheet.add_axes(rows.left + place * (across + _BETWEEN), across, rows.height)
        axes.set_xlabel(label)
        rows.lay(axes)
        ends = np.zeros(len(rows.names))
        for role, style in roles:
            widths = [getattr(e.newest.parameters, role) for e in comparison.experiments]
            bars = axes.barh(rows.middles, widths, 0.19, left=ends, label=role, **style)
            ends += widths
        axes.bar_label(bars, [f"{end:,.0f}" for end in ends], padding=4)
        axes.set_xlim(0, 1.25 * max(1, *ends))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.tick_params(labelleft=not place)
    sheet.top += rows.height + 0.5
    sheet.explain([Patch(label=role.replace("_", " "), **style) for role, style in _ROLES])
    sheet.top += 0.1
    sheet.write_lines("hatched: not trained")


def words(comparison: Comparison) -> str:
    """Return each experiment's number of parameters, role by role."""
    sentences = ["Numbers of parameters."]
    grid = grids.parameters(comparison)
    for label, *sizes in grid.rows:
        pairs = zip(grid.columns[1:], sizes, strict=True)
        sentences.append(f"{label}: {', '.join(f'{role.heading} {n}' for role, n in pairs)}.")
    return " ".join(sentences)
