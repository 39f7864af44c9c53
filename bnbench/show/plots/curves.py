"""Learning curves: validation accuracy and training loss by epoch and by time."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.records import RunRecord
from bnbench.evidence.stats import Array, mean_interval
from bnbench.show.plots import layout
from bnbench.show.plots.layout import Sheet
from bnbench.show.plots.style import Style, style_of
from bnbench.text import seconds

HEADING = "Learning curves: means over seeds with 95 % intervals; each seed as a thin line"
_MEASURED = {"val_accuracy": "validation accuracy [%]", "loss": "training loss [nats]"}
_LEFT, _WIDTH, _HEIGHT, _BESIDE, _BETWEEN = 0.75, 4.35, 2.38, 0.25, 0.14  # inches
_SEED: Style = {"linewidth": 0.6, "alpha": 0.3, "marker": "", "label": "", "zorder": 1}
_BROKEN_OFF: Style = {"color": "black", "linestyle": "", "marker": "x", "clip_on": False}


def draw(sheet: Sheet, comparison: Comparison) -> None:
    """Draw accuracy above loss, by epoch and by time, above the keys."""
    panels = _panels(sheet)
    for (time, name), axes in panels.items():
        _draw_panel(axes, comparison, time, name)
    by_epoch, by_time = panels["epoch", "loss"], panels["seconds", "loss"]
    by_epoch.set_xlabel("epoch")
    several = longest(comparison) > 1
    by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True) if several else FixedLocator([1]))
    mismatch = any(ratio.mismatch for ratio in comparison.ratios.values())
    by_time.set_xlabel("training time [s]" + " (measured under different conditions)" * mismatch)
    by_time.set_xlim(left=0)
    keys = []
    for experiment in comparison.experiments:
        label = layout.wrapped(_counted(experiment), layout.WIDTH - 1.2)
        keys.append(Line2D([], [], **style_of(comparison, experiment) | {"label": label}))
    if any(map(_broken_off, comparison.experiments)):
        keys.append(Line2D([], [], label="diverged after this epoch", **_BROKEN_OFF))
    sheet.explain(keys)


def _panels(sheet: Sheet) -> dict[tuple[str, str], Axes]:
    """Return the panels by time and name; those of one column or row share their scales."""
    panels: dict[tuple[str, str], Axes] = {}
    for name, measured in _MEASURED.items():
        for time, left in (("epoch", _LEFT), ("seconds", _LEFT + _WIDTH + _BESIDE)):
            panels[time, name] = axes = sheet.add_axes(left, _WIDTH, _HEIGHT)
            axes.tick_params(labelbottom=name == "loss", labelleft=time == "epoch")
            if name == "loss":
                axes.sharex(panels[time, "val_accuracy"])
            if time == "seconds":
                axes.sharey(panels["epoch", name])
        panels["epoch", name].set_ylabel(measured)
        sheet.top += _HEIGHT + _BETWEEN
    sheet.top += 0.35
    return panels


def _draw_panel(axes: Axes, comparison: Comparison, time: str, name: str) -> None:
    many = len(comparison.experiments)
    shifts = np.zeros(many)
    if time == "epoch" and longest(comparison) == 1:  # all points would be at one place
        shifts = (np.arange(many) - (many - 1) / 2) / many
    for place, (experiment, shift) in enumerate(zip(comparison.experiments, shifts, strict=True)):
        if experiment.completed:
            at, values = _table(experiment, time) + shift, _table(experiment, name)
            style = style_of(comparison, experiment)
            if time == "epoch":
                _draw_seeds(axes, at, values, style["color"])
            step = -(-len(at) // 5)  # markers at the same epochs would hide each other
            _draw_mean(axes, at.mean(axis=1), values, style | {"markevery": (place % step, step)})
    if any(experiment.completed for experiment in comparison.experiments):
        axes.set_ylim(axes.get_ylim())  # runs that diverge shall not stretch it
    for experiment, shift in zip(comparison.experiments, shifts, strict=True):
        style = style_of(comparison, experiment)
        for record in _broken_off(experiment):
            at, values = _series(record, time) + shift, _series(record, name)
            axes.plot(at, values, **style | _SEED | {"alpha": 0.8})
            end = values[-1] if axes.get_autoscaley_on() else np.clip(values[-1], *axes.get_ylim())
            axes.plot(at[-1], end, **_BROKEN_OFF | {"color": style["color"]})


def _draw_seeds(axes: Axes, at: Array, values: Array, color: str) -> None:
    """Draw one line with gaps: it makes a smaller file than a line for each seed."""
    x, y = (np.pad(v, ((0, 1), (0, 0)), constant_values=np.nan).T.ravel() for v in (at, values))
    axes.plot(x, y, **_SEED | {"color": color, "marker": "." if len(at) == 1 else ""})


def _draw_mean(axes: Axes, at: Array, values: Array, style: Style) -> None:
    if values.shape[1] > 1:
        low, high = mean_interval(values)
        width = 3 if len(at) == 1 else 0
        axes.fill_between(at, low, high, color=style["color"], alpha=0.2, linewidth=width)
    axes.plot(at, values.mean(axis=1), **style)


def words(comparison: Comparison) -> str:
    """Return where each experiment's means begin and end."""
    sentences = ["Learning curves, means over seeds."]
    for experiment in comparison.experiments:
        course = "no run completed"
        if experiment.completed:
            accuracy, loss, time = (
                _table(experiment, name).mean(axis=1) for name in (*_MEASURED, "seconds")
            )
            course = (
                f"validation accuracy {accuracy[0]:.2f} % after epoch 1, {accuracy[-1]:.2f} % "
                f"after epoch {len(accuracy)}; training loss {loss[0]:.3f} and {loss[-1]:.3f} "
                f"nats; {seconds(time[-1])} s of training"
            )
        sentences.append(f"{_counted(experiment)}: {course}.")
    return " ".join(sentences)


def _counted(experiment: Experiment) -> str:
    total = f"/{len(experiment.records)}" if experiment.diverged else ""
    return f"{experiment.label} (n = {len(experiment.values)}{total})"


def _broken_off(experiment: Experiment) -> list[RunRecord]:
    """Return the runs that diverged after an epoch or more."""
    return [r for r in experiment.records.values() if r.history.loss and not r.completed]


def longest(comparison: Comparison) -> int:
    """Return the largest number of epochs that a run completed."""
    return max(len(r.history.loss) for e in comparison.experiments for r in e.records.values())


def _table(experiment: Experiment, name: str) -> Array:
    """Return the `_series` of the completed runs (epochs, runs), up to the shortest."""
    runs = (_series(record, name) for record in experiment.completed)
    return np.array(list(zip(*runs, strict=False)))


def _series(record: RunRecord, name: str) -> Array:
    history = record.history
    if name == "epoch":
        return np.arange(1.0, len(history.loss) + 1)
    if name == "seconds":
        return np.cumsum(history.epoch_seconds)
    if name == "val_accuracy":
        return 100 * np.array(history.val_accuracy)
    return np.clip(history.loss, -1e38, 1e38)  # no float32 is larger
