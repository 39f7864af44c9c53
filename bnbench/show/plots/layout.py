"""What room a plot takes: text measured and wrapped, rows of names, its head and its margins.

Lengths are in inches.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from bnbench.evidence.stats import Array
from bnbench.show.plots.style import LETTERS
from bnbench.text import visible

WIDE = 10.0
NARROW = 3.9  # what a phone shows without making the letters smaller
LINE = 0.18
EDGE = 0.1
_NAME = 2.2


def width_of(part: SubFigure) -> float:
    """Return the width that the plot has."""
    return float(part.bbox.width / part.dpi)


def narrow(width: float) -> bool:
    """Whether nothing stands side by side in a plot of this width."""
    return width < WIDE / 2


def heading(text: str, width: float) -> str:
    """Return a plot's heading in lines that fit."""
    return wrapped(text, 0.72 * (width - 2 * EDGE))  # its letters are bold and larger


def heading_height(text: str, width: float) -> float:
    """Return the height of a plot's heading with what is free around it."""
    return 0.22 + LINE * line_count(heading(text, width))


def write_heading(part: SubFigure, text: str) -> None:
    """Write a plot's heading into a part of its own."""
    width = width_of(part)
    y = 1 - EDGE / _height(part)
    part.text(EDGE / width, y, heading(text, width), size="large", weight="bold", va="top")


def add_axes(
    part: SubFigure,
    left: float,
    top: float,
    width: float,
    height: float,
    *,
    sharex: Axes | None = None,
    sharey: Axes | None = None,
) -> Axes:
    """Add axes of this size whose upper left corner stands so far from the plot's own."""
    across, whole = width_of(part), _height(part)
    place = (left / across, 1 - (top + height) / whole, width / across, height / whole)
    return part.add_axes(place, sharex=sharex, sharey=sharey)


def two_panels(
    width: float, *, left: float, right: float, between: float, height: float
) -> tuple[float, list[tuple[float, float]]]:
    """Return how wide two panels are, and how far each is from the left and from the top.

    They stand side by side or, in a narrow plot, one below the other.
    """
    across = width - left - right
    if narrow(width):
        return across, [(left, 0.0), (left, height)]
    across = (across - between) / 2
    return across, [(left, 0.0), (left + across + between, 0.0)]


def noted(notes: Sequence[str], width: float) -> list[str]:
    """Return the lines of notes that fit."""
    return [line for note in notes for line in wrapped(note, 0.95 * (width - 2 * EDGE)).split("\n")]


def write_notes(part: SubFigure, notes: Sequence[str]) -> None:
    """Write notes at the lower left, where the plot has left room for their lines."""
    width = width_of(part)
    lines = "\n".join(noted(notes, width))
    part.text(EDGE / width, EDGE / 2 / _height(part), lines, va="bottom")


def bare_height(why: str, width: float) -> float:
    """Return the height of a plot that says why there is nothing to draw."""
    return 0.22 + LINE * len(noted([why], width))


def _height(part: SubFigure) -> float:
    return float(part.bbox.height / part.dpi)


def lay_rows(axes: Axes, names: Sequence[str], beside: Sequence[str], width: float) -> Array:
    """Give each name a row of the axes and return where its marks go, in inches from the top.

    The name stands left of the axes and what is said beside it is to stand right of them; in a
    narrow plot both stand above the marks.
    """
    heights = row_heights(names, beside, width)
    ends = np.cumsum(heights)
    axes.set_ylim(ends[-1], 0)
    axes.grid(visible=False, axis="y")
    if not narrow(width):
        middles = ends - heights / 2
        axes.set_yticks(middles, [wrapped(name, _NAME) for name in names])
        return middles
    axes.set_yticks([])
    for top, name, said in zip(ends - heights, names, beside, strict=True):
        _write_above(axes, top + 0.06, name, said, width)
    return ends - 0.04 - LINE / 2


def _write_above(axes: Axes, top: float, name: str, said: str, width: float) -> None:
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over the lines of the grid
    for text, weight in ((row_name(name, width), "bold"), (_beside(said, width), "normal")):
        if text:
            axes.annotate(
                text, (0, top), (2, 0), ("axes fraction", "data"), "offset points",
                va="top", weight=weight, bbox=ground, zorder=4,
            )  # fmt: skip
            top += LINE * line_count(text)


def row_heights(names: Sequence[str], beside: Sequence[str], width: float) -> Array:
    """Return the heights of rows that have these names, with what is said beside them."""
    lines = []
    for name, said in zip(names, beside, strict=True):
        named, told = line_count(row_name(name, width)), line_count(_beside(said, width))
        lines.append(named + told * bool(said) + 1 if narrow(width) else max(named, told))
    return (0.14 if narrow(width) else 0.08) + LINE * np.array(lines, dtype=float)


def row_name(name: str, width: float) -> str:
    """Return a row's name in lines that fit."""
    return wrapped(name, 0.8 * (width - 4 * EDGE) if narrow(width) else _NAME)


def _beside(said: str, width: float) -> str:
    if not narrow(width):
        return said
    return "\n".join(wrapped(line, 0.9 * (width - 4 * EDGE)) for line in said.split("\n"))


def name_width(names: Sequence[str], width: float) -> float:
    """Return the left margin that the rows' names need."""
    if narrow(width):
        return 2 * EDGE
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


@lru_cache(maxsize=4096)  # the same numbers and names stand in many places
def text_width(text: str, weight: str = "normal") -> float:
    """Return the width of the longest line."""
    letters = FontProperties(size=LETTERS, weight=weight)
    lines = text.split("\n")
    return max(text_to_path.get_text_width_height_descent(s, letters, False)[0] for s in lines) / 72
