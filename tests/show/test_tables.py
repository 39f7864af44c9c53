"""Whole tables from hand-made records, at several widths, and the formats for programs."""

import csv
import io
import json
import re
from typing import Any

import pytest
from rich.console import Console

from bnbench.evidence.advice import Advice
from bnbench.evidence.comparison import Comparison
from bnbench.experiments.architecture import build
from bnbench.experiments.config import load_config
from bnbench.show import formats, grids
from bnbench.show.grids import Grid
from bnbench.show.page import pages
from bnbench.show.remarks import excludes_zero, remarks
from bnbench.show.sentences import answer, closing
from bnbench.show.terminal import rendered
from bnbench.text import signed
from tests.conftest import CONFIGS, compare, record, records

TEN = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882, 0.881, 0.880, 0.882]


def above(by: float) -> list[float]:
    """Ten values above `TEN`, one of them by a test row more: of equal gains no spread is known."""
    return [TEN[0] + by + 0.0001, *(value + by for value in TEN[1:])]


@pytest.fixture
def comparison() -> Comparison:
    """Three networks with ten seeds; pre_act is a point better, post_act the same but noisy."""
    return compare(
        records(
            no_bn=TEN,
            pre_act=above(0.01),
            post_act=[value + (-1) ** index * 0.004 for index, value in enumerate(TEN)],
        )
    )[0]


def shown(grid: Grid, width: int, terminal: bool = True) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, markup=False
    )
    console.print(rendered(grid, console))
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())


def test_before_or_after_of_several_networks_is_a_table(comparison: Comparison) -> None:
    """It comes first, has after minus before, and names what the verdict is about."""
    tanh = [
        record(f"tanh/{name}", seed, value)
        for name, values in (("post_act", above(0.02)), ("pre_act", TEN))
        for seed, value in enumerate(values)
    ]
    made = [r for e in comparison.experiments for r in e.records.values()]
    (both,) = compare([*made, *tanh])
    (page,) = pages([both])
    first, *_ = page.tables
    assert (
        shown(first, 160)
        == """\
Before or after the activations (after minus before, margin ±0.3 pp)
                                             after         before     difference   new images
 network                                       [%]            [%]           [pp]         [pp]   seeds   verdict               on new images
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 post_act against pre_act             88.10 ± 0.33   89.10 ± 0.09   -1.00 ± 0.41       ± 0.43      10   before better at 10   holds
 tanh_post_act against tanh_pre_act   90.10 ± 0.09   88.10 ± 0.09   +2.00 ± 0.00       ± 0.34      10   after better at 10    holds"""
    )
    assert "Before or after" not in pages([comparison])[0].tables[0].title


def test_a_baseline_with_bn_after_leaves_after_minus_before() -> None:
    """Its contrast is before minus after, and people still read after minus before."""
    better = above(0.01)
    both = [
        record(f"{folder}{name}", seed, value)
        for folder in ("", "tanh/")
        for name, values in (("post_act", better), ("pre_act", TEN))
        for seed, value in enumerate(values)
    ]
    (found,) = compare(both, baseline="post_act")
    (page,) = pages([found])
    assert [row[3:] for row in page.tables[0].rows] == [
        ("+1.00 ± 0.00", "± 0.23", "10", "after better at 10", "holds")
    ] * 2
    assert page.answer[0].startswith("After is better than before (post_act against pre_act) by")


def test_the_results_table_at_full_width(comparison: Comparison) -> None:
    """Mean with interval, difference with interval, verdict with its look, epoch time and ratio."""
    assert (
        shown(grids.results(comparison), 160)
        == """\
Results (± half the 95 % interval, for differences over all looks)
                                  test accuracy               vs no_bn                                     epoch time               ratio
 experiment   placement                     [%]   seeds           [pp]   verdict              new images          [s]           [95 % CI]
 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 no_bn        none                 88.10 ± 0.09      10              –   baseline             –                  1.00                   –
 post_act     after_activation     88.10 ± 0.33      10   +0.00 ± 0.41   undecided, next 15   –                  1.30   1.30 [1.30, 1.30]
 pre_act      before_activation    89.10 ± 0.09      10   +1.00 ± 0.00   better at 10         holds              1.30   1.30 [1.30, 1.30]"""
    )


def test_a_narrow_terminal_folds_before_it_loses(comparison: Comparison) -> None:
    """At 80 columns nearly everything is there, in two lines to a row; what is not is named."""
    assert (
        shown(grids.results(comparison), 80)
        == """\
Results (± half the 95 % interval, for differences over all looks)
 experiment          test accuracy [%]        vs no_bn [pp]      epoch time [s]
 placement                       seeds              verdict     ratio [95 % CI]
 ──────────────────────────────────────────────────────────────────────────────
 no_bn                    88.10 ± 0.09                    –                1.00
 none                               10             baseline                   –
 post_act                 88.10 ± 0.33         +0.00 ± 0.41                1.30
 after_activation                   10   undecided, next 15   1.30 [1.30, 1.30]
 pre_act                  89.10 ± 0.09         +1.00 ± 0.00                1.30
 before_activation                  10         better at 10   1.30 [1.30, 1.30]
Too narrow for: new images (all fit in 138 columns)."""
    )


def test_at_60_columns_the_difference_and_the_placement_stay(comparison: Comparison) -> None:
    """What is missing is named, with the width that shows it."""
    assert (
        shown(grids.results(comparison), 60)
        == """\
Results (± half the 95 % interval, for differences over all
looks)
 experiment          test accuracy [%]        vs no_bn [pp]
 placement                       seeds              verdict
 ──────────────────────────────────────────────────────────
 no_bn                    88.10 ± 0.09                    –
 none                               10             baseline
 post_act                 88.10 ± 0.33         +0.00 ± 0.41
 after_activation                   10   undecided, next 15
 pre_act                  89.10 ± 0.09         +1.00 ± 0.00
 before_activation                  10         better at 10
Too narrow for: new images, epoch time, ratio (all fit in
138 columns)."""
    )


def test_what_keeps_a_verdict_open_takes_a_line_on_a_narrow_terminal() -> None:
    """It is in brackets behind the verdict, and below it at 60 columns."""
    better = [value + 0.004 + (-1) ** index * 0.002 for index, value in enumerate(TEN)]
    (found,) = compare(records(no_bn=TEN, pre_act=[*better[:9], None]))
    assert "undecided, next 15 (1 and 0 diverged)" in shown(grids.contrasts(found), 200)
    narrow = shown(grids.contrasts(found), 60)
    assert "+0.42 ± 0.23   undecided, next 15\n no_bn" in narrow
    assert "(1 and 0 diverged)\n" in narrow


def test_every_role_of_parameters_fits_80_columns(comparison: Comparison) -> None:
    """Roles that belong together share a column; at 60 columns what does not fit is named."""
    page = shown(grids.parameters(comparison), 80)
    assert "moving variance" in page
    assert "Too narrow" not in page
    assert "Too narrow for: moving mean, moving variance" in shown(grids.parameters(comparison), 60)


def test_parameters_are_shown_once(comparison: Comparison) -> None:
    """A second comparison of the same networks does not show them again."""
    titles = [[grid.title for grid in page.tables] for page in pages([comparison] * 2)]
    assert ["Parameters" in one for one in titles] == [True, False]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_what_answers_never_goes(width: int) -> None:
    """Experiment, placement, accuracy, difference and verdict stay, also beside a tuned rate."""
    rates = [
        record(config, seed, accuracy, overrides=[f"training.learning_rate={rate}"])
        for config, accuracies in (("no_bn", TEN), ("pre_act", above(0.01)))
        for rate in (0.01, 0.1)
        for seed, accuracy in enumerate(accuracies)
    ]
    for found in (compare(rates, names=())[0], *compare(records(no_bn=TEN, pre_act=TEN))[:1]):
        page = shown(grids.results(found), width)
        assert all(name in page for name in ("no_bn", "pre_act", "before_activation", "baseline"))
        assert "88.10 ± 0.09" in page
        assert re.search(r"[+][01][.]00 ± 0[.]0[01]", page)
        assert re.search("better|equivalent", page)


def test_a_pipe_gets_every_column(comparison: Comparison) -> None:
    """What is not a terminal is never fitted to a width."""
    full = shown(grids.results(comparison), 160)
    assert shown(grids.results(comparison), 10_000, terminal=False) == full


def test_the_parameters_table(comparison: Comparison) -> None:
    """Total, trainable, non-trainable, and each role."""
    assert (
        shown(grids.parameters(comparison), 160)
        == """\
Parameters
 experiment     total   trainable   non-trainable    kernel   bias   gamma    beta   moving mean   moving variance
 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 no_bn        266,610     266,610               0   266,200    410       0       0             0                 0
 post_act     271,346     268,978           2,368   266,200    410   1,184   1,184         1,184             1,184
 pre_act      270,946     268,578           2,368   266,200     10   1,184   1,184         1,184             1,184"""
    )


def test_the_layers_table() -> None:
    """What `model.summary()` shows: layer, kind, output shape, parameters."""
    network = build(load_config(CONFIGS / "pre_act.yaml").model, (28, 28), 10)
    assert (
        shown(grids.layers(network), 100)
        == """\
Layers
 layer                 kind                 output shape   activation   parameters
 ─────────────────────────────────────────────────────────────────────────────────
 flatten               Flatten               (None, 784)   –                     0
 input_batch_norm      BatchNormalization    (None, 784)   –                 3,136
 hidden_1              Dense                 (None, 300)   linear          235,200
 hidden_1_batch_norm   BatchNormalization    (None, 300)   –                 1,200
 hidden_1_activation   Activation            (None, 300)   elu                   0
 hidden_2              Dense                 (None, 100)   linear           30,000
 hidden_2_batch_norm   BatchNormalization    (None, 100)   –                   400
 hidden_2_activation   Activation            (None, 100)   elu                   0
 output                Dense                  (None, 10)   softmax           1,010"""
    )


def test_a_single_seed_shows_no_interval_and_no_verdict() -> None:
    """A deviation of one value is absent, not zero."""
    (found,) = compare(records(no_bn=[0.88], pre_act=[0.89]))
    page = shown(grids.results(found), 160)
    assert "±" not in page.split("\n", 1)[1]
    assert " 89.00       1      +1.00   first look at 10 " in page
    assert answer(found) == [
        "pre_act against no_bn is undecided: +1.00 points; 1 paired seed; verdicts begin at 10 seeds."
    ]


def test_diverged_runs_are_counted() -> None:
    """Nine of ten seeds completed: 9/10."""
    (found,) = compare(records(no_bn=TEN, pre_act=[None, *TEN[1:]]))
    assert " 9/10 " in shown(grids.results(found), 160)
    assert "pre_act: 1 of 10 runs diverged; its mean is over the runs that completed" in remarks(
        found
    )


def test_the_answer_comes_first(comparison: Comparison) -> None:
    """Before or after, then what beats the baseline, then what is undecided and what would decide it."""
    assert answer(comparison) == [
        "Before is better than after by 1.00 points [0.59, 1.41], decided at 10 seeds; holds for "
        "new images too.",
        "Better than no_bn: pre_act by 1.00 points [1.00, 1.00], decided at 10 seeds; holds for "
        "new images too.",
        "post_act against no_bn is undecided: +0.00 points [-0.41, +0.41]; next look at 15 seeds "
        "(if the difference is real, 30 seeds have an 80 % chance of deciding; if it is the "
        "margin, 40 seeds have).",
    ]


def test_a_bound_just_below_zero_keeps_its_sign() -> None:
    """An interval that excludes zero does not read as if it touched it; a sum's noise is zero."""
    assert [signed(bound) for bound in (-0.002, 0.002, -1e-17)] == ["-0.00", "+0.00", "+0.00"]
    ends = (-2e-5, 2e-5, -1e-19, 1e-13)
    assert [excludes_zero((-0.1 - end, -abs(end))) for end in ends] == [True, True, False, False]


ORIGINS = [
    ("numpy", "1.26.4", "2.2.0", "different versions of NumPy: 1.26.4, 2.2.0; "),
    ("numpy", "unknown", "2.2.0", None),
    ("variables", {}, {"XLA_FLAGS": "-a"}, "different environment variables: XLA_FLAGS=-a, none; "),
]


@pytest.mark.parametrize(("field", "first", "second", "words"), ORIGINS)
def test_what_the_runs_were_made_with_is_compared(
    field: str, first: Any, second: Any, words: str | None
) -> None:
    """NumPy's version and kept variables are remarked on; what old records lack is not."""
    made = []
    for one in records(no_bn=TEN, pre_act=TEN):
        changed = {field: first if one.experiment == "no_bn" else second}
        environment = one.environment.model_copy(update=changed)
        made.append(one.model_copy(update={"environment": environment}))
    reported = [line for line in remarks(compare(made)[0]) if line.startswith("made with")]
    inexact = "that alone may make runs of one seed differ, so they are not exactly paired"
    assert reported == ([f"made with {words}{inexact}"] if words else [])


def test_the_closing_sentences(comparison: Comparison) -> None:
    """The best and its cost, and what the data cannot say."""
    assert closing(comparison, Advice(all_pairs="--all-pairs")) == [
        "pre_act has the best mean test accuracy: 89.10 % over 10 seeds, at 1.30 times the epoch "
        "time of no_bn.",
        "Intervals and verdicts are for new seeds on these 10,000 test rows, and stay right as "
        "seeds are added by the plan; each verdict says whether it holds for new images too.",
        "All of it is for this network, data set and training budget, not for others.",
    ]


def test_a_smoke_run_is_labelled() -> None:
    """On the shipped sample nothing is concluded about placements."""
    sample = ["data.dataset=fashion_mnist_sample", "data.validation_size=500"]
    (found,) = compare([record(overrides=sample), record("pre_act", overrides=sample)])
    assert found.smoke
    assert "This is a smoke run on the shipped sample" in answer(found)[0]


def test_json_carries_unrounded_numbers_under_the_documented_keys(comparison: Comparison) -> None:
    """Strict JSON with the keys of the contract, and null where there is nothing."""
    content = json.loads(formats.to_json([comparison]), parse_constant=pytest.fail)
    assert content["schema_version"] == 3
    (protocol,) = content["protocols"]
    assert (protocol["metric"], protocol["baseline"], protocol["margin"]) == (
        "test_accuracy",
        "no_bn",
        0.003,
    )
    assert set(protocol["protocol"]) == {"data", "training"}
    by_name = {e["name"]: e for e in protocol["experiments"]}
    assert by_name["pre_act"]["placement"] == "before_activation"
    assert by_name["pre_act"]["metric"]["values"]["3"] == 0.879 + 0.01
    assert by_name["pre_act"]["parameters"]["total"] == 270_946
    assert by_name["no_bn"]["epoch_seconds"]["ratio_to_baseline"] is None
    assert (protocol["plan"]["first"], protocol["plan"]["margin"]) == (10, 0.003)
    assert (protocol["tuned"], protocol["health"]) == (None, [])
    (page,) = pages([comparison])
    for key in ("answer", "remarks", "closing"):
        assert protocol[key] == list(getattr(page, key))
    settings = by_name["pre_act"]["settings"]
    assert (settings["model.batch_norm.input"], settings["model.hidden_units"]) == (
        True,
        [300, 100],
    )
    assert settings.keys() == comparison.config.settings().keys()
    placement, _, contrast = protocol["contrasts"]
    assert (placement["family"], placement["ids"]) == ("placement", ["ef2eab54", "46211196"])
    outcome = [contrast[key] for key in ("pairs", "wins", "ties", "losses", "verdict")]
    assert outcome == [10, 10, 0, 0, "better"]
    assert contrast["p_value"] == 2 / 2**10
    assert contrast["look"] == {
        "seeds": 10,
        "level": pytest.approx(0.0125),
        "next": None,
        "waiting_for": [],
    }
    assert (contrast["decided_at"], contrast["seeds_needed"], contrast["reason"]) == (
        10,
        None,
        None,
    )
    assert contrast["new_images"]["holds"] is True
    assert set(contrast["new_images"]) >= {"interval", "df", "floor", "holds"}
    assert contrast["differs_in"] == ["model.batch_norm.input", "model.batch_norm.placement"]


def test_csv_of_contrasts_has_the_verdicts(comparison: Comparison) -> None:
    """One row to a contrast, with the numbers of the JSON."""
    rows = list(csv.DictReader(io.StringIO(formats.contrasts_to_csv([comparison]))))
    contrasts = json.loads(formats.to_json([comparison]))["protocols"][0]["contrasts"]
    assert [row["experiment"] for row in rows] == [c["experiment"] for c in contrasts]
    for row, contrast in zip(rows, contrasts, strict=True):
        assert row["verdict"] == contrast["verdict"]
        assert float(row["mean_difference"]) == contrast["mean_difference"]
        assert float(row["new_images_low"]) == contrast["new_images"]["interval"][0]
        assert row["next_look"] == str(contrast["look"]["next"] or "")


def test_csv_has_one_row_for_each_run() -> None:
    """ISO dates, plain numbers, and empty cells for what a diverged run lacks."""
    found = compare(records(no_bn=[0.88, None]))
    first, second = csv.DictReader(io.StringIO(formats.to_csv(found)))
    assert first["started_at"] == "2026-11-23T10:00:00+00:00"
    assert (first["seed"], first["test_accuracy"], first["status"]) == ("0", "0.88", "completed")
    assert (second["seed"], second["test_accuracy"], second["status"]) == ("1", "", "diverged")


def test_markdown_and_latex_hold_the_same_cells(comparison: Comparison) -> None:
    """Escaped for their medium, with booktabs rules in LaTeX."""
    assert "| pre\\_act | before\\_activation | 89.10 ± 0.09 | 10 |" in formats.to_markdown(
        [comparison]
    )
    latex = formats.to_latex([comparison])
    assert "pre\\_act & before\\_activation & 89.10 \\(\\pm\\) 0.09 & 10 &" in latex
    assert latex.count("\\toprule") == latex.count("\\bottomrule") == 3


def test_markdown_makes_no_link_of_a_name() -> None:
    """What GitHub would link, escaped or not, is broken up where nobody sees it."""
    path = "HTTP://y.example/a@b.example/@somebody/repo#12.npz"
    made = compare([record(overrides=["name=www.x.example", f"data.dataset='{path}'"])])
    text = formats.to_markdown(made)
    assert "www<!-- -->.x.example" in text
    assert (
        "HTTP:<!-- -->//y.example/a@<!-- -->b.example/@<!-- -->somebody/repo\\#<!-- -->12.npz"
    ) in text
    assert not re.search(r"@\w|://|www\.|#\d", text)


def test_latex_has_a_real_minus() -> None:
    """Before a number a minus; in a name or a date the hyphen that was written."""
    worse = above(-0.01)
    latex = formats.to_latex(compare(records(no_bn=TEN, pre_act=worse)))
    assert "\\(-\\)1.00 \\(\\pm\\) 0.00" in latex
    assert not re.search(r"(?<![\w-])-\.?\d", latex)
    named = compare([record(overrides=["name=2026-11-24-a"]), record("pre_act")])
    assert "2026-11-24-a" in formats.to_latex(named)
