"""Tuning: a heat map of all values that were tried, network by network; the chosen in frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple, get_args

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Rectangle

from bnbench.evidence.comparison import PLACEMENT, Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import Candidates, Tuning
from bnbench.experiments.fields import Placement
from bnbench.experiments.sweep import order_of_values, short_key, without_placement
from bnbench.show.grids import setting_value
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import Style
from bnbench.text import count, listed

HEADING = "Tuning: validation accuracy of every value that was tried; the chosen ones in frames"
_DIVERGED = "div"
_RANGE = 10.0  # percentage points below the best, where the scale of colours ends
# Neither white at one end nor too dark for black letters at the other.
_SHADES = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.12, 0.64, 256)))
_OUTLINE: Style = {"facecolor": "white", "edgecolor": "#999999", "linewidth": 0.6}
_HATCHED: Style = {**_OUTLINE, "hatch": "/////"}
_FRAME: Style = {"fill": False, "edgecolor": "black", "linewidth": 2.0}
_GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # of letters on hatching
_KEYS = 4  # shades that are explained
_ROW, _GAP, _BETWEEN = 0.28, 0.12, 0.15  # inches: a row, below a group, beside a column
_WIDEST, _GUTTER = 1.2, 0.02  # of a cell, and around it

_Values = tuple[Any, ...]  # of the settings that were swept


class _Cell(NamedTuple):
    """How a network did with these values: its mean [%], or None where all runs diverged."""

    values: _Values
    order: list[tuple[float, str]]
    seeds: int
    mean: float | None
    text: str
    chosen: bool


class _Row(NamedTuple):
    """A network with all values that it was tried with."""

    label: str
    name: str  # without the placement, so that those that differ in it alone share a name
    placement: str  # empty where it was not swept
    cells: list[_Cell]


@dataclass(frozen=True)
class _Map:
    """The rows and columns of a tuning, and how far from the left they are in inches."""

    keys: Sequence[str]
    rows: list[_Row]

    @cached_property
    def cells(self) -> list[_Cell]:
        """The cells of all rows."""
        return [cell for row in self.rows for cell in row.cells]

    @cached_property
    def columns(self) -> list[_Values]:
        """All values that any network was tried with, in their order."""
        order = {cell.values: cell.order for cell in self.cells}
        return sorted(order, key=order.__getitem__)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest mean that the colours show."""
        means = [cell.mean for cell in self.cells if cell.mean is not None] or [0.0]
        return min(mean for mean in means if mean >= max(means) - _RANGE), max(means)

    @cached_property
    def placements_left(self) -> float:
        """Where the placements begin."""
        return layout.name_width(layout.row_names(row.name for row in self.rows)) + _BETWEEN

    @cached_property
    def cells_left(self) -> float:
        """Where the cells begin."""
        widest = max(layout.text_width(row.placement) for row in self.rows)
        return self.placements_left + (widest + _BETWEEN if widest else 0.0)

    @cached_property
    def tiers(self) -> list[list[_Values]]:
        """The columns that are side by side: as many as fit, in tiers of equal numbers."""
        texts = [cell.text for cell in self.cells]
        texts += [setting_value(value) for values in self.columns for value in values]
        needed = max(layout.text_width(text, "bold") for text in texts) + 0.1
        fit = max(1, int((layout.WIDTH - self.cells_left - layout.EDGE) / needed))
        each = -(-len(self.columns) // -(-len(self.columns) // fit))
        return [self.columns[start : start + each] for start in range(0, len(self.columns), each)]

    @cached_property
    def cell_width(self) -> float:
        """The width of a cell."""
        return min(_WIDEST, (layout.WIDTH - self.cells_left - layout.EDGE) / len(self.tiers[0]))

    def fill(self, mean: float | None) -> Style:
        """Return how a cell is filled: hatched without a mean, white below the colours."""
        low, high = self.scale
        if mean is None:
            return _HATCHED
        return _OUTLINE if mean < low else {"facecolor": _SHADES(Normalize(low, high)(mean))}


def _map(tuning: Tuning) -> _Map:
    return _Map(tuning.keys, list(map(_row, sorted(tuning.candidates, key=_position))))


def _position(one: Candidates) -> tuple[Any, ...]:
    config = one.best.config
    own = [key for key in config.swept if key.startswith("model.") and key != PLACEMENT]
    placement = get_args(Placement).index(config.model.batch_norm.placement)
    return config.name, order_of_values(config, own), without_placement(one.name, config), placement


def _row(one: Candidates) -> _Row:
    name = without_placement(one.name, one.best.config)
    placement = one.best.config.model.batch_norm.placement.removesuffix("_activation")
    cells = [_cell(one, experiment) for experiment in one.experiments]
    return _Row(one.name, name, "" if name == one.name else placement, cells)


def _cell(one: Candidates, experiment: Experiment) -> _Cell:
    values, judged = one.values(experiment), one.judged(experiment)
    mean, text, total = None, _DIVERGED, len(judged.records)
    if judged.mean is not None:
        mean = judged.metric.scale * judged.mean
        text = f"{mean:.1f}" + f" ({len(judged.values)}/{total})" * bool(judged.diverged)
    order = order_of_values(experiment.config, one.keys)
    return _Cell(tuple(values.values()), order, total, mean, text, values == one.values(one.best))


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw a row of cells for each network, in tiers, above the key of the colours."""
    assert comparison.tuning  # else `figure` says that nothing was tuned
    plan = _map(comparison.tuning)
    for tier in plan.tiers:
        _draw_heads(sheet, plan, tier)
        for name, rows in groupby(plan.rows, key=lambda row: row.name):
            (lines,) = layout.row_names([name])
            bottom = sheet.top + layout.LINE * layout.line_count(lines) + 0.1
            right = plan.placements_left - _BETWEEN
            sheet.write(right, sheet.top + 0.08, lines, ha="right", va="top", weight="bold")
            for row in rows:
                _draw_row(sheet, plan, row, tier)
            sheet.top = max(sheet.top, bottom) + _GAP
        sheet.top += _GAP
    sheet.write_lines(_measured(plan))
    sheet.top += 0.05
    for column, (text, fill) in enumerate(_shades(plan)):
        _draw_cell(sheet, layout.EDGE + 0.58 * column, 0.58, text, fill)
    sheet.top += _ROW + _GAP
    for note in _notes(plan):
        sheet.write_lines(note)


def _draw_heads(sheet: Sheet, plan: _Map, tier: Sequence[_Values]) -> None:
    """Write the names of the settings, and below them their values above the columns."""
    swept = ", below it ".join(map(short_key, plan.keys))
    sheet.write(plan.cells_left + _GUTTER, sheet.top, swept, va="top")
    for values in zip(*tier, strict=True):
        sheet.top += layout.LINE
        for column, value in enumerate(map(setting_value, values)):
            left = plan.cells_left + (column + 0.5) * plan.cell_width
            sheet.write(left, sheet.top, value, ha="center", va="top")
    sheet.top += layout.LINE + 0.04


def _draw_row(sheet: Sheet, plan: _Map, row: _Row, tier: Sequence[_Values]) -> None:
    sheet.write(plan.placements_left, sheet.top + _ROW / 2, row.placement, va="center_baseline")
    for cell in row.cells:
        if cell.values in tier:
            left, fill = (
                plan.cells_left + tier.index(cell.values) * plan.cell_width,
                plan.fill(cell.mean),
            )
            _draw_cell(sheet, left, plan.cell_width, cell.text, fill, chosen=cell.chosen)
    sheet.top += _ROW


def _draw_cell(
    sheet: Sheet, left: float, width: float, text: str, fill: Style, *, chosen: bool = False
) -> None:
    corner = left + _GUTTER, sheet.top + _GUTTER
    size = width - 2 * _GUTTER, _ROW - 2 * _GUTTER
    for style in [fill, _FRAME][: 1 + chosen]:
        sheet.figure.add_artist(Rectangle(corner, *size, transform=sheet.inches, **style))
    sheet.write(
        left + width / 2, sheet.top + _ROW / 2, text, ha="center", va="center_baseline",
        weight="bold" if chosen else "normal", bbox=_GROUND if "hatch" in fill else None,
    )  # fmt: skip


def _shades(plan: _Map) -> Iterator[tuple[str, Style]]:
    """Yield the colours that are explained, with their means."""
    low, high = plan.scale
    if any(plan.fill(cell.mean) is _OUTLINE for cell in plan.cells):
        yield f"< {low:.1f}", _OUTLINE
    for mean in np.unique(np.linspace(low, high, _KEYS)) if high else ():
        yield f"{mean:.1f}", plan.fill(mean)


def _measured(plan: _Map) -> str:
    few, many = (end(cell.seeds for cell in plan.cells) for end in (min, max))
    if many == 1:
        return "validation accuracy [%] of 1 seed each"
    seeds = count(many, "seed") if few == many else f"{few} to {many} seeds"
    return f"validation accuracy [%], means over {seeds}"


def _notes(plan: _Map) -> Iterator[str]:
    """Yield what the marks that are drawn mean."""
    texts, marks = [cell.text for cell in plan.cells], ["framed: chosen"]
    if partial := [text.split()[1] for text in texts if "(" in text]:
        some = partial[0].strip("()").replace("/", " of ")
        marks.append(f"{partial[0]}: the mean of the {some} runs that did not diverge")
    if _DIVERGED in texts:
        marks.append(f"{_DIVERGED}, hatched: all runs diverged")
    if len(texts) < len(plan.rows) * len(plan.columns):
        marks.append("no cell: not tried")
    yield "; ".join(marks)
    if any(plan.fill(cell.mean) is _OUTLINE for cell in plan.cells):
        yield f"white: below {plan.scale[0]:.1f}, the lowest within {_RANGE:g} points of the best"


def words(comparison: Comparison) -> str:
    """Return the accuracy of every network with every value, and which value was chosen."""
    assert comparison.tuning  # else `alternative_text` says that nothing was tuned
    plan = _map(comparison.tuning)
    keys = listed([short_key(key) for key in comparison.tuned])
    sentences = [f"Tuning over {keys}: {_measured(plan)}."]
    for row in plan.rows:
        sentences.append(f"{row.label}: {'; '.join(map(_in_words, row.cells))}.")
    return " ".join(sentences)


def _in_words(cell: _Cell) -> str:
    values = ", ".join(map(setting_value, cell.values))
    return f"{values}: {cell.text.replace(_DIVERGED, 'diverged')}{', chosen' * cell.chosen}"
