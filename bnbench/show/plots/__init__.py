"""A comparison as plots: learning curves, paired differences, looks, tuning and parameters.

Nothing is shown by colour alone, and text from outside is made harmless.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from bnbench.errors import EnvironmentFault, InputError
from bnbench.evidence.comparison import Comparison
from bnbench.show.sentences import title
from bnbench.text import visible

# Its messages about its caches and folders would otherwise reach the terminal.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())
try:
    import matplotlib.style
    from matplotlib.figure import Figure

    from bnbench.show.plots import curves, differences, looks, parameters, tuning
    from bnbench.show.plots.files import ENDINGS, check_ending, to_svg, write
    from bnbench.show.plots.layout import Sheet
    from bnbench.show.plots.style import STYLE
except ModuleNotFoundError as error:
    raise EnvironmentFault("plots need matplotlib: pip install 'bnbench[plot]'") from error

__all__ = [
    "ENDINGS",
    "KINDS",
    "alternative_text",
    "check_ending",
    "figure",
    "kinds_of",
    "to_svg",
    "write",
]


class _Plot(Protocol):
    HEADING: str

    def missing(self, comparison: Comparison) -> str: ...  # why nothing is drawn, or ""
    def draw(self, sheet: Sheet, comparison: Comparison) -> None: ...
    def words(self, comparison: Comparison) -> str: ...


_PLOTS: dict[str, _Plot] = {
    "curves": curves,
    "differences": differences,
    "looks": looks,
    "tuning": tuning,
    "parameters": parameters,
}
KINDS = tuple(_PLOTS)


def kinds_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the kinds of plots that have something to draw of this comparison."""
    return tuple(kind for kind, plot in _PLOTS.items() if not plot.missing(comparison))


def figure(comparison: Comparison, kinds: Sequence[str] | None = None) -> Figure:
    """Return the plots of these kinds, one below the other.

    The default are all kinds that have something to draw; any other kind says why it has nothing.
    The figure's label is its alternative text. Raises `InputError` for a kind not in ``KINDS``.
    """
    kinds = kinds_of(comparison) if kinds is None else kinds
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"no plot named {visible(kind)}; there are: {', '.join(KINDS)}")
    with matplotlib.style.context(STYLE):
        sheet = Sheet()
        sheet.write_lines(title(comparison))
        for plot in map(_PLOTS.__getitem__, kinds):
            sheet.top += 0.12
            sheet.write_lines(plot.HEADING, size="large", weight="bold")
            sheet.top += 0.1
            if why := plot.missing(comparison):
                sheet.write_lines(why)
            else:
                plot.draw(sheet, comparison)
        drawn = sheet.finished()
    drawn.set_label("\n".join(alternative_text(comparison, kind) for kind in kinds))
    return drawn


def alternative_text(comparison: Comparison, kind: str) -> str:
    """Return in words what the plot of this kind shows, with its numbers."""
    plot = _PLOTS[kind]
    return visible(plot.missing(comparison) or plot.words(comparison))
