"""Records to comparisons: protocols, baselines, pairs, and what makes a comparison unclean."""

import pytest

from bnbench.errors import InputError
from bnbench.evidence.comparison import (
    Comparison,
    EpochRatio,
    ExperimentContrast,
    resolvable_difference,
)
from bnbench.show.remarks import confound, incomparable, reason, remarks
from tests.conftest import compare, record, records

SIX = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880]


def shifted(by: float) -> list[float]:
    return [value + by for value in SIX]


def names(contrast: ExperimentContrast) -> tuple[str, str]:
    return contrast.experiment.label, contrast.baseline.label


def ratio_of(comparison: Comparison, label: str) -> EpochRatio:
    return next(r for e, r in comparison.ratios.items() if e.label == label)


def test_one_comparison_for_each_protocol_the_newest_first() -> None:
    """Records of different budgets are never held against each other."""
    old = record(started_at="2026-01-01T00:00:00+00:00", overrides=["training.epochs=2"])
    new = record("pre_act", started_at="2026-02-01T00:00:00+00:00")
    found = compare([old, new])
    assert [c.baseline.label for c in found] == ["pre_act", "no_bn"]
    assert all(not c.contrasts for c in found)


def test_records_of_changed_data_are_kept_apart() -> None:
    """One protocol on two states of the data makes two comparisons."""
    assert len(compare([record(), record("pre_act", data_sha256="e" * 64)])) == 2


def test_the_plain_network_is_the_baseline_unless_another_is_named() -> None:
    """Differences are the experiment's minus the baseline's, over the seeds both have."""
    made = records(pre_act=shifted(0.01), no_bn=SIX[:5])
    (found,) = compare(made)
    (contrast,) = found.contrasts
    assert names(contrast) == ("pre_act", "no_bn")
    assert contrast.result.pairs == 5
    assert contrast.result.mean_difference == pytest.approx(0.01)
    (other,) = compare(made, baseline="pre_act")[0].contrasts
    assert names(other) == ("no_bn", "pre_act")
    assert other.result.mean_difference == pytest.approx(-0.01)


def test_verdicts_follow_the_pairs() -> None:
    """Better, equivalent and no verdict, as the paired differences have it."""
    noise = [0.0001, -0.0002, 0.0002, 0.0, -0.0001, 0.0001]
    near = [value + n for value, n in zip(SIX, noise, strict=True)]
    (found,) = compare(records(no_bn=SIX, pre_act=shifted(0.01)))
    assert found.contrasts[0].result.verdict == "better"
    (found,) = compare(records(no_bn=SIX, pre_act=near))
    assert found.contrasts[0].result.verdict == "equivalent"
    (found,) = compare(records(no_bn=SIX[:5], pre_act=near[:5]))
    assert found.contrasts[0].result.verdict is None


def test_why_there_is_no_verdict_is_said() -> None:
    """Too few pairs for any verdict, and too few for so many contrasts, each with the number."""
    (found,) = compare(records(no_bn=SIX[:1], pre_act=SIX[:1]))
    assert reason(found, found.contrasts[0]) == "1 pair; a verdict needs at least 6"
    (found,) = compare(records(no_bn=SIX, pre_act=shifted(0.01), post_act=SIX, input_bn=SIX))
    assert {reason(found, c) for c in found.contrasts if c.result.verdict == "inconclusive"} == {
        "6 pairs cannot reach significance with 3 contrasts; that takes at least 7"
    }


def test_what_else_differs_is_named() -> None:
    """Input BN is a difference of its own, and the bias that `auto` drops is none."""
    (found,) = compare(records(no_bn=SIX, pre_act=SIX, input_bn=SIX, pre_act_bias=SIX))
    said = {c.experiment.label: confound(c) for c in found.contrasts}
    assert said == {
        "input_bn": "not a comparison of placements: differs in model.batch_norm.input",
        "pre_act": "not a clean comparison: also differs in model.batch_norm.input",
        "pre_act_bias": "not a clean comparison: also differs in model.batch_norm.input, "
        "model.use_bias",
    }
    (clean,) = compare(records(input_bn=SIX, pre_act=SIX))[0].contrasts
    assert (clean.clean, clean.confounds) == (True, ())
    assert clean.differs_in == ("model.batch_norm.placement",)


def test_all_pairs_contrasts_every_two() -> None:
    """Four experiments have six contrasts, each pair once."""
    (found,) = compare(records(no_bn=SIX, pre_act=SIX, post_act=SIX, input_bn=SIX), all_pairs=True)
    assert len(found.contrasts) == 6
    assert len({frozenset(names(c)) for c in found.contrasts}) == 6


def test_diverged_runs_count_as_lost_and_are_warned_of() -> None:
    """The mean is over the survivors, and says so; the pair is lost for the side that diverged."""
    (found,) = compare(records(no_bn=SIX, pre_act=[None, *shifted(0.01)[1:]]))
    (contrast,) = found.contrasts
    assert (contrast.result.pairs, contrast.result.wins, contrast.result.losses) == (5, 5, 1)
    assert "pre_act: 1 of 6 runs diverged; its mean is over survivors" in remarks(found)
    assert next(e for e in found.experiments if e.label == "pre_act").diverged == 1


def test_epoch_times_are_paired_and_refused_across_machines() -> None:
    """The ratio has an interval; times of different processors are not compared."""
    (found,) = compare(records(no_bn=SIX, pre_act=SIX))
    assert ratio_of(found, "pre_act").ratio == pytest.approx(1.3)
    assert ratio_of(found, "pre_act").ci95 == pytest.approx((1.3, 1.3))
    elsewhere = [record("pre_act", seed, 0.88, processor="Another") for seed in range(6)]
    (found,) = compare(records(no_bn=SIX) + elsewhere)
    assert ratio_of(found, "pre_act").ratio is None
    assert incomparable(ratio_of(found, "pre_act")) == "different processor: A processor, Another"


def test_epoch_times_that_were_not_taken_in_turns_are_remarked() -> None:
    """Where one experiment ended before the other began, the ratio holds the machine's drift."""
    later = [
        record("pre_act", seed, 0.88, started_at=f"2026-11-24T10:0{seed}:00+00:00")
        for seed in range(2)
    ]
    (found,) = compare(records(no_bn=SIX[:2]) + later)
    assert not ratio_of(found, "pre_act").in_turns
    assert "pre_act: not run in turns with no_bn" in "\n".join(remarks(found))
    (found,) = compare(records(no_bn=SIX[:2], pre_act=SIX[:2]))
    assert ratio_of(found, "pre_act").in_turns


def test_one_name_with_two_configs_is_told_apart() -> None:
    """An edited config keeps its name; the label then carries the id."""
    edited = record("pre_act", overrides=["model.activation=relu"])
    (found,) = compare([record("pre_act"), edited])
    assert {e.label for e in found.experiments} == {
        f"pre_act-{record('pre_act').experiment_id}",
        f"pre_act-{edited.experiment_id}",
    }


def test_unknown_names_are_errors_that_list_what_there_is() -> None:
    """Experiments and baselines both."""
    for wrong in ({"names": ["pre_akt"]}, {"baseline": "pre_akt"}):
        with pytest.raises(InputError, match="no experiment named pre_akt; there are: no_bn"):
            compare([record()], **wrong)


def test_validation_accuracy_is_that_of_the_last_epoch() -> None:
    """The other metric is read from the history."""
    (found,) = compare([record()], metric="val_accuracy")
    assert found.baseline.mean == 0.85


def test_what_so_many_seeds_resolve_is_estimated_from_the_records() -> None:
    """None without records to estimate from, and smaller with more seeds."""
    near = [value + 0.001 * (-1) ** index for index, value in enumerate(SIX)]
    (found,) = compare(records(no_bn=SIX, pre_act=near))
    assert resolvable_difference(found, 20) < resolvable_difference(found, 10)
    assert resolvable_difference(compare([record()])[0], 10) is None
