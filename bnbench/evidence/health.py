"""What makes an answer unreliable: each finding with its test, its words and its cure."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bnbench.errors import InputError
from bnbench.evidence.advice import Advice
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment, says_one_class
from bnbench.evidence.records import DataSummary
from bnbench.evidence.tuning import Candidates
from bnbench.experiments.config import Config
from bnbench.experiments.sweep import is_number, load_experiments, short_key
from bnbench.text import count, listed, percent


@dataclass(frozen=True)
class Finding:
    """One reason not to rely on an answer; a new kind is a function that makes one.

    It is ``about`` an experiment's label, the name of a swept config, or "data"; ``message`` is a
    sentence without its full stop. ``cure`` takes from the advice what to do about it: what to type
    where one can type, else words.
    """

    kind: str
    about: str
    message: str
    cure: Callable[[Advice], str]


def health(comparison: Comparison) -> list[Finding]:
    """Return what to repair before the comparison is believed; nothing for a smoke run."""
    if comparison.smoke:
        return []
    tests = _fails_to_train, _some_learned, _class_never_right
    metric, tuning = comparison.question.measure, comparison.tuning
    found = [
        *(test(one) for test in tests for one in comparison.experiments),
        *of_data(
            comparison.baseline.newest.data,
            comparison.margin,
            standardized=comparison.config.data.standardize,
            scale=metric.scale if metric.by_row else None,
        ),
        next(filter(None, map(_few_steps, comparison.experiments)), None),  # others are alike
        *(_best_at_end(one, k) for one in (tuning.candidates if tuning else ()) for k in one.keys),
    ]
    return [finding for finding in found if finding]


def of_data(
    data: DataSummary, margin: float, *, standardized: bool = False, scale: float | None = 100.0
) -> list[Finding]:
    """Return what can be seen before anything is trained.

    The margin is ``scale`` times a share of the test rows; with None it is no such share.
    """
    found = [] if standardized else [_off_scale(data)]
    if scale is not None:
        found += _test_rows(data, margin, scale)
    return [finding for finding in found if finding]


def _fails_to_train(one: Experiment) -> Finding | None:
    if not one.fails_to_train:
        return None
    if not one.completed:
        runs = len(one.records)
        kind = "all_diverged"
        why = f"{'its one run' if runs == 1 else f'each of its {runs} runs'} diverged"
    elif all(map(says_one_class, one.completed)):
        rows = one.newest.data.test_rows_by_class
        kind, share = "most_frequent_class", percent(max(rows) / sum(rows))
        why = (
            "every run assigns all test rows to one class; the most frequent one is "
            f"{share} % of them"
        )
    else:
        kind = "not_learned"
        why = "no run does clearly better than guessing, or these features have nothing to learn"
    message = f"{one.label} fails to train at these settings: {why}"
    return Finding(kind, one.label, message, lambda advice: advice.rates)


def _some_learned(one: Experiment) -> Finding | None:
    if not one.mixed:
        return None
    learned, completed = len(one.learned), len(one.completed)
    message = (
        f"{one.label}: {count(learned, 'run')} learned and {completed - learned} did not do "
        "clearly better than guessing, so its mean describes neither"
    )
    return Finding("some_learned", one.label, message, lambda advice: advice.rates)


def _class_never_right(one: Experiment) -> Finding | None:
    """Find classes of which no run of an experiment that learned had a test row right."""
    data = one.newest.data
    rows = data.test_rows_by_class
    right = [record.data.test_correct_by_class or rows for record in one.completed]
    names = data.class_names or tuple(map(str, range(len(rows))))
    by_class = zip(names, rows, *right, strict=True)
    never = [name for name, tested, *correct in by_class if tested and not any(correct)]
    if one.fails_to_train or not never:
        return None
    classes = "class" if len(never) == 1 else "classes"
    message = f"{one.label} classifies no test row of {classes} {listed(never)} correctly"
    return Finding("class_never_right", one.label, message, lambda advice: advice.recalls)


def _off_scale(data: DataSummary) -> Finding | None:
    """Find ranges that differ much, are far from 1, or are far from 0 for their size."""
    low, high = data.feature_scales
    reach = data.feature_reach or 0.0
    far = reach > 10 and reach > 5 * high
    if 0 < 100 * low <= high:
        kind = "feature_scales"
        message = (
            f"the features' ranges differ {high / low:,.0f}-fold ({low:.3g} to {high:.3g}), or "
            "there are outliers; small features then hardly affect the network"
        )
    elif high > 0 and (far or not 0.1 <= high <= 100):  # what the usual learning rates suit
        kind = "feature_values"
        message = (
            f"the features {f'reach {reach:,.4g} with' if far else 'have'} ranges of {high:,.4g} "
            "at most, not about 1 around 0: the usual learning rates do not suit that"
        )
    else:
        return None
    message += ", and Batch Normalization on the input repairs just that"
    return Finding(kind, "data", message, lambda advice: advice.standardize)


def _test_rows(data: DataSummary, margin: float, scale: float) -> Iterator[Finding]:
    """Yield whether one row is worth more than the margin, and whether most are of one class."""
    rows = data.rows[2]
    if scale / rows > margin > 0:
        message = (
            f"one of the {rows:,} test rows is worth {100 / rows:.2g} points, more than the margin "
            f"of {margin:g}, which needs at least {math.ceil(scale / margin):,} rows"
        )
        yield Finding("coarse_test_rows", "data", message, lambda advice: advice.margin)
    if (share := max(data.test_rows_by_class) / rows) > 0.8:
        of = f"{percent(share)} % of the test rows are of one class"
        message = f"{of}, so accuracy says little about the others"
        yield Finding("one_class_prevails", "data", message, lambda advice: advice.balanced)


def _few_steps(one: Experiment) -> Finding | None:
    """Find whether BN's moving statistics keep more than 1 % of their start values."""
    training, model = one.config.training, one.config.model
    per_epoch = math.ceil(one.newest.data.rows[0] / training.batch_size)
    steps, momentum = per_epoch * training.epochs, model.batch_norm.momentum
    if not (one.completed and model.uses_batch_norm and momentum**steps > 0.01):
        return None
    needed = math.ceil(math.log(0.01) / math.log(momentum) / per_epoch)
    message = (
        f"after {count(steps, 'step')} the moving statistics, which Batch Normalization uses on "
        f"test rows, still hold {percent(momentum**steps)} % of their start values; "
        f"{count(needed, 'epoch')} leave less than 1 %"
    )
    return Finding("few_steps", "data", message, lambda a: a.set("training.epochs", needed))


def _best_at_end(one: Candidates, key: str) -> Finding | None:
    """Find whether the best value is the smallest or the largest of those that were tried.

    The cure is to try the same values again and, of this setting, some beyond that end.
    """
    value, tried = one.values(one.best)[key], one.tried(key)
    if not is_number(value) or len(tried) < 2 or min(tried) < value < max(tried):
        return None
    smallest = value == min(tried)
    beyond = _beyond(one.best.config, key, value, smallest)
    if not beyond:
        return None
    message = (
        f"{one.name} does best at the {'smallest' if smallest else 'largest'} {short_key(key)} "
        f"that was tried, {value:g}; values beyond it may be better"
    )
    wider = {each: one.tried(each) for each in one.keys} | {key: tuple(sorted([*tried, *beyond]))}
    return Finding("best_at_end", one.name, message, lambda advice: advice.sweep(wider))


def _beyond(config: Config, key: str, value: Any, smallest: bool) -> list[Any]:
    """Return a third and a tenth of a value, or three and ten times it, where a config allows."""
    further = {float(f"{value * f:.1g}") for f in ((1 / 3, 1 / 10) if smallest else (3, 10))}
    if isinstance(value, int):
        further = {round(one) for one in further}
    return [one for one in further - {value} if _allowed(config, key, one)]


def _allowed(config: Config, key: str, value: Any) -> bool:
    try:
        load_experiments(config, {key: value})
    except InputError:
        return False
    return True
