"""What makes a comparison unreliable, found in records made by hand: tests, words and cures."""

import numpy as np
import pytest

from bnbench.cli.advice import COMMANDS
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.health import health
from bnbench.evidence.records import RunRecord, pack_bits
from bnbench.evidence.store import RecordStore
from bnbench.show.sentences import answer
from tests.conftest import ROOT, compare, record, records

TEN = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882, 0.881, 0.880, 0.882]


def by_class(config: str, seed: int, right: list[int], rows: list[int], **changes) -> RunRecord:
    """Make a record with so many right test rows of each class."""
    bits = np.concatenate([np.arange(n) < r for r, n in zip(right, rows, strict=True)])
    return record(
        config,
        seed,
        sum(right) / sum(rows),
        test_correct=pack_bits(bits),
        classes=len(rows),
        rows=(1000, 100, sum(rows)),
        test_rows_by_class=tuple(rows),
        test_correct_by_class=tuple(right),
        **changes,
    )


def kinds(comparison: Comparison) -> list[str]:
    return [found.kind for found in health(comparison)]


def test_the_reference_records_are_healthy() -> None:
    """The shipped configs on Fashion-MNIST raise no false alarm."""
    found, _ = RecordStore(ROOT / "runs" / "reference" / "fixed_rate").read_all()
    (comparison,) = compare(found)
    assert kinds(comparison) == []


def test_a_network_that_assigns_all_rows_to_one_class_fails_to_train() -> None:
    """The finding names the share of that class and the cure, and no verdict is put in words."""
    rows = [60, 40]
    made = [by_class("no_bn", seed, [60, 0], rows) for seed in range(10)]
    made += [by_class("controls/input_bn", s, [55, 35], rows) for s in range(10)]
    (comparison,) = compare(made)
    assert kinds(comparison)[0] == "most_frequent_class"
    (first, *_) = health(comparison)
    assert "the most frequent one is 60.00 % of them" in first.message
    assert first.cure(COMMANDS).startswith("repeat the run with --set training.learning_rate=")
    output = answer(comparison, COMMANDS)
    assert not any(
        "better" in line.lower().split("than")[0] for line in output if "input_bn by" in line
    )


def test_some_learned_and_some_did_not() -> None:
    """A mean over both describes neither."""
    made = [by_class("no_bn", seed, [55, 35 if seed else 0], [60, 40]) for seed in range(3)]
    made[0] = by_class("no_bn", 0, [60, 0], [60, 40])
    assert "some_learned" in kinds(compare(made)[0])


def test_a_rare_class_among_several_that_is_found_is_learned() -> None:
    """Six of six rows with few other faults are no guess; with many they may be one."""
    rows = [60, 60, 6]
    assert "not_learned" not in kinds(compare([by_class("no_bn", 0, [60, 55, 6], rows)])[0])
    guessed = [by_class("no_bn", seed, [30, 20, 2], rows) for seed in range(3)]
    assert "not_learned" in kinds(compare(guessed)[0])


@pytest.mark.parametrize("right", [[71, 2], [200, 2]])
def test_a_rare_class_that_is_found_is_learned(right: list[int]) -> None:
    """Few rows of it are enough where they are found without false alarms."""
    rows = [right[0], 4 if right[0] == 71 else 2]
    (comparison,) = compare([by_class("no_bn", seed, right, rows) for seed in range(10)])
    assert not {"not_learned", "most_frequent_class"} & set(kinds(comparison))


def test_what_the_data_lack() -> None:
    """Scales that differ much, few rows for the margin, one class nearly alone; not if mended."""
    scales = {"feature_scales": (0.01, 100.0)}
    made = [by_class("no_bn", seed, [34, 2], [36, 4], **scales) for seed in range(2)]
    found = kinds(compare(made)[0])
    assert {"feature_scales", "coarse_test_rows", "one_class_prevails"} <= set(found)
    standardized = [
        by_class("no_bn", 0, [34, 2], [36, 4], overrides=["data.standardize=true"], **scales)
    ]
    assert "feature_scales" not in kinds(compare(standardized)[0])
    balanced = kinds(compare(made, metric="test_balanced_accuracy")[0])
    assert "one_class_prevails" not in balanced


@pytest.mark.parametrize(
    ("scales", "reach", "output"),
    [
        ((1.0, 3.0), 1003.0, "the features reach 1,003 with ranges of 3 at most"),
        ((0.01, 0.06), 0.06, "the features have ranges of 0.06 at most"),
        ((200.0, 255.0), 255.0, "the features have ranges of 255 at most"),
        ((1.0, 1.0), 1.0, None),
        ((1.0, 16.0), 16.0, None),
        ((4.0, 9.0), 12.0, None),
    ],
)
def test_features_far_from_one_or_from_zero(scales, reach, output) -> None:
    """Tiny, huge or far off: they are to be standardised; digits from 0 to 16 are not."""
    values = {"feature_scales": scales, "feature_reach": reach}
    (comparison,) = compare([by_class("no_bn", 0, [500, 500], [600, 600], **values)])
    found = [f for f in health(comparison) if f.kind == "feature_values"]
    assert [f.message.partition(", not")[0] for f in found] == [output] * bool(output)
    assert all(f.cure(COMMANDS).endswith("--set data.standardize=true") for f in found)


def test_too_few_steps_for_the_moving_statistics() -> None:
    """Counted in batches of the run's own rows, and only where BN is used."""
    overrides = ["training.epochs=3"]  # 32 batches of 1,000 rows in each
    made = [
        by_class(config, seed, [500, 500], [600, 600], overrides=overrides)
        for config in ("no_bn", "post_act")
        for seed in range(2)
    ]
    (found,) = [f for f in health(compare(made)[0]) if f.kind == "few_steps"]
    assert found.message == (
        "after 96 steps the moving statistics, which Batch Normalization uses on test rows, still "
        "hold 38.10 % of their start values; 15 epochs leave less than 1 %"
    )
    assert found.cure(COMMANDS) == "repeat the run with --set training.epochs=15"
    assert "few_steps" not in kinds(compare(made[:2])[0])


def test_a_verdict_on_a_mean_of_runs_that_did_not_all_learn_says_so() -> None:
    """In the sentence that has the verdict, not only below."""
    made = [by_class("no_bn", s, [300 + s, 310], [400, 400]) for s in range(10)]
    made += [
        by_class("post_act", s, [400, 0] if s < 1 else [395 + s % 2, 390], [400, 400])
        for s in range(10)
    ]
    made += [by_class("pre_act", s, [250 + s, 310], [400, 400]) for s in range(10)]
    (first, *_) = answer(compare(made)[0], COMMANDS)
    assert first.startswith("After is better than before by")
    assert first.endswith("on means over runs of which some did not learn (post_act).")


def test_a_class_that_is_never_right_is_named() -> None:
    """By its name, where it has one."""
    names = ("cat", "dog", "owl")
    made = [
        by_class("no_bn", seed, [90, 90, 0], [100, 100, 100], class_names=names)
        for seed in range(2)
    ]
    (found,) = [f for f in health(compare(made)[0]) if f.kind == "class_never_right"]
    assert found.message == "no_bn classifies no test row of class owl correctly"


def test_an_experiment_of_which_all_runs_diverged_fails_to_train() -> None:
    """With the baseline gone there is an answer all the same."""
    (comparison,) = compare(records(no_bn=[None] * 10, post_act=TEN))
    assert kinds(comparison) == ["all_diverged"]
    assert answer(comparison, COMMANDS) == [
        "no_bn fails to train at these settings: each of its 10 runs diverged: repeat the run with "
        "--set training.learning_rate=0.001,0.003,0.01,0.03."
    ]


def test_equivalence_on_few_rows_is_open_for_new_images() -> None:
    """That no row differs among 36 proves nothing for others; among 10,000 it does."""
    few = [
        by_class(config, seed, [20, 16], [20, 16])
        for config in ("no_bn", "post_act")
        for seed in range(10)
    ]
    (contrast,) = compare(few)[0].contrasts
    assert contrast.result.verdict == "equivalent"
    assert contrast.new_images is not None
    assert contrast.new_images.holds is False
    (contrast,) = compare(records(no_bn=TEN, post_act=TEN))[0].contrasts
    assert contrast.new_images is not None
    assert contrast.new_images.holds is True
