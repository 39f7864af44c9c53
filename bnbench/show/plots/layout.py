"""A figure that is filled from the top down, and text in lines that fit. Lengths are in inches."""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D, BboxTransformTo, ScaledTranslation

from bnbench.evidence.stats import Array
from bnbench.show.plots.style import LETTERS
from bnbench.text import visible

WIDTH = 10.0  # of every figure
LINE = 0.18
EDGE = 0.1


class Sheet:
    """A figure of one width that grows downwards; the next part begins at ``top``."""

    def __init__(self) -> None:
        self.figure = Figure((WIDTH, 1.0))
        self.top = EDGE
        corner = ScaledTranslation(0, 1, BboxTransformTo(self.figure.bbox))
        self.inches = Affine2D().scale(1, -1) + self.figure.dpi_scale_trans + corner
        self._places: dict[Axes, tuple[float, float, float, float]] = {}

    def write_lines(self, text: str, **style: Any) -> None:
        """Write text at the left in lines that fit, and go below it."""
        lines = wrapped(text, 0.95 * WIDTH)
        self.figure.text(EDGE, self.top, lines, transform=self.inches, va="top", **style)
        self.top += LINE * (1 + lines.count("\n"))

    def add_axes(self, left: float, width: float, height: float) -> Axes:
        """Add axes at ``top``, which stays as it is, as others may be beside them."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        self._places[axes] = (left, self.top, width, height)
        return axes

    def explain(self, marks: Sequence[Artist]) -> None:
        """Explain marks by their labels, in as many columns as fit, and go below."""
        widest = max(text_width(str(mark.get_label())) for mark in marks)
        legend = self.figure.legend(
            handles=marks,
            loc="upper left",
            ncols=max(1, min(len(marks), int((WIDTH - EDGE) / (widest + 1.0)))),
            bbox_to_anchor=(EDGE, self.top),
            bbox_transform=self.inches,
            borderpad=0,
            borderaxespad=0,
        )
        self.top += legend.get_window_extent().height / self.figure.dpi

    def finished(self) -> Figure:
        """Return the figure, as high as what is on it."""
        height = self.top + EDGE
        self.figure.set_figheight(height)
        for axes, (left, top, across, down) in self._places.items():
            bottom = 1 - (top + down) / height
            axes.set_position((left / WIDTH, bottom, across / WIDTH, down / height))
        return self.figure


class Rows:
    """Rows with their names left of the axes, each as high as its name and the text beside it.

    ``headings`` has the places of the rows whose names are bold.
    """

    def __init__(
        self, names: Iterable[str], beside: Iterable[str] = (), headings: Collection[int] = ()
    ) -> None:
        self.names = [wrapped(name, 2.2) for name in names]
        self.headings = headings
        self.left = EDGE + 0.1 + max(text_width(name, "bold") for name in self.names)
        texts = zip_longest(self.names, beside, fillvalue="")
        lines = np.array([1 + max(text.count("\n") for text in row) for row in texts])
        ends = np.cumsum(0.08 + LINE * lines)
        self.middles: Array = (ends + np.array([0.0, *ends[:-1]])) / 2
        self.height = float(ends[-1])

    def lay(self, axes: Axes) -> None:
        """Give each row its height of the axes, and its name."""
        axes.set_ylim(self.height, 0)
        axes.set_yticks(self.middles, self.names)
        axes.grid(visible=False, axis="y")
        for place in self.headings:
            axes.get_yticklabels()[place].set_fontweight("bold")


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


@lru_cache(maxsize=4096)  # the same numbers and names are written many times
def text_width(text: str, weight: str = "normal") -> float:
    """Return the width of the longest line."""
    letters = FontProperties(size=LETTERS, weight=weight)
    lines = text.split("\n")
    return max(text_to_path.get_text_width_height_descent(s, letters, False)[0] for s in lines) / 72
