"""A comparison as plots: learning curves, paired differences, looks, tuning and parameters.

Nothing is shown by colour alone, and text from outside is made harmless.
"""

import logging
import os
from collections.abc import Sequence

from bnbench.errors import EnvironmentFault, InputError
from bnbench.evidence.comparison import Comparison
from bnbench.show.sentences import title
from bnbench.text import count, visible

# Its messages about its caches and folders would otherwise reach the terminal.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())
try:
    import matplotlib.style
    from matplotlib.figure import Figure

    from bnbench.show.plots import curves, differences, looks, parameters, tuning
    from bnbench.show.plots import files as files
    from bnbench.show.plots.layout import Sheet
    from bnbench.show.plots.style import STYLE
except ModuleNotFoundError as error:
    raise EnvironmentFault("plots need matplotlib: pip install 'bnbench[plot]'") from error
except ValueError as error:
    backend = visible(os.environ.get("MPLBACKEND", ""))[:60]
    reason = f"matplotlib has no backend '{backend}'; correct it, or unset it"
    raise EnvironmentFault(f"MPLBACKEND: {reason}") from error

_PLOTS = {
    "curves": curves,
    "differences": differences,
    "looks": looks,
    "tuning": tuning,
    "parameters": parameters,
}
HEADINGS = {kind: plot.HEADING for kind, plot in _PLOTS.items()}
KINDS = tuple(HEADINGS)


def kinds_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the kinds of plots that have something to draw of this comparison."""
    return tuple(kind for kind in KINDS if not _missing(comparison, kind))


def _missing(comparison: Comparison, kind: str) -> str:
    contrasts = comparison.contrasts
    if kind == "curves" and not curves.longest(comparison):
        return "No run completed an epoch, so there are no curves."
    if kind in ("differences", "looks") and not contrasts:
        return "There is only one experiment, so there is nothing to compare."
    if kind == "looks" and not any(contrast.result.looks for contrast in contrasts):
        first = count(comparison.plan.first, "seed")
        return f"There has been no look yet: the first is at {first} of both sides."
    if kind == "tuning" and not comparison.tuning:
        return "Nothing was tuned in this comparison."
    return ""


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
        for kind in kinds:
            sheet.top += 0.2
            sheet.write_lines(_PLOTS[kind].HEADING, size="large", weight="bold")
            sheet.top += 0.1
            if why := _missing(comparison, kind):
                sheet.write_lines(why)
            else:
                _PLOTS[kind].draw(sheet, comparison)
        drawn = sheet.finished()
    drawn.set_label("\n".join(alternative_text(comparison, kind) for kind in kinds))
    return drawn


def alternative_text(comparison: Comparison, kind: str) -> str:
    """Return in words what the plot of this kind shows, with its numbers."""
    return visible(_missing(comparison, kind) or _PLOTS[kind].words(comparison))
