"""What the findings of a comparison's health say, and the cure of each."""

from typing import assert_never

from bnbench.evidence.health import (
    AllDiverged,
    BestAtEnd,
    CoarseRows,
    FeatureValues,
    FewSteps,
    Finding,
    NeverRight,
    NotLearned,
    OfData,
    OneClassPrevails,
    ScalesApart,
    SomeLearned,
)
from bnbench.experiments.sweep import short_key
from bnbench.show.advice import Advice
from bnbench.text import count, listed, percent


def message(finding: Finding) -> str:
    """Return what was found, in a sentence without its end."""
    match finding:
        case AllDiverged(experiment, runs):
            return (
                f"{experiment.label} fails to train at these settings: "
                f"{'its one run' if runs == 1 else f'each of its {runs} runs'} diverged"
            )
        case NotLearned(experiment, True, share):
            return (
                f"{experiment.label} fails to train at these settings: every run says one class of "
                f"all test rows; the most frequent one is {percent(share)} % of them"
            )
        case NotLearned(experiment):
            return (
                f"{experiment.label} fails to train at these settings: no run does clearly "
                "better than guessing, or there is nothing to learn in these features"
            )
        case SomeLearned(experiment, learned, not_learned):
            return (
                f"{experiment.label}: {count(learned, 'run')} learned and {not_learned} did "
                "not do clearly better than guessing, so its mean stands for neither"
            )
        case ScalesApart() | FeatureValues() | CoarseRows() | OneClassPrevails():
            return _about_data(finding)
        case FewSteps(steps, share, needed):
            return (
                f"after {count(steps, 'step')} the moving statistics, which Batch Normalization "
                f"uses on test rows, still hold {percent(share)} % of their start values; "
                f"{count(needed, 'epoch')} leave less than 1 %"
            )
        case NeverRight(experiment, classes):
            which = "class" if len(classes) == 1 else "classes"
            return f"{experiment.label} has no test row right of {which} {listed(classes)}"
        case BestAtEnd(name, key, value, end, _):
            return (
                f"{name} does best at the {end} {short_key(key)} that was tried, {value:g}; beyond "
                "it may be better"
            )
        case _:
            assert_never(finding)


def _about_data(finding: OfData) -> str:
    match finding:
        case ScalesApart(low, high):
            return (
                f"the features' ranges lie {high / low:,.0f}-fold apart ({low:.3g} to {high:.3g}), "
                "or single values lie far out: the network hardly sees the small ones, and Batch "
                "Normalization on the input repairs just that"
            )
        case FeatureValues(largest_range, reach, far):
            what = (
                f"the features reach {reach:,.4g} with ranges of {largest_range:,.4g} at most"
                if far
                else f"the features have ranges of {largest_range:,.4g} at most"
            )
            return (
                f"{what}, not about 1 around 0: the usual learning rates do not suit that, and "
                "Batch Normalization on the input repairs just that"
            )
        case CoarseRows(rows, margin, needed):
            return (
                f"one of the {rows:,} test rows is worth {100 / rows:.2g} points, more than the "
                f"margin of {margin:g}: that takes {needed:,} rows at least"
            )
        case OneClassPrevails(share):
            return (
                f"{percent(share)} % of the test rows are of one class: accuracy says little of "
                "the others"
            )
        case _:
            assert_never(finding)


def cure(finding: Finding, advice: Advice) -> str:
    """Return what to do about it: what to type where one can type, else in words."""
    match finding:
        case AllDiverged() | NotLearned() | SomeLearned():
            return advice.rates
        case ScalesApart() | FeatureValues():
            return advice.standardize
        case FewSteps():
            return advice.set("training.epochs", finding.needed)
        case CoarseRows():
            return advice.margin
        case NeverRight():
            return advice.recalls
        case OneClassPrevails():
            return advice.balanced
        case BestAtEnd():
            return advice.sweep(finding.wider)
        case _:
            assert_never(finding)
