"""Records to comparisons: protocols, baselines, pairs, and what makes a comparison unclean."""

import pytest

from bnbench.errors import InputError
from bnbench.evidence.compare import resolvable_difference
from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.epoch_times import EpochRatio
from bnbench.show.remarks import confound, reason, remarks
from tests.conftest import compare, record, records

TEN = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882, 0.881, 0.880, 0.882]


def shifted(by: float) -> list[float]:
    return [value + by for value in TEN]


def names(contrast: ExperimentContrast) -> tuple[str, str]:
    return contrast.experiment.label, contrast.baseline.label


def ratio_of(comparison: Comparison, label: str) -> EpochRatio:
    return next(r for e, r in comparison.ratios.items() if e.label == label)


def test_one_comparison_for_each_protocol_the_newest_first() -> None:
    """Records of different budgets are never compared."""
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
    made = records(pre_act=shifted(0.01), no_bn=TEN[:5])
    (found,) = compare(made)
    (contrast,) = found.contrasts
    assert names(contrast) == ("pre_act", "no_bn")
    assert contrast.result.sample.pairs == 5
    assert contrast.result.sample.mean == pytest.approx(0.01)
    (other,) = compare(made, baseline="pre_act")[0].contrasts
    assert names(other) == ("no_bn", "pre_act")
    assert other.result.sample.mean == pytest.approx(-0.01)


def test_networks_of_other_layers_have_a_plain_one_of_their_own() -> None:
    """Each is compared with that of its layers; a named baseline serves all, as does a lone one."""
    tanh = [
        record(f"tanh/{name}", seed, value)
        for name in ("no_bn", "post_act")
        for seed, value in enumerate(TEN)
    ]
    elu = records(pre_act=TEN, no_bn=TEN)
    (found,) = compare([*elu, *tanh])
    held = [("pre_act", "no_bn"), ("tanh_post_act", "tanh_no_bn")]
    assert [names(contrast) for contrast in found.contrasts] == held
    assert [e.label for e in found.experiments] == [
        "no_bn",
        "pre_act",
        "tanh_no_bn",
        "tanh_post_act",
    ]
    (named,) = compare([*elu, *tanh], baseline="tanh_no_bn")
    assert {contrast.baseline.label for contrast in named.contrasts} == {"tanh_no_bn"}
    (lone,) = compare([*records(pre_act=TEN), *tanh])
    assert {contrast.baseline.label for contrast in lone.contrasts} == {"tanh_no_bn"}


def test_verdicts_follow_the_pairs() -> None:
    """Better, equivalent and no verdict, as the paired differences have it."""
    near = [value + 0.0001 * (-1) ** index for index, value in enumerate(TEN)]
    for ours, verdict in ((shifted(0.01), "better"), (near, "equivalent"), (near[:9], None)):
        (found,) = compare(records(no_bn=TEN, pre_act=ours))
        assert found.contrasts[0].result.verdict == verdict


def test_before_against_after_is_a_family_of_its_own() -> None:
    """It is contrasted unasked and first, and shares its 5 % with nothing else."""
    others = {"input_bn": TEN, "pre_act_bias": shifted(0.01)}
    (found,) = compare(records(no_bn=TEN, pre_act=shifted(0.01), post_act=TEN, **others))
    placement, *rest = found.contrasts
    assert names(placement) == ("post_act", "pre_act")
    assert [c.family for c in found.contrasts] == ["placement"] + 4 * ["baseline"]
    assert placement.result.p_holm == placement.result.p_value == 2 / 2**10
    assert all(c.result.p_required < placement.result.p_required for c in rest)


def test_the_difference_is_after_minus_before() -> None:
    """Unless BN after is the baseline: what is compared with it comes first."""
    made = records(post_act=shifted(0.01), pre_act=[*TEN[:9], None], no_bn=TEN)
    (found,) = compare(made)
    contrast = found.contrasts[0]
    assert names(contrast) == ("post_act", "pre_act")
    assert contrast.result.sample.mean == pytest.approx(0.01)
    assert contrast.result.sample.diverged == (0, 1)
    assert contrast.result.sample.outcomes == (10, 0, 0)
    assert contrast.result.verdict == "better"
    (against_after, *_) = compare(made, baseline="post_act")[0].contrasts
    assert names(against_after) == ("pre_act", "post_act")
    assert against_after.result.sample.mean == pytest.approx(-0.01)


def test_the_plan_is_that_of_the_newest_run() -> None:
    """Its margin counts unless another is given; that, and a plan that changed, is reported."""
    early, late = "plan.first=9", "2026-12-01T00:00:00+00:00"
    made = [record("no_bn", seed, value) for seed, value in enumerate(TEN[:9])]
    made += [
        record("pre_act", seed, value, overrides=[early], started_at=late)
        for seed, value in enumerate(shifted(0.01)[:9])
    ]
    (found,) = compare(made)
    assert (found.plan.first, found.margin) == (9, 0.3)
    assert found.contrasts[0].result.decided_at == 9
    assert any(
        line.startswith("the plans differ; what counts is: first look at 9")
        for line in remarks(found)
    )
    (found,) = compare(records(no_bn=TEN, pre_act=TEN), margin=0.5)
    assert found.margin == 0.5
    assert any("margin of ±0.5 was given" in line for line in remarks(found))


def test_why_there_is_no_verdict_is_said() -> None:
    """Too few seeds, holes that a look waits for, and divergence, each in words."""
    (found,) = compare(records(no_bn=TEN[:1], pre_act=TEN[:1]))
    assert reason(found, found.contrasts[0]) == "1 paired seed; verdicts begin at 10 seeds"
    holed = [
        r
        for r in records(no_bn=TEN, pre_act=shifted(0.01))
        if (r.seed, r.experiment) != (4, "pre_act")
    ]
    (found,) = compare(holed)
    assert reason(found, found.contrasts[0]) == (
        "9 paired seeds; verdicts begin at 10 seeds (seeds missing: 4)"
    )
    (found,) = compare(records(no_bn=TEN, pre_act=[None, None, *shifted(0.01)[2:]]))
    assert found.contrasts[0].result.verdict == "undecided"
    assert "pre_act diverged more often (2 runs, the other 0)" in (
        reason(found, found.contrasts[0]) or ""
    )


def test_a_verdict_may_hold_for_new_images() -> None:
    """It does where the wider interval confirms it; only metrics of test rows have one."""
    (found,) = compare(records(no_bn=TEN, pre_act=shifted(0.01)))
    images = found.contrasts[0].new_images
    assert images is not None
    assert images.holds
    low, high = found.contrasts[0].result.interval or (0, 0)
    assert images.interval[1] - images.interval[0] > high - low
    (found,) = compare(records(no_bn=TEN, pre_act=shifted(0.01)), metric="val_accuracy")
    assert found.contrasts[0].new_images is None


def test_balanced_accuracy_counts_every_class_alike() -> None:
    """The mean over classes of what is right of each."""
    by_class = {"test_rows_by_class": (9_000, 1_000, 0), "test_correct_by_class": (8_800, 0, 0)}
    made = record(**by_class, classes=3)
    (found,) = compare([made], metric="test_balanced_accuracy")
    assert found.baseline.mean == pytest.approx((8_800 / 9_000 + 0) / 2)


def test_what_else_differs_is_named() -> None:
    """Input BN is a difference of its own, and the bias that `auto` drops is none."""
    (found,) = compare(records(no_bn=TEN, pre_act=TEN, input_bn=TEN, pre_act_bias=TEN))
    reported = {c.experiment.label: confound(c) for c in found.contrasts}
    assert reported == {
        "input_bn": "not a comparison of placements: differs in model.batch_norm.input",
        "pre_act": "not a clean comparison: also differs in model.batch_norm.input",
        "pre_act_bias": "not a clean comparison: also differs in model.batch_norm.input, "
        "model.use_bias",
    }
    (clean,) = compare(records(input_bn=TEN, pre_act=TEN))[0].contrasts
    assert clean.confounds == ()
    assert clean.differs_in == ("model.batch_norm.placement",)


def test_all_pairs_contrasts_every_two() -> None:
    """Four experiments have six contrasts, each pair once."""
    (found,) = compare(records(no_bn=TEN, pre_act=TEN, post_act=TEN, input_bn=TEN), all_pairs=True)
    assert len(found.contrasts) == 6
    assert len({frozenset(names(c)) for c in found.contrasts}) == 6


def test_diverged_runs_count_as_lost_and_are_warned_of() -> None:
    """The mean is over the survivors, and says so; the pair is lost for the side that diverged."""
    (found,) = compare(records(no_bn=TEN, pre_act=[None, *shifted(0.01)[1:]]))
    (contrast,) = found.contrasts
    assert contrast.result.sample.outcomes == (9, 0, 1)
    assert "pre_act: 1 of 10 runs diverged; its mean is over the runs that completed" in remarks(
        found
    )
    assert next(e for e in found.experiments if e.label == "pre_act").diverged == 1


def test_epoch_times_are_paired_and_refused_across_machines() -> None:
    """The ratio has an interval; times of different processors are not compared."""
    (found,) = compare(records(no_bn=TEN, pre_act=TEN))
    assert ratio_of(found, "pre_act").ratio == pytest.approx(1.3)
    assert ratio_of(found, "pre_act").ci95 == pytest.approx((1.3, 1.3))
    elsewhere = [record("pre_act", seed, 0.88, processor="Another") for seed in range(10)]
    (found,) = compare(records(no_bn=TEN) + elsewhere)
    assert ratio_of(found, "pre_act").ratio is None
    assert ratio_of(found, "pre_act").mismatch == "different processor: A processor, Another"


def test_epoch_times_of_runs_that_were_not_interleaved_are_remarked() -> None:
    """Where one experiment ended before the other began, the ratio holds the machine's drift."""
    later = [
        record("pre_act", seed, 0.88, started_at=f"2026-11-24T10:0{seed}:00+00:00")
        for seed in range(2)
    ]
    (found,) = compare(records(no_bn=TEN[:2]) + later)
    assert not ratio_of(found, "pre_act").interleaved
    assert "pre_act: runs not interleaved with those of no_bn" in "\n".join(remarks(found))
    (found,) = compare(records(no_bn=TEN[:2], pre_act=TEN[:2]))
    assert ratio_of(found, "pre_act").interleaved


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
    near = [value + 0.001 * (-1) ** index for index, value in enumerate(TEN)]
    (found,) = compare(records(no_bn=TEN, pre_act=near))
    assert 0 < (resolvable_difference(found, 20) or 0) < (resolvable_difference(found, 10) or 0)
    assert resolvable_difference(found, 9) is None
    assert resolvable_difference(compare([record()])[0], 10) is None
