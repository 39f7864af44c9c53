"""Plots: what is drawn is what the comparison says, it can be read, and the files are sound."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from bnbench.errors import InputError  # noqa: E402
from bnbench.evidence.comparison import Comparison  # noqa: E402
from bnbench.evidence.records import History, RunRecord  # noqa: E402
from bnbench.evidence.stats import mean_interval  # noqa: E402
from bnbench.experiments.config import PlanConfig  # noqa: E402
from bnbench.show import plots  # noqa: E402
from bnbench.show.plots.style import THICK  # noqa: E402
from tests.conftest import CONFIGS, compare, record  # noqa: E402

SEVEN = (
    "no_bn",
    "controls/input_bn",
    "post_act",
    "controls/post_act_no_input",
    "pre_act",
    "controls/pre_act_no_input",
    "controls/pre_act_bias",
)
SVG = "{http://www.w3.org/2000/svg}"
LONG = "a_name_of_sixty-four_letters_that_says_all.there.is_to_say_of_no"


def run(
    config: str, seed: int, *, epochs: int = 3, diverged: bool = False, **changes: Any
) -> RunRecord:
    """Make a record whose history depends on experiment and seed and is nowhere flat."""
    rng = np.random.default_rng([seed, len(config)])
    rising = np.arange(1, epochs + 1) / (epochs + 2)
    history = History(
        loss=tuple((1.2 - rising + rng.normal(0, 0.03, epochs)).tolist()),
        accuracy=(0.8,) * epochs,
        val_loss=(0.5,) * epochs,
        val_accuracy=tuple((0.6 + 0.3 * rising + rng.normal(0, 0.01, epochs)).tolist()),
        epoch_seconds=tuple(rng.uniform(1, 1.3, epochs).tolist()),
    )
    accuracy = None if diverged else float(0.87 + 0.002 * len(config) / 9 + rng.normal(0, 0.002))
    return record(config, seed, accuracy, **{"history": history} | changes)


def of(*configs: str, seeds: int = 7, **changes: Any) -> list[RunRecord]:
    """Make the records of these configs with seeds from 0 on."""
    return [run(config, seed, **changes) for config in configs for seed in range(seeds)]


def renamed(records: list[RunRecord], **names: str) -> list[RunRecord]:
    """Give the experiments other names, also such as no config may have."""

    def under(record: RunRecord, name: str) -> RunRecord:
        config = record.config.model_copy(update={"name": name})
        return record.model_copy(update={"config": config})

    return [under(record, names[record.experiment]) for record in records]


@pytest.fixture(scope="module")
def seven() -> Comparison:
    """All seven shipped networks with ten seeds of ten epochs, all pairs compared."""
    return compare(of(*SEVEN, seeds=10, epochs=10), all_pairs=True)[0]


def axes_of(figure: Figure) -> list[Axes]:
    return figure.findobj(Axes)


def lines(axes: Axes, label: str) -> list[np.ndarray]:
    """Return the data (2, n) of the lines of this label that have a marker, so the means."""
    return [
        np.array(line.get_data())
        for line in axes.lines
        if line.get_label() == label and line.get_marker() not in {"", "None"}
    ]


def marks(axes: Axes) -> tuple[list[Line2D], list[Line2D], list[Line2D]]:
    """Return the points, the intervals for new seeds and those for new images too."""
    return (
        [line for line in axes.lines if line.get_linestyle() == "None"],
        [line for line in axes.lines if line.get_linewidth() == THICK],
        [line for line in axes.lines if line.get_marker() == "|"],
    )


def texts(figure: Figure) -> Iterator[Text]:
    """Yield every text that shows once the figure is drawn."""
    figure.draw_without_rendering()
    beyond = set()
    for axes in axes_of(figure):
        for axis, view in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks():
                if not min(view) <= tick.get_loc() <= max(view):
                    beyond |= {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in beyond:
            yield text


def written_on(figure: Figure) -> list[str]:
    return [text.get_text() for text in texts(figure)]


def test_curves_are_the_means_over_seeds_by_epoch_and_by_time(seven: Comparison) -> None:
    """Accuracy in % and loss in nats against epochs and the mean time that they took."""
    accuracy, accuracy_by_time, loss, loss_by_time = axes_of(plots.figure(seven, ["curves"]))
    for experiment in seven.experiments:
        histories = [r.history for r in experiment.records.values()]
        elapsed = np.mean([np.cumsum(h.epoch_seconds) for h in histories], axis=0)
        expected = {
            accuracy: 100 * np.mean([h.val_accuracy for h in histories], axis=0),
            loss: np.mean([h.loss for h in histories], axis=0),
        }
        for axes, by_time in ((accuracy, accuracy_by_time), (loss, loss_by_time)):
            (by_epoch,), (timed,) = lines(axes, experiment.label), lines(by_time, experiment.label)
            np.testing.assert_allclose(by_epoch, [range(1, 11), expected[axes]])
            np.testing.assert_allclose(timed, [elapsed, expected[axes]])


def test_the_band_is_the_interval_of_the_mean(seven: Comparison) -> None:
    """Its corners are the 95 % t intervals over the seeds, epoch by epoch."""
    axes = axes_of(plots.figure(seven, ["curves"]))[2]
    histories = [r.history for r in seven.experiments[0].records.values()]
    low, high = mean_interval(np.transpose([h.loss for h in histories]))
    drawn = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(sorted(set(drawn)), sorted({*low, *high}))


def test_every_seed_is_drawn(seven: Comparison) -> None:
    """One line holds the seeds of an experiment, with gaps between them."""
    axes = axes_of(plots.figure(seven, ["curves"]))[2]
    seeds = np.array(axes.lines[0].get_ydata())
    expected = [v for r in seven.experiments[0].records.values() for v in r.history.loss]
    np.testing.assert_allclose(seeds[~np.isnan(seeds)], expected)
    assert np.isnan(seeds).sum() == 10


def test_a_diverged_run_is_not_in_the_mean_and_does_not_set_the_scale() -> None:
    """It is drawn as far as it goes, its end is marked, and the legend counts it."""
    wild = History(
        loss=(1.0, 3e38),
        accuracy=(0.5, 0.1),
        val_loss=(1.0, 2.0),
        val_accuracy=(0.7, 0.68),
        epoch_seconds=(1.0, 1.0),
    )
    pre_act = [run("pre_act", seed) for seed in range(6)]
    broken = [
        run("pre_act", 6, diverged=True, history=wild),
        run("pre_act", 7, diverged=True, epochs=0),
    ]
    drawn = plots.figure(compare([*pre_act, *broken, *of("no_bn")])[0], ["curves"])
    axes = axes_of(drawn)[2]
    (mean,) = lines(axes, "pre_act")
    np.testing.assert_allclose(mean[1], np.mean([r.history.loss for r in pre_act], axis=0))
    _, high = axes.get_ylim()
    assert high < 2
    (end,) = (line for line in axes.lines if line.get_marker() == "x")
    assert np.ravel(end.get_data()).tolist() == [2, high]
    assert {"pre_act (n = 6/8)", "no_bn (n = 7)", "diverged after this epoch"} <= set(
        written_on(drawn)
    )


def test_differences_are_drawn_where_the_comparison_has_them(seven: Comparison) -> None:
    """Each contrast is a point on its two intervals, with its verdict beside it."""
    drawn = plots.figure(seven, ["differences"])
    (axes,) = axes_of(drawn)
    points, thick, thin = marks(axes)
    assert len(points) == len(thick) == len(thin) == len(seven.contrasts) == 21
    for contrast, point, seeds, images in zip(seven.contrasts, points, thick, thin, strict=True):
        found = contrast.result
        assert point.get_label() == contrast.experiment.label
        assert point.get_xdata()[0] == pytest.approx(100 * found.sample.mean)
        assert seeds.get_xdata() == pytest.approx(100 * np.array(found.interval))
        assert images.get_xdata() == pytest.approx(100 * np.array(contrast.new_images.interval))
        assert len({line.get_ydata()[0] for line in (point, seeds, images)}) == 1
    (band,) = axes.patches
    assert (band.get_x(), band.get_width()) == pytest.approx((-0.3, 0.6))
    words = written_on(drawn)
    for verdict in {c.result.verdict for c in seven.contrasts}:
        shown = [word for word in words if word.startswith(verdict)]
        assert len(shown) == sum(c.result.verdict == verdict for c in seven.contrasts)
    assert any("thick: for new seeds on these images; thin: for new images too" in w for w in words)


def test_placement_alone_comes_first(seven: Comparison) -> None:
    """The pairs of before and after the activations are under a heading of their own."""
    (axes,) = axes_of(plots.figure(seven, ["differences"]))
    names = [name.get_text().replace("\n", " ") for name in axes.get_yticklabels()]
    assert names[:4] == [
        "placement alone: after minus before the activations",
        "post_act_no_input against pre_act_no_input",
        "post_act against pre_act",
        "compared with no_bn",
    ]


def test_without_a_look_there_is_no_interval() -> None:
    """The estimate is an open mark, and the first look is named; there are no looks to draw."""
    early = compare(of("no_bn", "post_act", "pre_act", seeds=9))[0]
    drawn = plots.figure(early, ["differences"])
    points, thick, thin = marks(axes_of(drawn)[0])
    assert [point.get_markerfacecolor() for point in points] == ["white"] * 3
    assert thick == thin == []
    assert {"first look at 10", "first look at 10 *"} <= set(written_on(drawn))
    assert "looks" not in plots.kinds_of(early)
    assert "There has been no look yet: the first is at 10 seeds of both sides." in written_on(
        plots.figure(early, ["looks"])
    )


def test_another_metric_says_nothing_of_new_images() -> None:
    """Where the metric is no share of test rows there is neither interval nor verdict for them."""
    balanced = compare(of("no_bn", "pre_act", seeds=10), metric="test_balanced_accuracy")[0]
    drawn = plots.figure(balanced, ["differences"])
    assert not marks(axes_of(drawn)[0])[2]
    assert not any("new images" in text for text in written_on(drawn))


def test_whether_a_verdict_holds_for_new_images_is_beside_it() -> None:
    """Every row that is decided says whether it holds or is open, under a heading."""
    far = [record("pre_act", seed, 0.9 + seed / 5000) for seed in range(10)]
    near = [record("post_act", seed, 0.8802 + seed / 9000) for seed in range(10)]
    plain = [record("no_bn", seed, 0.88 + seed / 9000) for seed in range(10)]
    comparison = compare([*plain, *far, *near])[0]
    answers = {"holds" if c.new_images.holds else "open" for c in comparison.contrasts}
    assert answers | {"new images"} <= set(written_on(plots.figure(comparison, ["differences"])))


def test_a_verdict_names_what_it_depends_on() -> None:
    """Seeds of others that it waits for, and later seeds that point elsewhere."""
    plain = [record("no_bn", seed, 0.88) for seed in range(20)]
    turned = [record("pre_act", s, 0.89 - s % 3 / 1000 - s // 10 / 50) for s in range(20)]
    drawn = plots.figure(compare([*plain, *turned])[0], ["looks"])
    assert "better at 10, not at 20" in written_on(drawn)
    gains = (0.001,) * 8 + (-0.0001, -0.0002)
    close = [record("pre_act", seed, 0.88 + gain) for seed, gain in enumerate(gains)]
    late = [record("controls/input_bn", seed, 0.88) for seed in range(3)]
    drawn = plots.figure(compare([*plain, *close, *late])[0], ["looks"])
    assert {"undecided, others first", "first look at 10"} <= set(written_on(drawn))


def test_each_look_is_drawn_where_it_was() -> None:
    """A mean on its interval for each look, a line at the one that decided, ticks for the rest."""
    better = [record("pre_act", seed, 0.9 + seed % 4 / 1000) for seed in range(23)]
    plain = [record("no_bn", seed, 0.88 + seed % 3 / 1000) for seed in range(23)]
    comparison = compare([*better, *plain])[0]
    (contrast,) = comparison.contrasts
    drawn = plots.figure(comparison, ["looks"])
    (axes,) = axes_of(drawn)
    looks = contrast.result.looks
    (means,) = lines(axes, "pre_act")
    np.testing.assert_allclose(means, [[10, 15, 20], [100 * look.sample.mean for look in looks]])
    spans = [line for line in axes.lines if line.get_linewidth() == THICK]
    for span, look in zip(spans, looks, strict=True):
        assert set(span.get_xdata()) == {look.seeds}
        assert span.get_ydata() == pytest.approx(100 * np.array(look.interval))
    (decision,) = (line for line in axes.lines if line.is_dashed())
    assert set(decision.get_xdata()) == {contrast.result.decided_at} == {10}
    assert {"pre_act against no_bn", "better at 10"} <= set(written_on(drawn))
    assert sorted(axes.get_xticks()) == [10, 15, 20, 25, 30, 35, 40]
    assert axes.get_xlim()[1] > 40


def test_looks_of_all_contrasts_have_panels_two_by_two(seven: Comparison) -> None:
    """Each says which contrast it is, at most two side by side."""
    drawn = plots.figure(seven, ["looks"])
    panels = axes_of(drawn)
    assert len(panels) == len(seven.contrasts) == 21
    assert len({round(axes.get_position().x0, 3) for axes in panels}) == 2
    names = [" ".join(axes.get_title(loc="left").split()) for axes in panels]
    assert names == [f"{c.experiment.label} against {c.baseline.label}" for c in seven.contrasts]


def test_many_looks_have_a_tick_each_and_numbers_for_some() -> None:
    """Their numbers would otherwise run into each other."""
    plan = PlanConfig(first=2, step=1, most=100)
    axes = axes_of(plots.figure(compare(of("no_bn", "pre_act"), plan=plan)[0], ["looks"]))[0]
    assert len(axes.get_xticks()) == 10
    assert len(axes.get_xticks()) + len(axes.get_xticks(minor=True)) == 99


def test_bars_are_the_counts(seven: Comparison) -> None:
    """Role by role, with the total at the end, once with and once without the kernels."""
    drawn = plots.figure(seven, ["parameters"])
    left, right = axes_of(drawn)
    for axes, roles in ((left, 6), (right, 5)):
        assert len(axes.containers) == roles
        for bars in axes.containers:
            counts = [getattr(e.newest.parameters, bars.get_label()) for e in seven.experiments]
            assert [bar.get_width() for bar in bars] == counts
    assert {"266,610", "270,946", "410", "4,746"} <= set(written_on(drawn))


def test_what_is_not_trained_is_hatched(seven: Comparison) -> None:
    """So it can be distinguished in black and white too."""
    left, _ = axes_of(plots.figure(seven, ["parameters"]))
    hatched = {bars.get_label() for bars in left.containers if bars[0].get_hatch()}
    assert hatched == {"moving_mean", "moving_variance"}


def tried(
    placement: str, rate: float, *accuracies: float | None, momentum: float = 0.0, name: str = "net"
) -> list[RunRecord]:
    """Make the records of a network at this rate, with a validation accuracy [%] for each seed."""
    swept = ["model.batch_norm.placement", "training.learning_rate", "training.momentum"]
    settings = dict(zip(swept, (placement, rate, momentum), strict=True))
    stated = [f"{key}={value}" for key, value in settings.items()]
    overrides = [f"name={name}", f"swept=[{', '.join(swept[: 3 if momentum else 2])}]", *stated]
    made = []
    for seed, accuracy in enumerate(accuracies):
        if accuracy is None:
            made.append(record("no_bn", seed, None, overrides=overrides))
            continue
        series = (0.5,)
        history = History(
            loss=series,
            accuracy=series,
            val_loss=series,
            val_accuracy=(accuracy / 100,),
            epoch_seconds=series,
        )
        made.append(record("no_bn", seed, overrides=overrides, history=history))
    return made


def tuned(*records: list[RunRecord]) -> Comparison:
    return compare(chain(*records))[0]


@pytest.fixture(scope="module")
def breaking() -> Comparison:
    """A network of which the plain one breaks at the larger rates, and BN does not."""
    return tuned(
        tried("before_activation", 0.1, 84, 85),
        tried("before_activation", 1, 88, 88.4),
        tried("after_activation", 0.1, 87, 87),
        tried("after_activation", 1, 86, 86.2),
        tried("none", 0.03, 80, 80.2),
        tried("none", 0.1, None, 60),
        tried("none", 1, None, None),
    )


def cells(figure: Figure) -> list[tuple[Text, Any, Any]]:
    """Return, for each cell, its text, its ground and its frame or None."""
    found = []
    for axes in axes_of(figure):
        frames = {patch.get_xy(): patch for patch in axes.patches if not patch.get_fill()}
        for ground in (patch for patch in axes.patches if patch.get_fill()):
            place = ground.get_center()
            (text,) = (t for t in axes.texts if np.allclose(t.get_position(), place))
            found.append((text, ground, frames.get(ground.get_xy())))
    return found


def test_every_value_that_was_tried_has_a_cell(breaking: Comparison) -> None:
    """One network has its placements together; what diverged says so, and what is chosen."""
    drawn = plots.figure(breaking, ["tuning"])
    shown = [(text.get_text(), text.get_weight()) for text, _, frame in cells(drawn)]
    assert [text for text, _ in shown] == [
        *("80.1", "60.0 (1/2)", "diverged"),
        *("87.0", "86.1"),
        *("84.5", "88.2"),
    ]
    chosen = [text.get_text() for text, _, frame in cells(drawn) if frame]
    assert (
        chosen == [text for text, weight in shown if weight == "bold"] == ["80.1", "87.0", "88.2"]
    )
    words = written_on(drawn)
    rows = ["net", "none", "after", "before"]
    order = ["learning_rate", "0.03", "0.1", "1", *rows]
    assert [word for word in words if word in order] == order
    (notes,) = (word for word in words if word.startswith("framed: chosen; "))
    assert notes == (
        "framed: chosen; (m/n): the mean of m of n runs, as the others diverged; "
        "no cell: not tried; white: more than 10 points below the best"
    )
    (axes,) = axes_of(drawn)
    bold = [name.get_text() for name in axes.get_yticklabels() if name.get_weight() == "bold"]
    assert bold == ["net"]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [
        "80.1",
        "82.8",
        "85.5",
        "88.2",
    ]


def test_a_cell_is_the_darker_the_better_and_white_where_little_was_learned(
    breaking: Comparison,
) -> None:
    """Black letters are legible on all of it, and what diverged is hatched."""
    found = {
        text.get_text(): (text, ground)
        for text, ground, _ in cells(plots.figure(breaking, ["tuning"]))
    }
    lights = {name: luminance(ground.get_facecolor()) for name, (_, ground) in found.items()}
    rising = ["80.1", "84.5", "86.1", "87.0", "88.2"]
    assert sorted(rising, key=lights.__getitem__, reverse=True) == rising
    assert lights["60.0 (1/2)"] == 1.0 > lights["80.1"]
    assert [name for name, (_, ground) in found.items() if ground.get_hatch()] == ["diverged"]
    for name, (text, _) in found.items():
        assert text.get_color() == "black"
        assert (lights[name] + 0.05) / 0.05 > 4.5


def luminance(color: Any) -> float:
    """Return how light a colour is, as the guidelines for accessible pages measure it."""
    rgb = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("name", ["net", "W" * 60])
def test_a_tuning_is_legible_however_much_was_tried(name: str) -> None:
    """Columns that do not fit beside each other go below; two swept settings have two lines."""
    runs = [
        tried(
            placement,
            rate / 1000,
            80 + rate % 9,
            *([None] * (rate % 3)),
            momentum=momentum,
            name=f"{name}{own}",
        )
        for own in range(2)
        for placement in ("none", "after_activation")
        for rate in range(1, 12)
        for momentum in (0.5, 0.9)
    ]
    drawn = plots.figure(tuned(*runs), ["tuning"])
    assert_legible(drawn)
    for text, ground, _ in cells(drawn):
        assert text.get_window_extent().width < ground.get_window_extent().width
    words = "\n".join(written_on(drawn)).split("\n")
    assert words.count("0.9") == words.count("0.5") == 11
    assert words.count("none") >= 2 * words.count("learning_rate, below it training.momentum") > 2


def test_a_tuning_of_other_names_and_of_nothing_that_trains() -> None:
    """Networks that share no name have one to a row, and where all diverged there is no scale."""
    settings = "swept=[training.learning_rate]", "training.learning_rate="
    runs = [
        record(name, 0, None, overrides=[settings[0], f"{settings[1]}{rate}"])
        for name in ("no_bn", "pre_act")
        for rate in (0.1, 0.2)
    ]
    drawn = plots.figure(compare(runs)[0], ["tuning"])
    assert_legible(drawn)
    assert [text.get_text() for text, *_ in cells(drawn)] == ["diverged"] * 4
    assert {"no_bn", "pre_act"} <= set(written_on(drawn))


def test_what_was_not_tuned_has_no_tuning(seven: Comparison, breaking: Comparison) -> None:
    """It is drawn where there is one; asked for elsewhere, the figure says why there is none."""
    assert "tuning" not in plots.kinds_of(seven)
    assert plots.kinds_of(breaking) == ("curves", "differences", "tuning", "parameters")
    assert "\nTuning over learning_rate: " in plots.figure(breaking).get_label()
    assert "Tuning" not in plots.figure(seven).get_label()
    (_, _, why) = written_on(plots.figure(seven, ["tuning"]))
    assert why == "Nothing was tuned in this comparison."


def test_a_tuning_in_words(breaking: Comparison) -> None:
    """Every network with every value that was tried of it, the chosen one named."""
    assert plots.alternative_text(breaking, "tuning") == (
        "Tuning over learning_rate: validation accuracy [%], mean over seeds; number of seeds: 2. "
        "net · none: 0.03: 80.1, chosen; 0.1: 60.0 (1/2); 1: diverged. "
        "net · after_activation: 0.1: 87.0, chosen; 1: 86.1. "
        "net · before_activation: 0.1: 84.5; 1: 88.2, chosen."
    )


def test_experiments_differ_in_more_than_colour() -> None:
    """Up to twelve differ in the marker, and neighbours in the line style too."""
    names = {f"no_bn{i}": run("no_bn", 0, overrides=[f"name=no_bn{i}"]) for i in range(11)}
    drawn = plots.figure(compare(names.values())[0], ["curves"])
    means = [line for name in names for line in axes_of(drawn)[0].lines if line.get_label() == name]
    assert len({line.get_marker() for line in means}) == 11
    thick = re.findall(
        r'clip-path[^>]*style="([^"]*stroke-width: 1.5[^"]*)"', plots.files.to_svg(drawn)
    )
    looks = [
        (re.findall(r"stroke: (#\w+)", line), re.findall(r"dasharray: ([\d.,]+)", line))
        for line in thick[: len(names)]
    ]
    assert len(looks) == 11
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in pairwise(looks))
    assert ["#f0e442"] not in [color for color, _ in looks]


@pytest.mark.parametrize(
    ("name", "all_pairs"),
    [
        ("{}", True),
        (f"{LONG[:-2]}{{:02}}+learning_rate=0.01", False),
        ("W" * 62 + "{:02}", True),
    ],
)
def test_no_text_overlaps_another_or_leaves_the_figure(
    seven: Comparison, name: str, all_pairs: bool
) -> None:
    """With seven experiments, be their names short, long or wide."""
    held = [r for e in seven.experiments for r in e.records.values()]
    if "{:02}" in name:
        labels = [e.label for e in seven.experiments]
        names = {label: name.format(number) for number, label in enumerate(labels)}
        held = renamed(held, **names)
    drawn = plots.figure(compare(held, all_pairs=all_pairs)[0])
    assert assert_legible(drawn) > 80


def assert_legible(drawn: Figure) -> int:
    """Check that no text overlaps another or leaves the figure, and return how many there are."""
    shown = list(texts(drawn))
    left, bottom, right, top = np.array([text.get_window_extent().extents for text in shown]).T
    across = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    along = np.minimum.outer(top, top) - np.maximum.outer(bottom, bottom)
    overlapping = np.argwhere(np.triu(np.minimum(across, along) >= 1, k=1))
    assert [(shown[one], shown[other]) for one, other in overlapping] == []
    outside = (left < 0) | (right > drawn.bbox.x1) | (bottom < 0) | (top > drawn.bbox.y1)
    assert [shown[place] for place in np.flatnonzero(outside)] == []
    return len(shown)


@cache
def cases() -> dict[str, list[RunRecord]]:
    """Return records that leave a plot little to show."""
    return {
        "one experiment": of("pre_act"),
        "one run": of("pre_act", seeds=1),
        "one pair": of("no_bn", "pre_act", seeds=1),
        "one epoch": of(*SEVEN, epochs=1),
        "one epoch, one seed": of(*SEVEN, epochs=1, seeds=1),
        "no common seed": [run("no_bn", 0), run("no_bn", 1), run("pre_act", 2)],
        "all diverged": of("no_bn", "pre_act", diverged=True),
        "all diverged at once": of("no_bn", "pre_act", epochs=0, diverged=True),
        "diverged but for a pair": [
            run(name, seed, diverged=seed > 0)
            for name in ("no_bn", "pre_act")
            for seed in range(10)
        ],
        "all diverged before a look": of("no_bn", "pre_act", seeds=10, diverged=True),
        "a look for some": [*of("no_bn", "pre_act", seeds=10), *of("post_act", seeds=3)],
        "no noise in a look": [
            record(name, seed) for name in ("no_bn", "pre_act") for seed in range(10)
        ],
        "no noise": [record(name, seed) for name in ("no_bn", "pre_act") for seed in range(7)],
        "runs of different lengths": [run("no_bn", 0, epochs=4), run("no_bn", 1, epochs=2)],
        "different machines": [run("no_bn", 0), run("pre_act", 0, processor="Another")],
        "no parameters but kernels": of("no_bn", overrides=["model.use_bias=false"]),
    }


@pytest.mark.parametrize("case", cases())
def test_little_data_is_drawn_without_a_warning(case: str) -> None:
    """All kinds, also those that have nothing to draw; warnings are errors here."""
    assert plots.files.to_svg(plots.figure(compare(cases()[case])[0], plots.KINDS)).startswith(
        "<svg "
    )


def test_no_margin_is_no_band() -> None:
    """A margin of zero leaves nothing to shade."""
    drawn = plots.figure(compare(of("no_bn", "pre_act"), margin=0)[0], ["differences"])
    assert axes_of(drawn)[0].patches[0].get_width() == 0


def test_what_cannot_be_compared_says_so() -> None:
    """No contrast, no common seed and no look yet are each named, and have no interval."""
    lone = compare(of("pre_act"))[0]
    for kind in ("differences", "looks"):
        alone = written_on(plots.figure(lone, [kind]))
        assert any("There is only one experiment" in text for text in alone)
    assert plots.kinds_of(lone) == ("curves", "parameters")
    unpaired = compare([*of("no_bn", "post_act", seeds=1), run("pre_act", 2)])[0]
    drawn = plots.figure(unpaired, ["differences"])
    assert {"no common seed *", "first look at 10 *"} <= set(written_on(drawn))
    (point,) = (line for line in axes_of(drawn)[0].lines if line.get_linestyle() == "None")
    assert point.get_markerfacecolor() == "white"


def test_a_single_epoch_shows_every_experiment_at_its_own_place() -> None:
    """The points of one epoch would otherwise hide each other."""
    drawn = plots.figure(compare(of(*SEVEN, epochs=1, seeds=1))[0], ["curves"])
    places = [line.get_xdata()[0] for line in axes_of(drawn)[0].lines]
    assert len(set(places)) == 7
    assert all(0.5 < place < 1.5 for place in places)
    assert "1" in written_on(drawn)


def test_names_are_shown_as_they_are() -> None:
    """Neither as formulas nor as markup; control and unknown characters as escapes."""
    names = {"no_bn": "$x_1$", "post_act": "_<script>&", "pre_act": "a\x1b[31m\u202e\u4e2d\ud800"}
    odd = compare(renamed(of(*names), **names))[0]
    expected = ["$x_1$", "_<script>&", r"a\x1b[31m\u202e\u4e2d\ud800"]
    drawn = plots.figure(odd)
    assert {f"{name} (n = 7)" for name in expected} <= set(written_on(drawn))
    svg = plots.files.to_svg(drawn)
    shown = ["".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert all(shown.count(name) >= 1 for name in expected[1:])
    assert "<script" not in svg
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", svg)


def test_the_same_comparison_gives_the_same_svg(tmp_path: Path) -> None:
    """Whatever else was drawn of the figure before, and without a date."""
    comparison = compare(of("no_bn", "pre_act", seeds=10))[0]
    first, second = plots.figure(comparison), plots.figure(comparison)
    plots.files.write(second, tmp_path / "plot.png")
    assert plots.files.to_svg(first) == plots.files.to_svg(second) == plots.files.to_svg(first)
    assert "date" not in plots.files.to_svg(first)


def test_svgs_share_a_page() -> None:
    """No id is in two of them, none refers to another's, and no style is for the whole page."""
    comparison = compare(of("no_bn", "post_act", "pre_act", seeds=10))[0]
    drawn = [plots.files.to_svg(plots.figure(comparison, [kind])) for kind in plots.KINDS]
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in drawn]
    assert len(set(chain(*ids))) == sum(map(len, ids)) > 0
    for svg, own in zip(drawn, ids, strict=True):
        ET.fromstring(svg)
        assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)) <= {
            pair for name in own for pair in ((name, ""), ("", name))
        }
        assert svg.startswith('<svg role="img" aria-label=')
        assert re.search(r' viewBox="0 0 720 [\d.]+"', svg)
        assert "<style" not in svg


def test_an_svg_is_small_and_its_text_is_text(seven: Comparison) -> None:
    """Seventy runs of ten epochs take less than 80 kB."""
    svg = plots.files.to_svg(plots.figure(seven, ["curves"]))
    assert len(svg) < 80_000
    assert "pre_act_no_input (n = 10)</text>" in svg


@pytest.mark.parametrize(
    ("ending", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml "), ("PDF", b"%PDF-1.")]
)
def test_the_ending_names_the_format(
    seven: Comparison, tmp_path: Path, ending: str, magic: bytes
) -> None:
    """Each file begins as its format does, and writing it again gives the same bytes."""
    path = tmp_path / "new" / f"plot.{ending}"
    plots.files.write(plots.figure(seven, ["parameters"]), path)
    first = path.read_bytes()
    assert first.startswith(magic)
    plots.files.write(plots.figure(seven, ["parameters"]), path)
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["plot.jpg", "plot", "svg", "plot.png.gz"])
def test_another_ending_is_refused(seven: Comparison, tmp_path: Path, name: str) -> None:
    """The three endings are named, and nothing is written."""
    with pytest.raises(InputError, match=r"ends in \.png, \.svg or \.pdf"):
        plots.files.write(plots.figure(seven, ["parameters"]), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_another_kind_is_refused(seven: Comparison) -> None:
    """The five kinds are named."""
    with pytest.raises(
        InputError, match="no plot named pie; there are: curves, differences, looks, tuning, p"
    ):
        plots.figure(seven, ["curves", "pie"])


def test_the_alternative_texts_have_the_numbers() -> None:
    """Who cannot see the plots learns what they show."""
    values = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882, 0.881, 0.882, 0.880]
    both = [record("no_bn", seed, value) for seed, value in enumerate(values)]
    both += [
        record("pre_act", seed, value + 0.01) for seed, value in enumerate([0.8801, *values[1:9]])
    ]
    comparison = compare([*both, record("pre_act", 9, None)])[0]
    curves, differences, looks, parameters = (
        plots.alternative_text(comparison, kind) for kind in plots.kinds_of(comparison)
    )
    assert (
        "pre_act (n = 9/10): validation accuracy 85.00 % after epoch 1, 85.00 % after epoch 10; "
        "training loss 0.500 and 0.500 nats; 10.0 s of training." in curves
    )
    assert differences == (
        "Differences in test accuracy in percentage points ± half the interval for new seeds. "
        "The margin is ±0.3. pre_act against no_bn: +1.00 ± 0.00, undecided, "
        "next 15; for new images from +0.77 to +1.23; "
        "not a clean comparison: also differs in model.batch_norm.input."
    )
    assert looks == (
        "Differences in test accuracy in percentage points ± half the interval at each look. "
        "The plan ends at 40 seeds; the margin is ±0.3. pre_act against no_bn: "
        "undecided, next 15; at 10 seeds +1.00 ± 0.00."
    )
    assert "pre_act: total 270,946, trainable 268,578, non-trainable 2,368, kernel" in parameters


def test_settings_of_the_user_are_neither_used_nor_changed(seven: Comparison) -> None:
    """Another font, mathematical text and a dark background stay the user's own."""
    plain = plots.files.to_svg(plots.figure(seven, ["differences"]))
    own = {"font.size": 30, "text.parse_math": True, "axes.facecolor": "black"}
    with matplotlib.rc_context(own):
        before = dict(matplotlib.rcParams)
        assert plots.files.to_svg(plots.figure(seven, ["differences"])) == plain
        assert dict(matplotlib.rcParams) == before


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(CONFIGS.parent), **environment},
        timeout=120,
    )


def test_without_matplotlib_the_extra_is_named() -> None:
    """Importing the module says what to install, as a fault of the environment."""
    done = python(
        "import sys; sys.modules['matplotlib'] = None\n"
        "from bnbench.errors import EnvironmentFault\n"
        "try:\n    import bnbench.show.plots\n"
        "except EnvironmentFault as fault:\n    print(fault, type(fault.__cause__).__name__)"
    )
    assert done.stdout == (
        "plots need matplotlib: pip install 'bnbench[plot]' ModuleNotFoundError\n"
    )


def test_without_a_home_nothing_is_printed(tmp_path: Path) -> None:
    """Matplotlib logs where it put its caches; nobody asked. No window system is loaded."""
    done = python(
        "import sys, bnbench.show.plots; print('matplotlib.pyplot' in sys.modules)",
        HOME=str(tmp_path / "file" / "home"),
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
