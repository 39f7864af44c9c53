"""A comparison as plots: learning curves, paired differences, looks, tuning and parameters.

Nothing is told by colour alone, and text from outside is shown as it is.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from bnbench.errors import EnvironmentFault, InputError
from bnbench.evidence.comparison import Comparison
from bnbench.show.sentences import title
from bnbench.text import visible

# What it logs of its caches and folders would otherwise reach the terminal.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())
try:
    import matplotlib.style
    from matplotlib.figure import Figure, SubFigure

    from bnbench.show.plots import curves, differences, layout, looks, parameters, tuning
    from bnbench.show.plots.files import ENDINGS, check_ending, to_svg, write
    from bnbench.show.plots.layout import NARROW, WIDE
    from bnbench.show.plots.style import STYLE
except ModuleNotFoundError as error:
    raise EnvironmentFault("plots need matplotlib: pip install 'bnbench[plot]'") from error

__all__ = [
    "ENDINGS",
    "KINDS",
    "NARROW",
    "WIDE",
    "alternative_text",
    "check_ending",
    "figure",
    "kinds_of",
    "to_svg",
    "write",
]


class _Plot(Protocol):
    HEADING: str

    def draw(self, part: SubFigure, comparison: Comparison) -> None: ...
    def height(self, comparison: Comparison, width: float) -> float: ...
    def words(self, comparison: Comparison) -> str: ...


_PLOTS: dict[str, _Plot] = {
    "curves": curves,
    "differences": differences,
    "looks": looks,
    "tuning": tuning,
    "parameters": parameters,
}
KINDS = tuple(_PLOTS)
_NEEDS: dict[str, Callable[[Comparison], object]] = {  # without which a kind has nothing to draw
    "differences": lambda comparison: comparison.contrasts,
    "looks": lambda comparison: comparison.contrasts,
    "tuning": lambda comparison: comparison.tuning,
}


def kinds_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the kinds of plots that have something to draw of this comparison."""
    return tuple(kind for kind in KINDS if kind not in _NEEDS or _NEEDS[kind](comparison))


def figure(
    comparison: Comparison, kinds: Sequence[str] | None = None, width: float = layout.WIDE
) -> Figure:
    """Return the plots of these kinds one below the other, as wide as told in inches.

    Without kinds they are all that have something to draw; one without says why it has not.
    Its label is their alternative text. Raises `InputError` for a kind that is not in ``KINDS``.
    """
    kinds = kinds_of(comparison) if kinds is None else kinds
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"no plot named {visible(kind)}; there are: {', '.join(KINDS)}")
    with matplotlib.style.context(STYLE):
        protocol = layout.wrapped(title(comparison), width - 0.4)
        heights = [0.1 + layout.LINE * layout.line_count(protocol)]
        for plot in map(_PLOTS.__getitem__, kinds):
            heights += layout.heading_height(plot.HEADING, width), plot.height(comparison, width)
        whole = Figure((width, sum(heights)))
        stack = whole.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)
        head, *parts = stack.flat
        head.text(layout.EDGE / width, 0.5, protocol, va="center")
        for heading, part, kind in zip(parts[::2], parts[1::2], kinds, strict=True):
            layout.write_heading(heading, _PLOTS[kind].HEADING)
            _PLOTS[kind].draw(part, comparison)
        whole.set_label("\n".join(alternative_text(comparison, kind) for kind in kinds))
    return whole


def alternative_text(comparison: Comparison, kind: str) -> str:
    """Return in words what the plot of this kind shows, with its numbers."""
    return visible(_PLOTS[kind].words(comparison))
