"""Tuning: a heat map of all values that were tried, network by network; the chosen in frames."""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, get_args

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Patch, Rectangle

from bnbench.evidence.comparison import PLACEMENT, Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.tuning import Candidates, Tuning
from bnbench.experiments.fields import Placement
from bnbench.experiments.sweep import order_of_values, short_key, without_placement
from bnbench.show.grids import setting_value
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import Style
from bnbench.text import listed

HEADING = "Tuning: validation accuracy of every value that was tried; the chosen ones in frames"
_RANGE = 10.0  # percentage points below the best, where the scale of colours ends
# Neither white at one end nor too dark for black letters at the other.
_SHADES = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.12, 0.64, 256)))
_OUTLINE: Style = {"facecolor": "white", "edgecolor": "#999999", "linewidth": 0.6}
_HATCHED: Style = {**_OUTLINE, "hatch": "/////"}
_FRAME: Style = {"fill": False, "edgecolor": "black", "linewidth": 2.0}
_GROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # of letters on hatching
_WIDEST, _HEIGHT = 1.2, 0.22  # inches: of a column, and of a cell
_ACROSS = 0.97  # of a cell, where its column is 1 across

_Values = tuple[Any, ...]  # of the settings that were swept
_Scale = tuple[float, float]  # the lowest and the highest mean [%] that the colours show


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw a row of cells for each network, in as many maps as its values need, above the keys."""
    assert comparison.tuning  # else `figure` says that nothing was tuned
    named, cells = _rows(comparison.tuning), _cells(comparison.tuning)
    headings = [place for place, (_, one) in enumerate(named) if one is None]
    rows = layout.Rows([name for name, _ in named], headings=headings)
    columns = _columns(comparison.tuning)
    texts = [*map(_text, cells), *map(setting_value, chain(*columns))]
    across, width = _fitting(texts, len(columns), layout.WIDTH - rows.left - layout.EDGE)
    for start in range(0, len(columns), across):
        shown = columns[start : start + across]
        sheet.top += layout.LINE * (1 + len(comparison.tuned))  # for names and values of settings
        axes = sheet.add_axes(rows.left, width * len(shown), rows.height)
        rows.lay(axes)
        axes.set_xlim(0, len(shown))
        heads = ["\n".join(map(setting_value, values)) for values in shown]
        axes.set_xticks(np.arange(len(shown)) + 0.5, heads)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xlabel(", below it ".join(map(short_key, comparison.tuned)), loc="left")
        axes.grid(visible=False)
        axes.set_frame_on(False)
        for y, (_, one) in zip(rows.middles, named, strict=True):
            if one:
                _draw_row(axes, y, one, shown, _scale(cells))
        sheet.top += rows.height + 0.25
    _explain(sheet, comparison.tuning)


def _rows(tuning: Tuning) -> list[tuple[str, Candidates | None]]:
    """Return the networks, those that differ in the placement alone under a heading."""
    rows: list[tuple[str, Candidates | None]] = []
    for one in sorted(tuning.candidates, key=_position):
        group = without_placement(one.name, one.best.config)
        if group == one.name:
            rows.append((one.name, one))
        else:
            rows += [(group, None)] * ((group, None) not in rows)
            placement = one.best.config.model.batch_norm.placement
            rows.append((placement.removesuffix("_activation"), one))
    return rows


def _position(one: Candidates) -> tuple[Any, ...]:
    config = one.best.config
    own = [key for key in config.swept if key.startswith("model.") and key != PLACEMENT]
    placement = get_args(Placement).index(config.model.batch_norm.placement)
    return config.name, order_of_values(config, own), without_placement(one.name, config), placement


def _columns(tuning: Tuning) -> list[_Values]:
    """Return all values that any network was tried with, in their order."""
    order = {
        values: order_of_values(tried.config, tuning.keys)
        for one in tuning.candidates
        for values, tried in zip(one.grid, one.experiments, strict=True)
    }
    return sorted(order, key=order.__getitem__)


def _cells(tuning: Tuning) -> list[Experiment]:
    return [one.judged(tried) for one in tuning.candidates for tried in one.experiments]


def _scale(cells: Sequence[Experiment]) -> _Scale:
    means = [100 * cell.mean for cell in cells if cell.mean is not None] or [0.0]
    return min(mean for mean in means if mean >= max(means) - _RANGE), max(means)


def _fill(mean: float, scale: _Scale) -> Style:
    """Return how a cell is filled: white below the scale."""
    return _OUTLINE if mean < scale[0] else {"facecolor": _SHADES(Normalize(*scale)(mean))}


def _text(cell: Experiment) -> str:
    share = f" ({len(cell.values)}/{len(cell.records)})" * bool(cell.diverged)
    return "diverged" if cell.mean is None else f"{100 * cell.mean:.1f}{share}"


def _fitting(texts: Sequence[str], columns: int, available: float) -> tuple[int, float]:
    """Return how many columns are side by side, so that all texts fit, and their width."""
    needed = max(layout.text_width(text, "bold") for text in texts) + 0.1
    maps = math.ceil(columns / max(1, int(available / needed)))
    across = math.ceil(columns / maps)
    return across, min(_WIDEST, available / across)


def _draw_row(axes: Axes, y: float, one: Candidates, columns: list[_Values], scale: _Scale) -> None:
    for values, tried in zip(one.grid, one.experiments, strict=True):
        if values in columns:
            x, cell = columns.index(values) + 0.5, one.judged(tried)
            fill = _HATCHED if cell.mean is None else _fill(100 * cell.mean, scale)
            styles, weight = ([fill, _FRAME], "bold") if tried is one.best else ([fill], "normal")
            for style in styles:
                corner = (x - _ACROSS / 2, y - _HEIGHT / 2)
                axes.add_patch(Rectangle(corner, _ACROSS, _HEIGHT, clip_on=False, **style))
            letters: Style = {"weight": weight, "bbox": _GROUND if fill is _HATCHED else None}
            axes.text(x, y, _text(cell), ha="center", va="center_baseline", **letters)


def _explain(sheet: Sheet, tuning: Tuning) -> None:
    cells = _cells(tuning)
    scale = _scale(cells)
    sheet.write_lines(_measured(cells))
    sheet.top += 0.05
    if scale[1]:
        means = np.unique(np.linspace(*scale, 4))
        sheet.explain([Patch(label=f"{mean:.1f}", **_fill(mean, scale)) for mean in means])
        sheet.top += 0.1
    marks = ["framed: chosen"]
    if any(cell.values and cell.diverged for cell in cells):
        marks.append("(m/n): the mean of m of n runs, as the others diverged")
    if len({one.grid for one in tuning.candidates}) > 1:
        marks.append("no cell: not tried")
    if any(cell.mean is not None and 100 * cell.mean < scale[0] for cell in cells):
        marks.append(f"white: more than {_RANGE:g} points below the best")
    sheet.write_lines("; ".join(marks))


def _measured(cells: Sequence[Experiment]) -> str:
    seeds = [len(cell.records) for cell in cells]
    numbers = " to ".join(map(str, sorted({min(seeds), max(seeds)})))
    return f"validation accuracy [%], mean over seeds; number of seeds: {numbers}"


def words(comparison: Comparison) -> str:
    """Return the accuracy of every network with every value, and which value was chosen."""
    assert comparison.tuning  # else `alternative_text` says that nothing was tuned
    keys = listed([short_key(key) for key in comparison.tuned])
    sentences = [f"Tuning over {keys}: {_measured(_cells(comparison.tuning))}."]
    for one in sorted(comparison.tuning.candidates, key=_position):
        cells = [
            f"{', '.join(map(setting_value, values))}: {_text(one.judged(tried))}"
            + ", chosen" * (tried is one.best)
            for values, tried in zip(one.grid, one.experiments, strict=True)
        ]
        sentences.append(f"{one.name}: {'; '.join(cells)}.")
    return " ".join(sentences)
