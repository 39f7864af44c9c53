"""Tuning: the best swept value is chosen on validation data, the tuned compared on test data."""

import json
from collections.abc import Mapping, Sequence

import pytest

from bnbench.evidence.comparison import Comparison
from bnbench.evidence.records import RunRecord
from bnbench.experiments.sweep import load_experiments, typed_name
from bnbench.show.formats import to_csv, to_json
from bnbench.show.grids import candidates, results
from bnbench.show.remarks import reason, remarks
from bnbench.show.sentences import answer, closing, title
from tests.conftest import CONFIGS, bnbench, compare, record

RATES = "training.learning_rate=0.001,0.01,0.1"


def swept(
    name: str, validation: Mapping[float, Sequence[float | None]], sweep: str = RATES
) -> list[RunRecord]:
    """Make records of a swept config: for each rate the seeds' last validation accuracies.

    The test accuracies run against them, so that a choice by test accuracy would be another.
    """
    made = []
    for config in load_experiments(CONFIGS / f"{name}.yaml", [sweep]):
        for seed, value in enumerate(validation.get(config.training.learning_rate, ())):
            one = record(name, seed, None if value is None else 1 - value)
            history = one.history
            if value is not None:
                accuracies = (*history.val_accuracy[1:], value)
                history = history.model_copy(update={"val_accuracy": accuracies})
            made.append(one.model_copy(update={"config": config, "history": history}))
    return made


def rising(start: float, count: int = 10) -> list[float]:
    return [start + 0.01 * seed for seed in range(count)]


BOTH = [
    *swept("no_bn", {0.001: rising(0.5), 0.01: rising(0.8), 0.1: rising(0.7)}),
    *swept("pre_act", {0.001: rising(0.5), 0.01: rising(0.6), 0.1: rising(0.9)}),
]


def tuned(records: Sequence[RunRecord], **options: object) -> Comparison:
    (found,) = [c for c in compare(records, **options) if c.tuning]  # type: ignore[arg-type]
    return found


def labels(comparison: Comparison) -> list[str]:
    """Return the experiments with the rates that were chosen."""
    return [f"{e.label} {e.config.training.learning_rate}" for e in comparison.experiments]


def test_validation_chooses_and_test_compares() -> None:
    """Each with its own best rate; the rate is then no difference that makes it unclean."""
    found = tuned(BOTH)
    assert labels(found) == ["no_bn 0.01", "pre_act 0.1"]
    (contrast,) = found.contrasts
    assert contrast.result.sample.mean == pytest.approx(-0.1)  # 1 - 0.9 against 1 - 0.8
    assert contrast.differs_in == ("model.batch_norm.input", "model.batch_norm.placement")
    assert title(found) == (
        "Tuned over learning_rate: fashion_mnist, 10 epochs, sgd, batch size 32"
    )
    assert "the test data had no part in that choice" in " ".join(closing(found))


def test_the_tuned_come_first_and_protocols_stay_apart() -> None:
    """Each rate is a protocol of its own, with both experiments, behind the tuned."""
    found = compare(BOTH)
    assert [len(c.experiments) for c in found] == [2, 2, 2, 2]
    assert [bool(c.tuning) for c in found] == [True, False, False, False]
    assert not any(c.tuning for c in compare([record()]))


def test_later_seeds_do_not_change_the_choice() -> None:
    """It is made by the seeds of the first look; more seeds, good or bad, change nothing."""
    later = swept("no_bn", {0.01: [*rising(0.8), 0.1, 0.1], 0.1: [*rising(0.7), 0.99, 0.99]})
    others = swept("no_bn", {0.001: rising(0.5)})
    found = tuned([*others, *later])
    assert labels(found) == ["no_bn 0.01"]
    assert found.tuning is not None
    assert found.tuning.is_fair(*found.experiments)


def test_what_was_not_tuned_alike_gets_no_verdict() -> None:
    """More values, or more seeds for some of them, win falsely."""
    assert tuned(BOTH).contrasts[0].result.verdict == "worse"
    fewer = [r for r in BOTH if typed_name(r.config) != "no_bn+learning_rate=0.001"]
    shorter = [
        r for r in BOTH if (typed_name(r.config), r.seed) != ("no_bn+learning_rate=0.001", 9)
    ]
    for uneven in (fewer, shorter):
        found = tuned(uneven)
        assert found.contrasts[0].result.verdict is None
        why = reason(found, found.contrasts[0])
        assert why == "the two did not have the same values and seeds to choose from"


def test_one_that_was_tuned_otherwise_takes_no_verdict_from_the_rest() -> None:
    """Its own contrasts have none; those of networks tuned alike keep theirs."""
    found = tuned([*BOTH, *swept("post_act", {0.01: rising(0.6)})])
    verdicts = {(c.experiment.label, c.baseline.label): c.result.verdict for c in found.contrasts}
    assert verdicts == {
        ("post_act", "pre_act"): None,
        ("post_act", "no_bn"): None,
        ("pre_act", "no_bn"): "worse",
    }


def test_the_candidates_are_listed_in_order_with_the_best_marked() -> None:
    """One row for each value, with the validation accuracy that it was judged by."""
    tuning = tuned(BOTH).tuning
    assert tuning is not None
    rows = candidates(tuning).rows
    assert [row[:3] + row[4:] for row in rows] == [
        ("no_bn", "0.001", "10", ""),
        ("no_bn", "0.01", "10", "best"),
        ("no_bn", "0.1", "10", ""),
        ("pre_act", "0.001", "10", ""),
        ("pre_act", "0.01", "10", ""),
        ("pre_act", "0.1", "10", "best"),
    ]
    assert rows[1][3] == "84.50 ± 2.17"


def test_a_long_baseline_does_not_widen_the_differences() -> None:
    """The column is headed by the baseline's name only where that is short."""
    named = [
        r.model_copy(update={"config": r.config.model_copy(update={"name": "a" * 40})})
        for r in BOTH[:30]
    ]
    headings = [column.heading for column in results(tuned(named)).columns]
    assert {"vs baseline", "learning_rate"} <= set(headings)
    assert "vs no_bn" in [c.heading for c in results(compare([record()])[0]).columns]


def test_a_best_value_at_the_end_and_uneven_grids_are_reported() -> None:
    """What a reader must know before trusting a tuning, with the cure of the first."""
    uneven = tuned([r for r in BOTH if typed_name(r.config) != "no_bn+learning_rate=0.001"])
    assert any(line.startswith("not all experiments were tuned over") for line in remarks(uneven))
    reported = [line for line in answer(uneven) if "does best at" in line]
    assert reported == [
        "no_bn does best at the smallest learning_rate that was tried, 0.01; values beyond it may "
        "be better: try training.learning_rate at 0.001, 0.003, 0.01, 0.1.",
        "pre_act does best at the largest learning_rate that was tried, 0.1; values beyond it may "
        "be better: try training.learning_rate at 0.001, 0.01, 0.1, 0.3, 1.0.",
    ]
    assert not any("no_bn does best" in line for line in answer(tuned(BOTH)))


def test_diverged_runs_and_missing_seeds_do_not_win() -> None:
    """A value that diverged ranks behind, and the others are ranked over their common seeds."""
    diverging = swept("no_bn", {0.001: rising(0.5), 0.01: [*rising(0.9, 9), None]})
    assert labels(tuned(diverging)) == ["no_bn 0.001"]
    lucky = swept("no_bn", {0.001: [0.7, 0.1], 0.01: [0.6]})  # the mean of all would choose 0.01
    assert labels(tuned(lucky)) == ["no_bn 0.001"]


def test_names_choose_sweeps_by_their_config(runs) -> None:
    """`compare pre_act` takes all that pre_act was swept to, and `--baseline` likewise."""
    assert labels(tuned(BOTH, names=["pre_act"])) == ["pre_act 0.1"]
    assert tuned(BOTH, baseline="pre_act").baseline.label == "pre_act"
    done = bnbench("compare", "pre_act", "--runs-dir", runs(*BOTH))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Results") == 1  # the tuned; the values' own protocols are lines
    assert "no_bn" not in done.stdout


def test_json_and_csv() -> None:
    """JSON says what was tuned, and nothing where nothing was; CSV has every run once."""
    found = compare(BOTH)
    content = json.loads(to_json(found))
    one, *rest = content["protocols"]
    assert [protocol["tuned"] for protocol in rest] == [None] * 3
    assert (one["protocol_id"], one["reference"]) == (None, "tuned")
    assert one["tuned"]["keys"] == ["training.learning_rate"]
    assert "learning_rate" not in one["protocol"]["training"]
    second = one["tuned"]["candidates"][1]
    assert second == {
        "name": "no_bn+learning_rate=0.01",
        "config": "no_bn",
        "values": {"training.learning_rate": 0.01},
        "chosen": True,
        "diverged": 0,
        "val_accuracy": second["val_accuracy"],
    }
    assert [e["name"] for e in one["experiments"]] == ["no_bn", "pre_act"]
    assert len(to_csv(found).splitlines()) == 1 + len(BOTH)
