"""Learning curves: validation accuracy and training loss by epoch and by time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.records import RunRecord
from bnbench.evidence.stats import Array, mean_interval
from bnbench.show.plots import layout
from bnbench.show.plots.style import Style, style_of
from bnbench.text import seconds

_NOTHING = "No run got through an epoch, so there are no curves."
_MEASURED = {"val_accuracy": "validation accuracy [%]", "loss": "training loss [nats]"}
_LEFT, _RIGHT, _BESIDE = 0.75, 0.3, 0.25  # inches around the panels
_BETWEEN, _BELOW = 0.14, 0.5
HEADING = "Learning curves: means over seeds with 95 % bands, single seeds thin"
_SEED: Style = {"linewidth": 0.6, "alpha": 0.3, "marker": "", "label": "", "zorder": 1}
_BROKEN_OFF: Style = {"color": "black", "linestyle": "", "marker": "x", "clip_on": False}


def draw(part: SubFigure, comparison: Comparison) -> None:
    """Draw accuracy above loss, by epoch and by time, above the keys."""
    epochs = _longest(comparison)
    if not epochs:
        layout.write_notes(part, [_NOTHING])
        return
    panels = _panels(part)
    for (time, name), axes in panels.items():
        _draw_panel(axes, comparison, time, name)
    by_epoch, by_time = panels["epoch", "loss"], panels["seconds", "loss"]
    by_epoch.set_xlabel("epoch")
    by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True) if epochs > 1 else FixedLocator([1]))
    by_time.set_xlabel(_time_label(comparison, layout.width_of(part)))
    by_time.set_xlim(left=0)
    keys = _keys(comparison, layout.width_of(part))
    columns, _ = _key_layout(keys, layout.width_of(part))
    part.legend(handles=keys, loc="lower left", ncols=columns)


def _panels(part: SubFigure) -> dict[tuple[str, str], Axes]:
    """Return the panels by time and name: those of seconds beside or, in a narrow plot, below."""
    width = layout.width_of(part)
    height = _panel_height(width)
    across, places = layout.two_panels(
        width, left=_LEFT, right=_RIGHT, between=_BESIDE, height=_pair_height(width)
    )
    panels: dict[tuple[str, str], Axes] = {}
    for time, (left, top) in zip(("epoch", "seconds"), places, strict=True):
        above, leftmost = None, left == _LEFT
        for place, (name, measured) in enumerate(_MEASURED.items()):
            y, like = top + place * (height + _BETWEEN), panels.get(("epoch", name))
            axes = layout.add_axes(part, left, y, across, height, sharex=above, sharey=like)
            axes.tick_params(labelbottom=place == 1, labelleft=leftmost)
            if leftmost:
                axes.set_ylabel(measured)
            panels[time, name] = above = axes
    return panels


def _panel_height(width: float) -> float:
    return 1.7 if layout.narrow(width) else 2.38


def _pair_height(width: float) -> float:
    return 2 * _panel_height(width) + _BETWEEN + _BELOW


def _time_label(comparison: Comparison, width: float) -> str:
    mismatch = any(ratio.mismatch for ratio in comparison.ratios.values())
    label = "training time [s]" + " (measured under different conditions)" * mismatch
    return layout.wrapped(label, width - _LEFT - _RIGHT)


def _draw_panel(axes: Axes, comparison: Comparison, time: str, name: str) -> None:
    experiments = comparison.experiments
    aside = np.zeros(len(experiments))
    if time == "epoch" and _longest(comparison) == 1:  # all points would be at one place
        aside = (np.arange(len(aside)) - (len(aside) - 1) / 2) / len(aside)
    for place, experiment in enumerate(experiments):
        if completed := _completed(experiment):
            at, values = _table(completed, time) + aside[place], _table(completed, name)
            style = style_of(comparison, experiment)
            if time == "epoch":
                _draw_seeds(axes, at, values, style["color"])
            step = -(-len(at) // 5)  # markers at the same epochs would hide each other
            _draw_mean(axes, at.mean(axis=1), values, style | {"markevery": (place % step, step)})
    if any(experiment.values for experiment in experiments):
        axes.set_ylim(axes.get_ylim())  # not what a loss about to become infinite makes of it
    for place, experiment in enumerate(experiments):
        for record in _broken_off(experiment):
            at = _series(record, time) + aside[place]
            style = style_of(comparison, experiment)
            _draw_broken_off(axes, at, _series(record, name), style)


def _draw_seeds(axes: Axes, at: Array, values: Array, color: str) -> None:
    """Draw one line with gaps, which takes less room in a file than one for each seed."""
    x, y = (np.pad(v, ((0, 1), (0, 0)), constant_values=np.nan).T.ravel() for v in (at, values))
    axes.plot(x, y, **_SEED | {"color": color, "marker": "." if len(at) == 1 else ""})


def _draw_mean(axes: Axes, at: Array, values: Array, style: Style) -> None:
    if values.shape[1] > 1:
        low, high = mean_interval(values)
        width = 3 if len(at) == 1 else 0
        axes.fill_between(at, low, high, color=style["color"], alpha=0.2, linewidth=width)
    axes.plot(at, values.mean(axis=1), **style)


def _draw_broken_off(axes: Axes, at: Array, values: Array, style: Style) -> None:
    axes.plot(at, values, **style | _SEED | {"alpha": 0.8})
    end = values[-1] if axes.get_autoscaley_on() else np.clip(values[-1], *axes.get_ylim())
    axes.plot(at[-1], end, **_BROKEN_OFF | {"color": style["color"]})


def height(comparison: Comparison, width: float) -> float:
    """Return the height of the plot with its keys, in inches."""
    if not _longest(comparison):
        return layout.bare_height(_NOTHING, width)
    _, keys = _key_layout(_keys(comparison, width), width)
    pairs = 2 if layout.narrow(width) else 1
    more = layout.line_count(_time_label(comparison, width)) - 1
    return pairs * _pair_height(width) + layout.LINE * more + keys


def _keys(comparison: Comparison, width: float) -> list[Line2D]:
    keys = []
    for experiment in comparison.experiments:
        label = layout.wrapped(_counted(experiment), width - 1.2)
        keys.append(Line2D([], [], **style_of(comparison, experiment) | {"label": label}))
    if any(map(_broken_off, comparison.experiments)):
        keys.append(Line2D([], [], label="diverged after this epoch", **_BROKEN_OFF))
    return keys


def _key_layout(keys: Sequence[Line2D], width: float) -> tuple[int, float]:
    """Return in how many columns the keys fit, and the height that takes."""
    labels = [str(key.get_label()) for key in keys]
    columns = int((width - 2 * layout.EDGE) / (max(map(layout.text_width, labels)) + 1.0))
    columns = max(1, min(4, len(keys), columns))
    return columns, 0.1 + 1.1 * layout.LINE * -(-sum(map(layout.line_count, labels)) // columns)


def words(comparison: Comparison) -> str:
    """Return where each experiment's means begin and end."""
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


def _counted(experiment: Experiment) -> str:
    total = f"/{len(experiment.records)}" if experiment.diverged else ""
    return f"{experiment.label} (n = {len(experiment.values)}{total})"


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
