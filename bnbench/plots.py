"""A comparison as plots: learning curves, paired differences and where the parameters are.

Nothing is told by colour alone, and text from outside is shown as it is.
"""

import hashlib
import io
import logging
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np

from bnbench import tables
from bnbench.comparison import Comparison, Experiment, ExperimentContrast
from bnbench.errors import EnvironmentFault, InputError
from bnbench.records import RunRecord, write_atomically, write_text
from bnbench.sentences import title
from bnbench.stats import Array, mean_interval
from bnbench.text import count, percent, points, seconds, visible

# What it logs of its caches and folders would otherwise reach the terminal.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())
try:
    from matplotlib import style
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.textpath import text_to_path
    from matplotlib.ticker import FixedLocator, MaxNLocator, StrMethodFormatter
except ModuleNotFoundError as error:
    raise EnvironmentFault("plots need matplotlib: pip install 'bnbench[plot]'") from error

_HEADINGS = {
    "curves": "Learning curves: means over seeds with 95 % bands, single seeds thin",
    "differences": "Paired differences: means over seeds with 95 % intervals",
    "parameters": "Parameters: with the kernels and, on a scale of its own, without",
}
KINDS = tuple(_HEADINGS)
ENDINGS = (".png", ".svg", ".pdf")
_WIDTH = 10.0  # inches, as are all lengths here but the sizes of letters, which are in points
_LINE = 0.18
_EDGE = 0.1
_HEAD = 0.4
_FOOT = 0.6
_LETTERS = 9.0
_NAME = 2.2
_STYLE: list[Any] = [
    "default",  # not what the user's matplotlibrc says
    {
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.unicode_minus": False,  # as in the tables
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana"],
        "font.size": _LETTERS,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.handlelength": 4.5,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "svg.fonttype": "none",
        "svg.hashsalt": "bnbench",
        "text.parse_math": False,
    },
]
_COLORS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "X", "P", "p", "*", "<", "h")
_Look = dict[str, Any]
_Roles = Sequence[tuple[str, _Look]]
_ROLES: _Roles = tuple(  # those that are not trained are hatched
    (role, {"facecolor": fill, "hatch": hatch, "edgecolor": "black", "linewidth": 0.6})
    for role, fill, hatch in (
        ("kernel", "#e6e6e6", ""),
        ("bias", "#000000", ""),
        ("gamma", "#0072b2", ""),
        ("beta", "#56b4e9", ""),
        ("moving_mean", "#ffffff", "/////"),
        ("moving_variance", "#f6c9a8", "xxxxx"),
    )
)
_SEED: _Look = {"linewidth": 0.6, "alpha": 0.3, "marker": "", "label": "", "zorder": 1}
_BROKEN_OFF: _Look = {"color": "black", "linestyle": "", "marker": "x", "clip_on": False}
_FAMILY = "; font-family: 'DejaVu Sans', 'Verdana', sans-serif"
_UNSEEN = re.compile(  # in the tags of an SVG
    r' *\n *|(?<=\d\.\d)\d+|(?<=[ML]) | id="[\w.]+_\d+"| transform="rotate\(-0 [^"]*"'
)
_MARKERS_ALIKE = re.compile(r'<g([^>]*)>(<use[^>]*( style="[^"]*")/>(?:<use[^>]*\3/>)*)</g>')
_BESIDE = ((92, "right"), (138, "center"), (182, "left"))  # points from the axes, and alignment
_ALONE = "There is nothing to hold the one experiment against, so there are no differences."


def figure(comparison: Comparison, kinds: Sequence[str] = KINDS) -> Figure:
    """Return the plots of these kinds one below the other, ten inches wide.

    Its label is their alternative text. Raises `InputError` for a kind that is not in ``KINDS``.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"no plot named {visible(kind)}; there are: {', '.join(KINDS)}")
    with style.context(_STYLE):
        protocol = _wrapped(title(comparison), _WIDTH - 0.4)
        heights = [_PLOTS[kind].height(comparison) for kind in kinds]
        heights.insert(0, 0.1 + _LINE * _lines(protocol))
        whole = Figure((_WIDTH, sum(heights)))
        stack = whole.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)
        head, *parts = stack.flat
        head.text(_EDGE / _WIDTH, 0.5, protocol, va="center")
        for part, kind in zip(parts, kinds, strict=True):
            _write_head(part, _HEADINGS[kind])
            _PLOTS[kind].draw(part, comparison)
        whole.set_label("\n".join(alternative_text(comparison, kind) for kind in kinds))
    return whole


def check_ending(path: Path) -> None:
    """Raise `InputError` unless a plot can be written under this name."""
    if path.suffix.lower() not in ENDINGS:
        expected = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        raise InputError(f"{visible(path)}: expected a name that ends in {expected}")


def write(figure: Figure, path: Path) -> None:
    """Put the figure at ``path``, in the format that its ending names, without a date in it.

    Raises `InputError` for another ending and `EnvironmentFault` where it cannot be written.
    """
    check_ending(path)
    ending = path.suffix.lower()
    if ending == ".svg":
        write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{to_svg(figure)}\n')
        return
    known = {"CreationDate": None} if ending == ".pdf" else {"Description": figure.get_label()}
    dpi = min(150, 60_000 / figure.get_figheight())  # an image has at most 65,535 rows
    with style.context(_STYLE):
        write_atomically(path, lambda file: figure.savefig(file, dpi=dpi, metadata=known))


def to_svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element that can stand in an HTML page among others.

    Its text stays text, and the figure's label is what a screen reader says.
    """
    drawn = io.StringIO()
    with style.context(_STYLE):
        unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", metadata=unsaid)
    text = drawn.getvalue()
    prefix = "b" + hashlib.sha256(text.encode()).hexdigest()[:7]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text[text.index("<svg ") :])
    text = re.sub(r"\s*(<[^>]*>)\s*", lambda tag: _own(tag[1], prefix), text)
    text = _MARKERS_ALIKE.sub(lambda g: f"<g{g[1]}{g[3]}>{g[2].replace(g[3], '')}</g>", text)
    spoken = quoteattr(str(figure.get_label()))
    ours = f'<svg role="img" aria-label={spoken} style="stroke-linejoin: round{_FAMILY}"'
    return text.replace("<svg", ours, 1)


def _own(tag: str, prefix: str) -> str:
    """Make ids the figure's own, and drop what no reader sees, such as hundredths of a point."""
    tag = _UNSEEN.sub("", tag.replace(_FAMILY, ""))
    return re.sub(r'( id="|href="#|url\(#)', rf"\1{prefix}", tag)


def alternative_text(comparison: Comparison, kind: str) -> str:
    """Return in words what the plot of this kind shows, with its numbers."""
    return visible(_PLOTS[kind].words(comparison))


def _completed(experiment: Experiment) -> list[RunRecord]:
    return [record for record in experiment.records.values() if record.completed]


def _broken_off(experiment: Experiment) -> list[RunRecord]:
    """Return the runs that diverged after an epoch or more."""
    records = experiment.records.values()
    return [record for record in records if not record.completed and record.history.loss]


def _longest(comparison: Comparison) -> int:
    """Return the largest number of epochs that a run got through."""
    return max(len(r.history.loss) for e in comparison.experiments for r in e.records.values())


def _table(records: Sequence[RunRecord], name: str) -> Array:
    """Return what `_series` says of every record (epochs, records), as far as all of them go."""
    return np.array(list(zip(*(_series(record, name) for record in records), strict=False)))


def _series(record: RunRecord, name: str) -> Array:
    history = record.history
    if name == "epoch":
        return np.arange(1.0, len(history.loss) + 1)
    if name == "seconds":
        return np.cumsum(history.epoch_seconds)
    if name == "val_accuracy":
        return 100 * np.array(history.val_accuracy)
    return np.clip(history.loss, -1e38, 1e38)  # no float32 is larger


def _counted(experiment: Experiment) -> str:
    total = f"/{len(experiment.records)}" if experiment.diverged else ""
    return f"{experiment.label} (n = {len(experiment.values)}{total})"


def _look(comparison: Comparison, label: str) -> _Look:
    place = [experiment.label for experiment in comparison.experiments].index(label)
    return {
        "color": _COLORS[place % len(_COLORS)],
        "label": label,
        "linestyle": _DASHES[place % len(_DASHES)],
        "marker": _MARKERS[place % len(_MARKERS)],
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
        "zorder": 3,
    }


def _write_head(part: SubFigure, text: str) -> None:
    part.text(_EDGE / _WIDTH, 1 - 0.1 / _height(part), text, size="large", weight="bold", va="top")


def _set_margins(part: SubFigure, left: float, right: float, bottom: float, gap: float) -> None:
    height = _height(part)
    part.subplots_adjust(
        left=left / _WIDTH,
        right=1 - right / _WIDTH,
        bottom=bottom / height,
        top=1 - _HEAD / height,
        wspace=2 * gap / (_WIDTH - left - right - gap),  # a share of the width of one of two
        hspace=0.06,
    )


def _height(part: SubFigure) -> float:
    return float(part.bbox.height / part.dpi)


def _draw_curves(part: SubFigure, comparison: Comparison) -> None:
    epochs = _longest(comparison)
    if not epochs:
        part.text(0.01, 0.2, "No run got through an epoch, so there are no curves.")
        return
    grid = part.subplots(2, 2, sharex="col", sharey="row")
    for row, name in zip(grid, ("val_accuracy", "loss"), strict=True):
        for axes, time in zip(row, ("epoch", "seconds"), strict=True):
            _draw_panel(axes, comparison, time, name)
    grid[0, 0].set_ylabel("validation accuracy [%]")
    grid[1, 0].set_ylabel("training loss [nats]")
    grid[1, 0].set_xlabel("epoch")
    grid[1, 0].xaxis.set_major_locator(
        MaxNLocator(integer=True) if epochs > 1 else FixedLocator([1])
    )
    unlike = any(ratio.refused for ratio in comparison.ratios.values())
    grid[1, 1].set_xlabel("training time [s]" + " (measured under unlike conditions)" * unlike)
    grid[1, 1].set_xlim(left=0)
    keys = _curve_keys(comparison)
    columns, height = _key_layout(keys)
    part.legend(handles=keys, loc="lower left", ncols=columns)
    _set_margins(part, 0.75, 0.3, 0.5 + height, gap=0.25)


def _draw_panel(axes: Axes, comparison: Comparison, time: str, name: str) -> None:
    experiments = comparison.experiments
    aside = np.zeros(len(experiments))
    if time == "epoch" and _longest(comparison) == 1:  # all points would be at one place
        aside = (np.arange(len(aside)) - (len(aside) - 1) / 2) / len(aside)
    for place, experiment in enumerate(experiments):
        if completed := _completed(experiment):
            at, values = _table(completed, time) + aside[place], _table(completed, name)
            look = _look(comparison, experiment.label)
            if time == "epoch":
                _draw_seeds(axes, at, values, look["color"])
            step = -(-len(at) // 5)  # markers at the same epochs would hide each other
            _draw_mean(axes, at.mean(axis=1), values, look | {"markevery": (place % step, step)})
    if any(experiment.values for experiment in experiments):
        axes.set_ylim(axes.get_ylim())  # not what a loss about to become infinite makes of it
    for place, experiment in enumerate(experiments):
        for record in _broken_off(experiment):
            look = _look(comparison, experiment.label)
            _draw_broken_off(
                axes, _series(record, time) + aside[place], _series(record, name), look
            )


def _draw_seeds(axes: Axes, at: Array, values: Array, color: str) -> None:
    """Draw one line with gaps, which takes less room in a file than one for each seed."""
    x, y = (np.pad(v, ((0, 1), (0, 0)), constant_values=np.nan).T.ravel() for v in (at, values))
    axes.plot(x, y, **_SEED | {"color": color, "marker": "." if len(at) == 1 else ""})


def _draw_mean(axes: Axes, at: Array, values: Array, look: _Look) -> None:
    if values.shape[1] > 1:
        low, high = mean_interval(values)
        width = 3 if len(at) == 1 else 0
        axes.fill_between(at, low, high, color=look["color"], alpha=0.2, linewidth=width)
    axes.plot(at, values.mean(axis=1), **look)


def _draw_broken_off(axes: Axes, at: Array, values: Array, look: _Look) -> None:
    axes.plot(at, values, **look | _SEED | {"alpha": 0.8})
    end = values[-1] if axes.get_autoscaley_on() else np.clip(values[-1], *axes.get_ylim())
    axes.plot(at[-1], end, **_BROKEN_OFF | {"color": look["color"]})


def _curve_keys(comparison: Comparison) -> list[Line2D]:
    keys = []
    for experiment in comparison.experiments:
        label = _wrapped(_counted(experiment), _WIDTH - 1.2)
        keys.append(Line2D([], [], **_look(comparison, experiment.label) | {"label": label}))
    if any(map(_broken_off, comparison.experiments)):
        keys.append(Line2D([], [], label="diverged after this epoch", **_BROKEN_OFF))
    return keys


def _key_layout(keys: Sequence[Line2D]) -> tuple[int, float]:
    """Return in how many columns the keys fit, and the height that takes."""
    labels = [str(key.get_label()) for key in keys]
    columns = int((_WIDTH - 2 * _EDGE) / (max(map(_width, labels)) + 1.0))
    columns = max(1, min(4, len(keys), columns))
    return columns, 0.1 + 1.1 * _LINE * -(-sum(map(_lines, labels)) // columns)


def _draw_differences(part: SubFigure, comparison: Comparison) -> None:
    if not comparison.contrasts:
        part.text(0.01, 0.2, _ALONE)
        return
    axes = part.subplots()
    margin = 100 * comparison.margin
    axes.axvspan(-margin, margin, color="#e4e4e4", linewidth=0, zorder=0)
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    rows = _contrast_rows(comparison)
    names = [name for name, _ in rows]
    at = _lay_rows(axes, names)
    _write_beside(axes, at[0], ("difference", "won-tied-lost", "verdict"))
    for y, name, (_, contrast) in zip(at, axes.get_yticklabels(), rows, strict=True):
        if contrast:
            _draw_contrast(axes, y, comparison, contrast)
        else:
            name.set_fontweight("bold")
    unclean = any(not contrast.clean for contrast in comparison.contrasts)
    widest = max(_width(_verdict(comparison, contrast)) for contrast in comparison.contrasts)
    _set_margins(part, _name_width(names), _BESIDE[-1][0] / 72 + widest + 0.3, _FOOT, gap=0)
    axes.set_xlabel(
        f"difference in {_measured(comparison)} [percentage points]; grey: margin of ±{margin:g}"
        + "\n* differs in settings other than the placement" * unclean
    )


def _measured(comparison: Comparison) -> str:
    return comparison.metric.replace("val_", "validation_").replace("_", " ")


def _contrast_rows(comparison: Comparison) -> list[tuple[str, ExperimentContrast | None]]:
    """Return the contrasts by name, under a heading for each experiment they are against."""
    rows: list[tuple[str, ExperimentContrast | None]] = []
    for baseline, contrasts in groupby(comparison.contrasts, lambda contrast: contrast.baseline):
        rows.append((f"against {baseline}", None))
        rows += ((contrast.experiment, contrast) for contrast in contrasts)
    return rows


def _draw_contrast(
    axes: Axes, y: float, comparison: Comparison, contrast: ExperimentContrast
) -> None:
    found = contrast.result
    look = _look(comparison, contrast.experiment)
    color = look["color"]
    if found.ci95:
        axes.plot(100 * np.array(found.ci95), [y, y], color=color, marker="|")
    if found.mean_difference is not None:
        look |= {"markeredgecolor": color, "markersize": 7, "linestyle": ""}
        fill = color if found.ci95 else "white"
        axes.plot(100 * found.mean_difference, y, **look | {"markerfacecolor": fill})
    outcomes = f"{found.wins}-{found.ties}-{found.losses}"
    verdict = _verdict(comparison, contrast) + ("" if contrast.clean else " *")
    _write_beside(axes, y, (_difference(contrast), outcomes, verdict))


def _difference(contrast: ExperimentContrast) -> str:
    found = contrast.result
    if found.mean_difference is None:
        return tables.NOTHING
    half = f" ± {percent((found.ci95[1] - found.ci95[0]) / 2)}" if found.ci95 else ""
    return points(found.mean_difference) + half


def _verdict(comparison: Comparison, contrast: ExperimentContrast) -> str:
    found = contrast.result
    if found.verdict:
        return found.verdict + (" (below margin)" if found.below_margin else "")
    records = {experiment.label: experiment.records for experiment in comparison.experiments}
    if not records[contrast.experiment].keys() & records[contrast.baseline].keys():
        return "no common seed"
    return f"no verdict ({count(found.pairs, 'pair')})"


def _write_beside(axes: Axes, y: float, cells: Sequence[str]) -> None:
    where = ("axes fraction", "data")
    for cell, (right, align) in zip(cells, _BESIDE, strict=True):
        axes.annotate(cell, (1, y), (right, 0), where, "offset points", ha=align, va="center")


def _draw_parameters(part: SubFigure, comparison: Comparison) -> None:
    left, right = part.subplots(1, 2, sharey=True)
    names = [experiment.label for experiment in comparison.experiments]
    at = _lay_rows(left, names)
    _draw_bars(left, at, comparison, _ROLES)
    _draw_bars(right, at, comparison, _ROLES[1:])
    left.set_xlabel("number of parameters")
    right.set_xlabel("without the kernels")
    _explain_bars(part, "trained", "lower left", _ROLES[:4])
    _explain_bars(part, "not trained", "lower right", _ROLES[4:])
    _set_margins(part, _name_width(names), 0.4, _FOOT + 0.35, gap=0.4)


def _explain_bars(part: SubFigure, title: str, place: Any, roles: _Roles) -> None:
    keys = [Patch(label=role.replace("_", " "), **look) for role, look in roles]
    part.legend(handles=keys, loc=place, title=title, alignment="left", ncols=len(keys))


def _draw_bars(axes: Axes, at: Array, comparison: Comparison, roles: _Roles) -> None:
    sizes = [experiment.newest.parameters for experiment in comparison.experiments]
    ends = np.zeros(len(at))
    for role, look in roles:
        widths = np.array([getattr(size, role) for size in sizes])
        axes.barh(at, widths, 0.19, left=ends, label=role, **look)
        ends += widths
    for end, y in zip(ends, at, strict=True):
        axes.annotate(f"{end:,.0f}", (end, y), (4, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.25 * max(1, *ends))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _lay_rows(axes: Axes, names: Sequence[str]) -> Array:
    """Give each name a row of the axes and return the rows' middles, in inches from the top."""
    heights = np.array([_row(name) for name in names])
    ends = np.cumsum(heights)
    axes.set_yticks(ends - heights / 2, [_wrapped(name, _NAME) for name in names])
    axes.set_ylim(ends[-1], 0)
    axes.grid(visible=False, axis="y")
    return ends - heights / 2


def _name_width(names: Sequence[str]) -> float:
    return _EDGE + 0.1 + max(_width(_wrapped(name, _NAME), "bold") for name in names)


def _row(name: str) -> float:
    return 0.08 + _LINE * _lines(_wrapped(name, _NAME))


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _wrapped(text: str, width: float) -> str:
    """Return the text with unseen and unknown characters escaped, in lines of about this width.

    A line ends behind a separator where there is one in its second half.
    """
    known = get_font(findfont("DejaVu Sans")).get_char_index
    shown = "".join(c if known(ord(c)) else ascii(c)[1:-1] for c in visible(text))
    if _width(shown) <= width:
        return shown
    most = max(2, int(len(shown) * width / _width(shown)))
    pattern = rf".{{1,{most}}}$|.{{{most // 2},{most - 1}}}[ _+=/-]|.{{{most}}}"
    return "\n".join(re.findall(pattern, shown))


def _width(text: str, weight: str = "normal") -> float:
    letters = FontProperties(size=_LETTERS, weight=weight)
    lines = text.split("\n")
    return max(text_to_path.get_text_width_height_descent(s, letters, False)[0] for s in lines) / 72


def _curves_in_words(comparison: Comparison) -> str:
    return " ".join(["Learning curves, means over seeds.", *map(_course, comparison.experiments)])


def _course(experiment: Experiment) -> str:
    completed = _completed(experiment)
    if not completed:
        return f"{_counted(experiment)}: no run completed."
    accuracy, loss, time = (
        _table(completed, name).mean(axis=1) for name in ("val_accuracy", "loss", "seconds")
    )
    return (
        f"{_counted(experiment)}: validation accuracy {accuracy[0]:.2f} % after epoch 1, "
        f"{accuracy[-1]:.2f} % after epoch {len(accuracy)}; training loss {loss[0]:.3f} and "
        f"{loss[-1]:.3f} nats; {seconds(time[-1])} s of training."
    )


def _differences_in_words(comparison: Comparison) -> str:
    if not comparison.contrasts:
        return _ALONE
    measured, margin = _measured(comparison), f"{100 * comparison.margin:g}"
    said = [f"Differences in {measured} in percentage points ± half the 95 % interval."]
    said.append(f"The margin is ±{margin}.")
    for contrast in comparison.contrasts:
        pair = f"{contrast.experiment} against {contrast.baseline}"
        remark = f"; {contrast.remark}" if contrast.remark else ""
        verdict = _verdict(comparison, contrast)
        said.append(f"{pair}: {_difference(contrast)}, {verdict}{remark}.")
    return " ".join(said)


def _parameters_in_words(comparison: Comparison) -> str:
    grid = tables.parameters(comparison)
    roles = [column.heading for column in grid.columns[1:]]
    said = ["Numbers of parameters."]
    for label, *sizes in grid.rows:
        said.append(f"{label}: {', '.join(map(' '.join, zip(roles, sizes, strict=True)))}.")
    return " ".join(said)


def _curves_height(comparison: Comparison) -> float:
    if not _longest(comparison):
        return 0.8
    return 5.8 + _key_layout(_curve_keys(comparison))[1]


def _differences_height(comparison: Comparison) -> float:
    rows = _contrast_rows(comparison)
    return _HEAD + _FOOT + sum(_row(name) for name, _ in rows) if rows else 0.8


def _parameters_height(comparison: Comparison) -> float:
    return (
        _HEAD + _FOOT + 0.35 + sum(_row(experiment.label) for experiment in comparison.experiments)
    )


class _Plot(NamedTuple):
    height: Callable[[Comparison], float]
    draw: Callable[[SubFigure, Comparison], None]
    words: Callable[[Comparison], str]


_PLOTS: dict[str, _Plot] = {
    "curves": _Plot(_curves_height, _draw_curves, _curves_in_words),
    "differences": _Plot(_differences_height, _draw_differences, _differences_in_words),
    "parameters": _Plot(_parameters_height, _draw_parameters, _parameters_in_words),
}
