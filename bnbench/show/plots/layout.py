"""What room a plot takes: text measured and wrapped, rows of names, its head and its margins.

Lengths are in inches.
"""

import re
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from bnbench.evidence.stats import Array
from bnbench.show.plots.style import LETTERS
from bnbench.text import visible

WIDTH = 10.0
LINE = 0.18
EDGE = 0.1
FOOT = 0.6
BARE = 0.8  # the height of a plot that says why there is nothing to draw
HEAD = 0.4
_NAME = 2.2


def write_head(part: SubFigure, text: str) -> None:
    """Write the plot's heading at its upper left."""
    part.text(EDGE / WIDTH, 1 - 0.1 / _height(part), text, size="large", weight="bold", va="top")


def set_margins(part: SubFigure, left: float, right: float, bottom: float, gap: float) -> None:
    """Leave this much around the axes and between the two that stand side by side."""
    height = _height(part)
    part.subplots_adjust(
        left=left / WIDTH,
        right=1 - right / WIDTH,
        bottom=bottom / height,
        top=1 - HEAD / height,
        wspace=2 * gap / (WIDTH - left - right - gap),  # a share of the width of one of two
        hspace=0.06,
    )


def add_axes(part: SubFigure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes of this size whose upper left corner stands so far from the plot's own."""
    whole = _height(part)
    bottom = 1 - (top + height) / whole
    return part.add_axes((left / WIDTH, bottom, width / WIDTH, height / whole))


def write_notes(part: SubFigure, notes: Sequence[str]) -> None:
    """Write a line for each note at the lower left, where the plot has left room for them."""
    part.text(EDGE / WIDTH, EDGE / 2 / _height(part), "\n".join(notes), va="bottom")


def _height(part: SubFigure) -> float:
    return float(part.bbox.height / part.dpi)


def lay_rows(axes: Axes, names: Sequence[str], beside: Sequence[str] = ()) -> Array:
    """Give each name a row of the axes and return the rows' middles, in inches from the top.

    A row has room for the text beside it too, where that has more lines.
    """
    heights = _rows(names, beside)
    ends = np.cumsum(heights)
    axes.set_yticks(ends - heights / 2, [wrapped(name, _NAME) for name in names])
    axes.set_ylim(ends[-1], 0)
    axes.grid(visible=False, axis="y")
    return ends - heights / 2


def rows_height(names: Sequence[str], foot: float, beside: Sequence[str] = ()) -> float:
    """Return the height of a plot with a row for each name above a foot of this height."""
    return HEAD + foot + float(_rows(names, beside).sum())


def _rows(names: Sequence[str], beside: Sequence[str]) -> Array:
    pairs = zip(names, beside or [""] * len(names), strict=True)
    lines = [max(line_count(wrapped(name, _NAME)), line_count(text)) for name, text in pairs]
    return 0.08 + LINE * np.array(lines, dtype=float)


def name_width(names: Sequence[str]) -> float:
    """Return the left margin that the rows' names need."""
    return EDGE + 0.1 + max(text_width(wrapped(name, _NAME), "bold") for name in names)


def line_count(text: str) -> int:
    """Return the number of lines."""
    return text.count("\n") + 1


def wrapped(text: str, width: float) -> str:
    """Return the text with unseen and unknown characters escaped, in lines of about this width.

    A line ends behind a space or else a separator, where there is one in its second half.
    """
    known = get_font(findfont("DejaVu Sans")).get_char_index
    shown = "".join(c if known(ord(c)) else ascii(c)[1:-1] for c in visible(text))
    if text_width(shown) <= width:
        return shown
    most = max(2, int(len(shown) * width / text_width(shown)))
    half = f".{{{most // 2},{most - 1}}}"
    lines = re.findall(f".{{1,{most}}}$|{half} |{half}[_+=/-]|.{{{most}}}", shown)
    return "\n".join(line.strip() for line in lines)


def text_width(text: str, weight: str = "normal") -> float:
    """Return the width of the longest line."""
    letters = FontProperties(size=LETTERS, weight=weight)
    lines = text.split("\n")
    return max(text_to_path.get_text_width_height_descent(s, letters, False)[0] for s in lines) / 72
