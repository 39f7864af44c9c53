"""How plots look: matplotlib's settings, and each experiment's colour, line and marker."""

from typing import Any

from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment

Style = dict[str, Any]
LETTERS = 9.0  # points
STYLE: list[Any] = [
    "default",  # not what the user's matplotlibrc says
    {
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.unicode_minus": False,  # as in the tables
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana"],
        "font.size": LETTERS,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.handlelength": 4.5,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "svg.fonttype": "none",
        "svg.hashsalt": "bnbench",
        "text.parse_math": False,
    },
]
_COLORS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "X", "P", "p", "*", "<", "h")

THICK = 2.8  # points: an interval for new seeds; the one for new images is thin
ZERO: Style = {"color": "black", "linewidth": 0.8, "zorder": 1}
MARGIN: Style = {"color": "#e4e4e4", "linewidth": 0, "zorder": 0}


def style_of(comparison: Comparison, experiment: Experiment) -> Style:
    """Return the keywords that draw the experiment's line."""
    place = comparison.experiments.index(experiment)
    return {
        "color": _COLORS[place % len(_COLORS)],
        "label": experiment.label,
        "linestyle": _DASHES[place % len(_DASHES)],
        "marker": _MARKERS[place % len(_MARKERS)],
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
        "zorder": 3,
    }
