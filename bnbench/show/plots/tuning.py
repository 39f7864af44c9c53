"""Tuning: a heat map of all values that were tried, network by network, with the chosen ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple, get_args

import matplotlib
import numpy as np
from matplotlib.patches import Rectangle

from bnbench.evidence.comparison import PLACEMENT, Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import Candidates, Tuning
from bnbench.experiments.config import Placement
from bnbench.experiments.sweep import order_of_values, short_key, without_placement
from bnbench.show.grids import setting_value
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import Style
from bnbench.text import count, listed

HEADING = "Tuning: validation accuracy of every value that was tried; the chosen ones in frames"
_DIVERGED = "div"
_RANGE = 10.0  # percentage points below the best, where the scale of colours ends
_SHADES = matplotlib.colormaps["Blues"]
_LIGHTEST, _DARKEST = 0.12, 0.64  # of the shades: not white, and light enough for black letters
_BELOW: Style = {"facecolor": "white", "edgecolor": "#999999", "linewidth": 0.6}
_HATCHED: Style = {**_BELOW, "hatch": "/////"}
_FRAME: Style = {"fill": False, "edgecolor": "black", "linewidth": 2.0}
_GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # of letters on hatching
_KEYS = 4  # shades that are explained
_ROW, _GAP, _BETWEEN = 0.28, 0.12, 0.15  # inches: a row, below a group, beside a column
_WIDEST = 1.2
_GUTTER = 0.02  # around a cell

_Values = tuple[Any, ...]  # of the settings that were swept


class _Row(NamedTuple):
    """A network: its name without the placement, the placement where that was swept, its values."""

    name: str
    placement: str
    candidates: Candidates

    def cells(self) -> Iterator[tuple[_Values, Experiment]]:
        """Yield all values that were tried, each with the runs that it was judged by."""
        for experiment in self.candidates.experiments:
            yield self.values(experiment), self.candidates.judged(experiment)

    def values(self, experiment: Experiment) -> _Values:
        return tuple(self.candidates.values(experiment).values())


@dataclass(frozen=True)
class _Shades:
    """The scale of colours: from ``low`` to ``high`` [%], and white for all below."""

    low: float
    high: float
    below: bool

    def fill(self, mean: float | None) -> Style:
        """Return how a cell with this mean is filled; it is None where all runs diverged."""
        if mean is None:
            return _HATCHED
        if mean < self.low:
            return _BELOW
        share = (mean - self.low) / ((self.high - self.low) or 1.0)
        color = _SHADES(_LIGHTEST + (_DARKEST - _LIGHTEST) * share)
        return {"facecolor": color, "edgecolor": "none"}

    def keys(self) -> Iterator[tuple[str, Style]]:
        """Yield the shades that are explained, with the accuracy of each."""
        if self.below:
            yield f"< {self.low:.1f}", _BELOW
        if self.high:
            for mean in np.unique(np.linspace(self.low, self.high, _KEYS)).tolist():
                yield f"{mean:.1f}", self.fill(mean)


@dataclass(frozen=True)
class _Map:
    """The rows and columns of a tuning, and their places from the left in inches."""

    tuning: Tuning

    @cached_property
    def rows(self) -> list[_Row]:
        """The networks; those together that differ in the placement alone."""
        return list(map(_row, sorted(self.tuning.candidates, key=_position)))

    @cached_property
    def columns(self) -> list[_Values]:
        """All values that any network was tried with, in their order."""
        places = {
            row.values(experiment): order_of_values(experiment.config, self.tuning.keys)
            for row in self.rows
            for experiment in row.candidates.experiments
        }
        return sorted(places, key=places.__getitem__)

    @cached_property
    def judged(self) -> list[Experiment]:
        """The runs behind each cell."""
        return [experiment for row in self.rows for _, experiment in row.cells()]

    @cached_property
    def shades(self) -> _Shades:
        means = [mean for mean in map(_mean, self.judged) if mean is not None]
        if not means:
            return _Shades(0.0, 0.0, below=False)
        low = min(mean for mean in means if mean >= max(means) - _RANGE)
        return _Shades(low, max(means), below=min(means) < low)

    @cached_property
    def placements(self) -> float:
        """Where the placements begin."""
        return layout.name_width(row.name for row in self.rows) + _BETWEEN

    @cached_property
    def left(self) -> float:
        """Where the cells begin."""
        widest = max(layout.text_width(row.placement) for row in self.rows)
        return self.placements + (widest + _BETWEEN if widest else 0.0)

    @cached_property
    def tiers(self) -> list[list[_Values]]:
        """The columns that are side by side: as many as fit, in tiers of equal numbers."""
        texts = [*map(_text, self.judged), *(setting_value(v) for c in self.columns for v in c)]
        needed = max(layout.text_width(text, "bold") for text in texts) + 0.1
        fit = max(1, int((layout.WIDTH - self.left - layout.EDGE) / needed))
        each = -(-len(self.columns) // -(-len(self.columns) // fit))
        return [self.columns[start : start + each] for start in range(0, len(self.columns), each)]

    @cached_property
    def cell(self) -> float:
        """The width of a cell."""
        return min(_WIDEST, (layout.WIDTH - self.left - layout.EDGE) / len(self.tiers[0]))


def _row(one: Candidates) -> _Row:
    name = without_placement(one.name, one.best.config)
    placement = one.best.config.model.batch_norm.placement.removesuffix("_activation")
    return _Row(name, "" if name == one.name else placement, one)


def _position(one: Candidates) -> tuple[Any, ...]:
    config = one.best.config
    own = [key for key in config.swept if key.startswith("model.") and key != PLACEMENT]
    placement = get_args(Placement).index(config.model.batch_norm.placement)
    return config.name, order_of_values(config, own), without_placement(one.name, config), placement


def _mean(experiment: Experiment) -> float | None:
    return None if experiment.mean is None else experiment.metric.scale * experiment.mean


def _text(experiment: Experiment) -> str:
    """Return what a cell shows: the mean, and how many runs it is of where some diverged."""
    mean, total = _mean(experiment), len(experiment.records)
    if mean is None:
        return _DIVERGED
    return f"{mean:.1f}" + (f" ({len(experiment.values)}/{total})" if experiment.diverged else "")


def missing(comparison: Comparison) -> str:
    """Return why there is nothing to draw, or nothing."""
    return "" if comparison.tuning else "Nothing was tuned in this comparison."


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw a row of cells for each network, in tiers, above the key of the colours."""
    assert comparison.tuning  # or it is missing
    plan = _Map(comparison.tuning)
    for tier in plan.tiers:
        _draw_heads(sheet, plan, tier)
        for name, rows in groupby(plan.rows, key=lambda row: row.name):
            lines = layout.row_name(name)
            bottom = sheet.top + layout.LINE * layout.line_count(lines) + 0.1
            place = plan.placements - _BETWEEN, sheet.top + 0.05
            sheet.write(*place, lines, ha="right", va="top", weight="bold")
            for row in rows:
                sheet.write(plan.placements, sheet.top + 0.05, row.placement, va="top")
                _draw_cells(sheet, plan, row, tier)
                sheet.top += _ROW
            sheet.top = max(sheet.top, bottom) + _GAP
        sheet.top += _GAP
    sheet.write_lines(_measured(plan))
    sheet.top += 0.05
    for place, (text, fill) in enumerate(plan.shades.keys()):
        _draw_cell(sheet, layout.EDGE + 0.58 * place, 0.58, text, fill)
    sheet.top += _ROW + _GAP
    for note in _notes(plan):
        sheet.write_lines(note)


def _draw_heads(sheet: Sheet, plan: _Map, tier: Sequence[_Values]) -> None:
    """Write the names of the settings, and below them their values above the columns."""
    swept = ", below it ".join(map(short_key, plan.tuning.keys))
    sheet.write(plan.left + _GUTTER, sheet.top, swept, va="top")
    for values in zip(*tier, strict=True):
        sheet.top += layout.LINE
        for place, value in enumerate(map(setting_value, values)):
            x = plan.left + (place + 0.5) * plan.cell
            sheet.write(x, sheet.top, value, ha="center", va="top")
    sheet.top += layout.LINE + 0.04


def _draw_cells(sheet: Sheet, plan: _Map, row: _Row, tier: Sequence[_Values]) -> None:
    best = row.values(row.candidates.best)
    for values, judged in row.cells():
        if values in tier:
            left, fill = plan.left + tier.index(values) * plan.cell, plan.shades.fill(_mean(judged))
            _draw_cell(sheet, left, plan.cell, _text(judged), fill, chosen=values == best)


def _draw_cell(
    sheet: Sheet, left: float, width: float, text: str, fill: Style, *, chosen: bool = False
) -> None:
    corner = left + _GUTTER, sheet.top + _GUTTER
    size = width - 2 * _GUTTER, _ROW - 2 * _GUTTER
    for style in [fill, _FRAME][: 1 + chosen]:
        cell = Rectangle(corner, *size, transform=sheet.inches, **style)
        sheet.figure.add_artist(cell)
    sheet.write(
        left + width / 2, sheet.top + _ROW / 2, text, ha="center", va="center_baseline",
        weight="bold" if chosen else "normal", bbox=_GROUND if "hatch" in fill else None,
    )  # fmt: skip


def _measured(plan: _Map) -> str:
    sizes = [len(experiment.records) for experiment in plan.judged]
    few, many = min(sizes), max(sizes)
    if many == 1:
        return "validation accuracy [%] of 1 seed each"
    seeds = count(many, "seed") if few == many else f"{few} to {many} seeds"
    return f"validation accuracy [%], means over {seeds}"


def _notes(plan: _Map) -> Iterator[str]:
    """Yield what the marks that are drawn mean."""
    texts, marks = list(map(_text, plan.judged)), ["framed: chosen"]
    if partial := [text.split()[1] for text in texts if "(" in text]:
        some = partial[0].strip("()").replace("/", " of ")
        marks.append(f"{partial[0]}: the mean of the {some} runs that did not diverge")
    if _DIVERGED in texts:
        marks.append(f"{_DIVERGED}, hatched: all runs diverged")
    if len(texts) < len(plan.rows) * len(plan.columns):
        marks.append("no cell: not tried")
    yield "; ".join(marks)
    if plan.shades.below:
        yield (
            f"white: below {plan.shades.low:.1f}, which is the lowest accuracy within {_RANGE:g} "
            "points of the best"
        )


def words(comparison: Comparison) -> str:
    """Return the accuracy of every network with every value, and which value was chosen."""
    assert comparison.tuning  # or it is missing
    plan = _Map(comparison.tuning)
    keys = listed([short_key(key) for key in comparison.tuned])
    said = [f"Tuning over {keys}: {_measured(plan)}."]
    for row in plan.rows:
        said.append(f"{row.candidates.name}: {'; '.join(_course(row))}.")
    return " ".join(said)


def _course(row: _Row) -> Iterator[str]:
    best = row.values(row.candidates.best)
    for values, judged in row.cells():
        text = _text(judged).replace(_DIVERGED, "diverged")
        chosen = ", chosen" if values == best else ""
        yield f"{', '.join(map(setting_value, values))}: {text}{chosen}"
