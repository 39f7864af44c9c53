"""Tuning: a heat map of all values that were tried, network by network; the chosen in frames."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple, get_args

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Patch, Rectangle

from bnbench.evidence.comparison import PLACEMENT, Comparison
from bnbench.evidence.tuning import Candidates
from bnbench.experiments.fields import Placement
from bnbench.experiments.sweep import order_of_values, short_key, without_placement
from bnbench.show.grids import setting_value
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import Style
from bnbench.text import listed

HEADING = "Tuning: validation accuracy of every value that was tried; the chosen ones in frames"
_DIVERGED = "div"
_RANGE = 10.0  # percentage points below the best, where the scale of colours ends
# Neither white at one end nor too dark for black letters at the other.
_SHADES = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.12, 0.64, 256)))
_OUTLINE: Style = {"facecolor": "white", "edgecolor": "#999999", "linewidth": 0.6}
_HATCHED: Style = {**_OUTLINE, "hatch": "/////"}
_FRAME: Style = {"fill": False, "edgecolor": "black", "linewidth": 2.0}
_GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # of letters on hatching
_WIDEST, _HEIGHT, _GUTTER = 1.2, 0.23, 0.04  # inches: of a cell, and beside it

_Values = tuple[Any, ...]  # of the settings that were swept


class _Cell(NamedTuple):
    """How a network did with some values: its mean [%], or None where all runs diverged."""

    seeds: int
    mean: float | None
    text: str
    chosen: bool


class _Row(NamedTuple):
    """A network with all values that it was tried with."""

    label: str
    group: str  # the label without the placement, or empty where no placement was swept
    placement: str
    cells: dict[_Values, _Cell]


class _Map(NamedTuple):
    """What is drawn; the colours show means from ``low`` to ``high``."""

    rows: list[_Row]
    columns: list[_Values]
    cells: list[_Cell]
    low: float
    high: float

    def fill(self, mean: float | None) -> Style:
        """Return how a cell is filled: hatched without a mean, white below the colours."""
        if mean is None:
            return _HATCHED
        if mean < self.low:
            return _OUTLINE
        return {"facecolor": _SHADES(Normalize(self.low, self.high)(mean))}


def _map(comparison: Comparison) -> _Map:
    assert comparison.tuning  # else nothing is drawn
    rows = list(map(_row, sorted(comparison.tuning.candidates, key=_position)))
    order = {
        tuple(one.values(tried).values()): order_of_values(tried.config, one.keys)
        for one in comparison.tuning.candidates
        for tried in one.experiments
    }
    cells = [cell for row in rows for cell in row.cells.values()]
    means = [cell.mean for cell in cells if cell.mean is not None] or [0.0]
    low = min(mean for mean in means if mean >= max(means) - _RANGE)
    return _Map(rows, sorted(order, key=order.__getitem__), cells, low, max(means))


def _position(one: Candidates) -> tuple[Any, ...]:
    config = one.best.config
    own = [key for key in config.swept if key.startswith("model.") and key != PLACEMENT]
    placement = get_args(Placement).index(config.model.batch_norm.placement)
    return config.name, order_of_values(config, own), without_placement(one.name, config), placement


def _row(one: Candidates) -> _Row:
    config = one.best.config
    group = without_placement(one.name, config)
    placement = config.model.batch_norm.placement.removesuffix("_activation")
    cells = {}
    for tried in one.experiments:
        judged, mean, text = one.judged(tried), None, _DIVERGED
        total = len(judged.records)
        if judged.mean is not None:
            mean = judged.metric.scale * judged.mean
            text = f"{mean:.1f}" + f" ({len(judged.values)}/{total})" * bool(judged.diverged)
        chosen = one.values(tried) == one.values(one.best)
        cells[tuple(one.values(tried).values())] = _Cell(total, mean, text, chosen)
    return _Row(one.name, "" if group == one.name else group, placement, cells)


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw a row of cells for each network, in as many maps as its values need, above the keys."""
    plan = _map(comparison)
    named: list[tuple[str, _Row | None]] = []  # rows, and headings of those that belong together
    for group, members in groupby(plan.rows, lambda row: row.group):
        named += [(group, None)] * bool(group)
        named += [(row.placement if group else row.label, row) for row in members]
    headings = [place for place, (_, row) in enumerate(named) if row is None]
    rows = layout.Rows([name for name, _ in named], headings=headings)
    across, width = _columns(plan, layout.WIDTH - rows.left - layout.EDGE)
    for start in range(0, len(plan.columns), across):
        columns = plan.columns[start : start + across]
        sheet.top += layout.LINE * (1 + len(comparison.tuned)) + 0.1
        axes = sheet.add_axes(rows.left, width * len(columns), rows.height)
        rows.lay(axes)
        _write_head(axes, ", below it ".join(map(short_key, comparison.tuned)), columns)
        for y, (_, row) in zip(rows.middles, named, strict=True):
            for place, values in enumerate(columns):
                if row and values in row.cells:
                    cell = row.cells[values]
                    _draw_cell(axes, (place + 0.5, y), width, cell, plan.fill(cell.mean))
        sheet.top += rows.height + 0.25
    _explain(sheet, plan)


def _columns(plan: _Map, available: float) -> tuple[int, float]:
    """Return how many columns are side by side, so that all texts fit, and their width."""
    texts = [setting_value(value) for values in plan.columns for value in values]
    texts += [cell.text for cell in plan.cells]
    needed = max(layout.text_width(text, "bold") for text in texts) + 0.1
    maps = math.ceil(len(plan.columns) / max(1, int(available / needed)))
    across = math.ceil(len(plan.columns) / maps)
    return across, min(_WIDEST, available / across)


def _write_head(axes: Axes, keys: str, columns: Sequence[_Values]) -> None:
    """Write the names of the settings above their values, and the values above the columns."""
    axes.set_xlim(0, len(columns))
    heads = ["\n".join(map(setting_value, values)) for values in columns]
    axes.set_xticks(np.arange(len(columns)) + 0.5, heads)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(keys, loc="left")
    axes.grid(visible=False)
    axes.set_frame_on(False)


def _draw_cell(
    axes: Axes, middle: tuple[float, float], width: float, cell: _Cell, fill: Style
) -> None:
    (x, y), across = middle, 1 - _GUTTER / width
    for style in [fill, _FRAME][: 1 + cell.chosen]:
        corner = (x - across / 2, y - _HEIGHT / 2)
        axes.add_patch(Rectangle(corner, across, _HEIGHT, clip_on=False, **style))
    weight, ground = "bold" if cell.chosen else "normal", _GROUND if "hatch" in fill else None
    axes.text(x, y, cell.text, ha="center", va="center_baseline", weight=weight, bbox=ground)


def _explain(sheet: Sheet, plan: _Map) -> None:
    """Explain the colours and the marks that are drawn."""
    sheet.write_lines(_measured(plan))
    sheet.top += 0.05
    white = any(plan.fill(cell.mean) is _OUTLINE for cell in plan.cells)
    means = np.unique(np.linspace(plan.low, plan.high, 4))
    keys = [Patch(label=f"{mean:.1f}", **plan.fill(mean)) for mean in means if mean]
    sheet.explain([Patch(label=f"< {plan.low:.1f}", **_OUTLINE)] * white + keys)
    sheet.top += 0.1
    texts, marks = [cell.text for cell in plan.cells], ["framed: chosen"]
    if any("(" in text for text in texts):
        marks.append("(m/n): the mean of m of n runs, as the others diverged")
    if _DIVERGED in texts:
        marks.append(f"{_DIVERGED}, hatched: all runs diverged")
    if len(texts) < len(plan.rows) * len(plan.columns):
        marks.append("no cell: not tried")
    if white:
        marks.append(f"white: more than {_RANGE:g} points below the best")
    sheet.write_lines("; ".join(marks))


def _measured(plan: _Map) -> str:
    seeds = [cell.seeds for cell in plan.cells]
    numbers = " to ".join(map(str, sorted({min(seeds), max(seeds)})))
    return f"validation accuracy [%], mean over the seeds; seeds: {numbers}"


def words(comparison: Comparison) -> str:
    """Return the accuracy of every network with every value, and which value was chosen."""
    plan = _map(comparison)
    keys = listed([short_key(key) for key in comparison.tuned])
    sentences = [f"Tuning over {keys}: {_measured(plan)}."]
    for row in plan.rows:
        cells = (
            f"{', '.join(map(setting_value, values))}: {cell.text.replace(_DIVERGED, 'diverged')}"
            + ", chosen" * cell.chosen
            for values, cell in row.cells.items()
        )
        sentences.append(f"{row.label}: {'; '.join(cells)}.")
    return " ".join(sentences)
