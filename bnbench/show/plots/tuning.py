"""Tuning: how every value did that was tried, network by network, and which was chosen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any, NamedTuple, get_args

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle

from bnbench.evidence.comparison import PLACEMENT, Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import Candidates, Tuning
from bnbench.experiments.fields import Placement
from bnbench.experiments.sweep import order_of_values, short_key, without_placement
from bnbench.show.grids import setting_value
from bnbench.show.plots import layout
from bnbench.show.plots.style import Style
from bnbench.text import count, listed

HEADING = "Tuning: validation accuracy of all that was tried, and what was chosen"
_NOTHING = "Nothing was tuned in this comparison, so there is nothing that was chosen from."
_DIVERGED = "div"
_REACH = 10.0  # percentage points below the best, where the scale of colours ends
_SHADES = matplotlib.colormaps["Blues"]
_LIGHTEST, _DARKEST = 0.12, 0.64  # of the shades: not white, and light enough for black letters
_BELOW: Style = {"facecolor": "white", "edgecolor": "#999999", "linewidth": 0.6}
_HATCHED: Style = {"facecolor": "white", "edgecolor": "#999999", "linewidth": 0.6, "hatch": "/////"}
_FRAME: Style = {"fill": False, "edgecolor": "black", "linewidth": 2.0, "zorder": 2}
_GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # of letters on hatching
_KEYS = 4  # shades that are explained
_PAD, _GAP, _BETWEEN = 0.1, 0.12, 0.15  # inches: in a row, below a group, beside a column
_WIDEST = 1.2
_GUTTER, _AROUND = 0.02, 0.05  # around a cell, and around the letters in it

_Values = tuple[Any, ...]  # of the settings that were swept
_Span = tuple[float, float]  # from the upper to the lower end of a row


class _Row(NamedTuple):
    """A network: what it shares with those of another placement, and its own, if it is told."""

    shared: str
    placement: str
    candidates: Candidates


@dataclass(frozen=True)
class _Shades:
    """The scale of colours: from ``low`` to ``high`` [%], and one colour for all below."""

    low: float
    high: float
    below: bool

    def fill(self, value: float) -> Style:
        """Return how a cell of this value is filled."""
        if value < self.low:
            return _BELOW
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        color = _SHADES(_LIGHTEST + (_DARKEST - _LIGHTEST) * share)
        return {"facecolor": color, "edgecolor": "none"}


@dataclass(frozen=True)
class _Sheet:
    """A tuning laid out for a width: rows in groups, and columns in as many tiers as it takes."""

    tuning: Tuning
    width: float

    @cached_property
    def groups(self) -> list[list[_Row]]:
        """The networks, those together that differ in the placement alone."""
        rows = map(_row, sorted(self.tuning.candidates, key=_position))
        return [list(group) for _, group in groupby(rows, key=lambda row: row.shared)]

    @cached_property
    def rows(self) -> list[_Row]:
        """The networks one by one."""
        return [row for group in self.groups for row in group]

    @cached_property
    def columns(self) -> list[_Values]:
        """All values that any network was tried with, in their order."""
        keys, places = self.tuning.keys, {}
        for row in self.rows:
            for experiment in row.candidates.experiments:
                values = tuple(row.candidates.values(experiment).values())
                places[values] = order_of_values(experiment.config, keys)
        return sorted(places, key=places.__getitem__)

    @cached_property
    def names(self) -> float:
        """Where the placements begin."""
        if layout.narrow(self.width):
            return layout.EDGE
        return layout.name_width([row.shared for row in self.rows], self.width) + _BETWEEN

    @cached_property
    def left(self) -> float:
        """Where the cells begin."""
        widest = max(layout.text_width(row.placement) for row in self.rows)
        return self.names + (widest + _BETWEEN if widest else 0.0)

    @cached_property
    def cell_texts(self) -> list[str]:
        """What stands in the cells."""
        return [_told(experiment) for row in self.rows for _, experiment in _judged(row.candidates)]

    @cached_property
    def tiers(self) -> list[list[_Values]]:
        """The columns that stand side by side, evenly shared out."""
        words = {word for text in self.cell_texts for word in text.split()}
        needed = max(layout.text_width(word, "bold") for word in words) + 2 * _AROUND
        number = -(-len(self.columns) // max(1, int(self._room / needed)))
        each = -(-len(self.columns) // number)
        return [self.columns[start : start + each] for start in range(0, len(self.columns), each)]

    @property
    def _room(self) -> float:
        return self.width - self.left - 2 * layout.EDGE

    @cached_property
    def cell(self) -> float:
        """How wide a cell is."""
        return min(_WIDEST, self._room / len(self.tiers[0]))

    def heads(self, tier: Sequence[_Values]) -> list[list[str]]:
        """Return what stands above the columns, key by key."""
        fit = self.cell - 2 * _AROUND
        return [
            [layout.wrapped(setting_value(values[place]), fit) for values in tier]
            for place in range(len(self.tuning.keys))
        ]

    def head_height(self, tier: Sequence[_Values]) -> float:
        """Return the room that the keys and the values above the columns take."""
        lines = layout.line_count(self.swept) + sum(map(_lines, self.heads(tier)))
        return layout.LINE * lines + 0.04

    @property
    def swept(self) -> str:
        """The settings that were swept, in the order of the lines above the columns."""
        return layout.wrapped(", below it ".join(map(short_key, self.tuning.keys)), self._room)

    def shown(self, experiment: Experiment) -> str:
        """Return what stands in a cell: in one line where it fits."""
        text = _told(experiment)
        fits = layout.text_width(text, "bold") < self.cell - 2 * _AROUND
        return text if fits else text.replace(" ", "\n")

    def laid(self) -> Iterator[tuple[list[_Row], float, list[_Span]]]:
        """Yield each group with where it and its rows are, in inches from the top."""
        top = 0.0
        for group in self.groups:
            told = [[self.shown(e) for _, e in _judged(row.candidates)] for row in group]
            heights = np.array([_PAD + layout.LINE * _lines(cells) for cells in told])
            name = layout.LINE * layout.line_count(layout.row_name(group[0].shared, self.width))
            above = name if layout.narrow(self.width) else 0.0
            if not above:
                heights *= max(1.0, (name + _PAD) / heights.sum())
            ends = (top + above + np.cumsum(heights)).tolist()
            yield group, top, list(pairwise([top + above, *ends]))
            top = ends[-1] + _GAP

    @cached_property
    def rows_height(self) -> float:
        """The height of all rows."""
        *_, (_, _, spans) = self.laid()
        return spans[-1][1]

    @cached_property
    def shades(self) -> _Shades | None:
        """The scale of colours; None where every run diverged."""
        means = [_mean(e) for row in self.rows for _, e in _judged(row.candidates)]
        values = [mean for mean in means if mean is not None]
        if not values:
            return None
        low = min(value for value in values if value >= max(values) - _REACH)
        return _Shades(low, max(values), min(values) < low)

    def fill(self, experiment: Experiment) -> Style:
        """Return how the cell of an experiment is filled."""
        mean = _mean(experiment)
        return _HATCHED if mean is None or not self.shades else self.shades.fill(mean)


def _row(one: Candidates) -> _Row:
    config = one.best.config
    shared = without_placement(one.name, config)
    placement = config.model.batch_norm.placement.removesuffix("_activation")
    return _Row(shared, "" if shared == one.name else placement, one)


def _position(one: Candidates) -> tuple[Any, ...]:
    config = one.best.config
    own = [key for key in config.swept if key.startswith("model.") and key != PLACEMENT]
    placement = get_args(Placement).index(config.model.batch_norm.placement)
    return config.name, order_of_values(config, own), without_placement(one.name, config), placement


def _judged(one: Candidates) -> Iterator[tuple[_Values, Experiment]]:
    """Yield the values that a network was tried with, and what they were judged by."""
    for experiment in one.experiments:
        yield tuple(one.values(experiment).values()), one.judged(experiment)


def _mean(experiment: Experiment) -> float | None:
    return None if experiment.mean is None else experiment.metric.scale * experiment.mean


def _told(experiment: Experiment) -> str:
    mean, total = _mean(experiment), len(experiment.records)
    if mean is None:
        return _DIVERGED
    return f"{mean:.1f}" + (f" ({len(experiment.values)}/{total})" if experiment.diverged else "")


def _lines(texts: Iterable[str]) -> int:
    return max(map(layout.line_count, texts), default=1)


def draw(part: SubFigure, comparison: Comparison) -> None:
    """Draw a row of cells for each network, in tiers, above the key of the colours."""
    if comparison.tuning is None:
        layout.write_notes(part, [_NOTHING])
        return
    width = layout.width_of(part)
    sheet, whole = _Sheet(comparison.tuning, width), height(comparison, width)
    axes = layout.add_axes(part, 0, 0, width, whole)
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(whole, 0)  # inches from the upper left corner
    top = 0.0
    for tier in sheet.tiers:
        _draw_heads(axes, sheet, tier, top)
        top += sheet.head_height(tier)
        for group, start, spans in sheet.laid():
            below = [(top + upper, top + lower) for upper, lower in spans]
            _write_name(axes, sheet, group[0].shared, top + start, below)
            for row, span in zip(group, below, strict=True):
                axes.text(sheet.names, sum(span) / 2, row.placement, va="center_baseline")
                _draw_cells(axes, sheet, row, tier, span)
        top += sheet.rows_height + 2 * _GAP
    _draw_keys(axes, sheet, top)
    layout.write_notes(part, _notes(sheet))


def _draw_heads(axes: Axes, sheet: _Sheet, tier: Sequence[_Values], top: float) -> None:
    axes.text(sheet.left + _GUTTER, top, sheet.swept, va="top")
    top += layout.LINE * layout.line_count(sheet.swept)
    for heads in sheet.heads(tier):
        for place, head in enumerate(heads):
            axes.text(sheet.left + (place + 0.5) * sheet.cell, top, head, ha="center", va="top")
        top += layout.LINE * _lines(heads)


def _write_name(axes: Axes, sheet: _Sheet, name: str, top: float, spans: Sequence[_Span]) -> None:
    """Write what a group shares above its rows or, where there is room, beside the first."""
    lines = layout.row_name(name, sheet.width)
    if layout.narrow(sheet.width):
        axes.text(sheet.names, top, lines, va="top", weight="bold")
        return
    end = spans[0][1] if layout.line_count(lines) == 1 else spans[-1][1]
    place = sheet.names - _BETWEEN, (top + end) / 2
    axes.text(*place, lines, ha="right", va="center_baseline", weight="bold")


def _draw_cells(axes: Axes, sheet: _Sheet, row: _Row, tier: Sequence[_Values], span: _Span) -> None:
    best = tuple(row.candidates.values(row.candidates.best).values())
    for values, experiment in _judged(row.candidates):
        if values in tier:
            corner = sheet.left + tier.index(values) * sheet.cell, span[0]
            size = sheet.cell, span[1] - span[0]
            text, fill = sheet.shown(experiment), sheet.fill(experiment)
            _draw_cell(axes, corner, size, text, fill, chosen=values == best)


def _draw_cell(
    axes: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    text: str,
    fill: Style,
    *,
    chosen: bool = False,
) -> None:
    (x, y), (width, height) = corner, size
    inner = (x + _GUTTER, y + _GUTTER), width - 2 * _GUTTER, height - 2 * _GUTTER
    axes.add_patch(Rectangle(*inner, **fill))
    if chosen:
        axes.add_patch(Rectangle(*inner, **_FRAME))
    axes.text(
        x + width / 2, y + height / 2, text, ha="center", va="center_baseline",
        weight="bold" if chosen else "normal", zorder=3,
        bbox=_GROUND if "hatch" in fill else None,
    )  # fmt: skip


def _draw_keys(axes: Axes, sheet: _Sheet, top: float) -> None:
    """Draw the shades as cells that have their numbers in them."""
    axes.text(layout.EDGE, top, _measured(sheet), va="top")
    corner, size = layout.EDGE, (0.58, layout.LINE + _PAD)
    for text, fill in _keys(sheet):
        _draw_cell(axes, (corner, top + layout.LINE * 1.2), size, text, fill)
        corner += size[0]


def _keys(sheet: _Sheet) -> Iterator[tuple[str, Style]]:
    if shades := sheet.shades:
        if shades.below:
            yield f"< {shades.low:.1f}", _BELOW
        for value in np.unique(np.linspace(shades.low, shades.high, _KEYS)).tolist():
            yield f"{value:.1f}", shades.fill(value)


def _measured(sheet: _Sheet) -> str:
    sizes = [len(e.records) for row in sheet.rows for _, e in _judged(row.candidates)]
    few, many = min(sizes), max(sizes)
    if many == 1:
        return "validation accuracy [%] of 1 seed each"
    seeds = count(many, "seed") if few == many else f"{few} to {many} seeds"
    return f"validation accuracy [%], means over {seeds}"


def _notes(sheet: _Sheet) -> list[str]:
    """Return what the marks that are drawn mean."""
    marks = ["framed: chosen"]
    if partial := [text.split()[1] for text in sheet.cell_texts if "(" in text]:
        some = partial[0].strip("()").replace("/", " of ")
        marks.append(f"{partial[0]}: the mean of the {some} runs that did not diverge")
    if _DIVERGED in sheet.cell_texts:
        marks.append(f"{_DIVERGED}, hatched: all runs diverged")
    if len(sheet.cell_texts) < len(sheet.rows) * len(sheet.columns):
        marks.append("no cell: not tried")
    scale = []
    if sheet.shades and sheet.shades.below:
        low = f"{sheet.shades.low:.1f}"
        scale.append(
            f"white: below {low}, the lowest within {_REACH:g} points of the best; there the "
            "numbers alone tell how far"
        )
    return ["; ".join(marks), *scale]


def height(comparison: Comparison, width: float) -> float:
    """Return the height of the plot with its key, in inches."""
    if comparison.tuning is None:
        return layout.bare_height(_NOTHING, width)
    sheet = _Sheet(comparison.tuning, width)
    tiers = sum(sheet.head_height(tier) + sheet.rows_height + 2 * _GAP for tier in sheet.tiers)
    keys = 2.2 * layout.LINE + _PAD
    return tiers + keys + 0.15 + layout.LINE * len(layout.noted(_notes(sheet), width))


def words(comparison: Comparison) -> str:
    """Return what every network did with every value, and which was chosen."""
    if comparison.tuning is None:
        return _NOTHING
    sheet = _Sheet(comparison.tuning, layout.WIDE)
    keys = listed([short_key(key) for key in comparison.tuned])
    said = [f"Tuning over {keys}: {_measured(sheet)}."]
    for row in sheet.rows:
        said.append(f"{row.candidates.name}: {'; '.join(_course(row.candidates))}.")
    return " ".join(said)


def _course(one: Candidates) -> Iterator[str]:
    best = one.values(one.best)
    for experiment in one.experiments:
        values, told = one.values(experiment), _told(one.judged(experiment))
        how = "diverged" if told == _DIVERGED else told
        chosen = ", chosen" if values == best else ""
        yield f"{', '.join(map(setting_value, values.values()))}: {how}{chosen}"
