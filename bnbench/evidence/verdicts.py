"""Verdicts that stay right while seeds are added: the looks of a plan, replayed seed by seed.

Nothing is remembered between calls: what is recorded decides, not when it was recorded. Sources:
Holm 1979 and Maurer and Bretz 2013 (several contrasts over several looks); `levels` has the rest.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import takewhile
from typing import Literal, NamedTuple

import numpy as np

from bnbench.evidence import power, stats
from bnbench.evidence.levels import ALPHA, Sides, nominal_levels
from bnbench.evidence.stats import Array, Interval

Outcomes = Mapping[int, float | None]  # by seed; None where the run diverged
Verdict = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Pairs:
    """One experiment against another: what a contrast is computed from.

    ``order`` has the seeds in the order in which they are looked at; ``ours`` and ``theirs`` what
    is recorded, in a unit of which more is better.
    """

    order: tuple[int, ...]
    ours: Outcomes
    theirs: Outcomes

    @cached_property
    def both(self) -> frozenset[int]:
        """The seeds that both sides have recorded."""
        return frozenset(self.ours.keys() & self.theirs.keys())

    @cached_property
    def complete(self) -> int:
        """How many seeds both sides have, from the first on up to one that is lacking."""
        return sum(1 for _ in takewhile(self.both.__contains__, self.order))

    def sample(self, seeds: int | None = None) -> "Sample":
        """Return what the first seeds say, as far as both sides have them; all, if not told."""
        chosen = sorted(self.both) if seeds is None else self.order[:seeds]
        outcomes = [(self.ours[seed], self.theirs[seed]) for seed in chosen if seed in self.both]
        return Sample(
            np.array([a - b for a, b in outcomes if a is not None and b is not None]),
            diverged=(sum(a is None for a, _ in outcomes), sum(b is None for _, b in outcomes)),
            won=sum(b is None and a is not None for a, b in outcomes),
            lost=sum(a is None and b is not None for a, b in outcomes),
        )


class Evidence(NamedTuple):
    """What a look has against "no difference" and against "a difference of the margin or more"."""

    sign: int  # of the mean
    p_difference: float
    p_equivalence: float


@dataclass(frozen=True)
class Sample:
    """What some seeds say.

    ``differences`` (n,) are of the seeds that both sides completed; ``won`` and ``lost`` count
    those at which only the other or only this side ``diverged``.
    """

    differences: Array
    diverged: tuple[int, int] = (0, 0)
    won: int = 0
    lost: int = 0

    @property
    def pairs(self) -> int:
        """How many seeds both sides completed."""
        return len(self.differences)

    @cached_property
    def mean(self) -> float | None:
        """Mean difference."""
        return float(np.sort(self.differences).mean()) if self.pairs else None

    @cached_property
    def std(self) -> float | None:
        """Standard deviation of the differences (n - 1 in the divisor)."""
        return float(np.sort(self.differences).std(ddof=1)) if self.pairs > 1 else None

    @cached_property
    def p_value(self) -> float | None:
        """Two-sided p of the sign-flip test or, where that is larger, of Student's t test.

        With a few seeds far off the former may find what the interval, made by the latter, denies.
        """
        if self.pairs < 2:
            return None
        flipped, student = (
            float(test(self.differences))
            for test in (stats.sign_flip_p_value, stats.t_test_p_value)
        )
        return max(flipped, student)

    @property
    def outcomes(self) -> tuple[int, int, int]:
        """Wins, ties and losses, seeds at which one side diverged included."""
        wins = int(np.sum(self.differences > 0)) + self.won
        losses = int(np.sum(self.differences < 0)) + self.lost
        return wins, int(np.sum(self.differences == 0)), losses

    def interval(self, level: float) -> Interval | None:
        """Return the t interval of the mean that misses it in a share ``level`` of all cases."""
        if self.pairs < 2:
            return None
        low, high = stats.mean_interval(np.sort(self.differences), level)
        return float(low), float(high)

    def evidence(self, margin: float) -> Evidence:
        """Return the p-values of both tests, 1 where there is nothing to test.

        A mean is over survivors: the side that diverged more often is never better, nor equivalent.
        """
        if self.mean is None or self.p_value is None:
            return Evidence(0, 1.0, 1.0)
        sign = int(np.sign(self.mean))
        ours, theirs = self.diverged
        equivalence = float(stats.equivalence_p_value(self.differences, margin))
        return Evidence(
            sign,
            p_difference=1.0 if sign * (ours - theirs) > 0 else self.p_value,
            p_equivalence=equivalence if ours == theirs else 1.0,
        )


class SequentialDecision(NamedTuple):
    """Where a contrast stands after its looks.

    ``look`` is the place of the look at which the verdict fell or, without one, the first at which
    it waits for seeds of other contrasts of its family, or None. ``p_holm`` and ``p_required`` are
    of the look that decided, else of the last: the first is adjusted for the family, the second is
    what the contrast's own p must not exceed. ``left`` counts the contrasts that are not better or
    worse so far, and those that are not equivalent.
    """

    verdict: Verdict | None = None
    look: int | None = None
    p_holm: float | None = None
    p_required: float | None = None
    left: tuple[int, int] = (1, 1)


def replay(
    looks: tuple[int, ...], taken: Sequence[int], evidence: Callable[[int, int], Evidence]
) -> list[SequentialDecision]:
    """Return where each contrast of a family stands: the first look that decides is the verdict.

    ``taken`` has for each contrast the number of ``looks`` that took place; ``evidence`` is called
    with the places of contrast and look. At each look Holm's steps are gone through with the levels
    of that look, contrasts that were rejected before counting as rejected. A contrast that has not
    come so far may still turn out either way: what would depend on it waits for it, so that further
    records never change a verdict.
    """
    family = len(taken)
    decisions = [SequentialDecision(left=(family, family))] * family
    for look in range(len(looks)):
        open_ = [i for i, s in enumerate(decisions) if s.verdict is None]
        there = [i for i in open_ if decisions[i].look is None and taken[i] > look]
        seen = {i: evidence(i, look) for i in there}
        absent = len(open_) - len(there)
        differ = HolmStepDown(
            {i: e.p_difference for i, e in seen.items()},
            family - sum(s.verdict in ("better", "worse") for s in decisions),
            absent,
            partial(_level, looks, look, 2),
        )
        alike = HolmStepDown(
            {i: e.p_equivalence for i, e in seen.items()},
            family - sum(s.verdict == "equivalent" for s in decisions),
            absent,
            partial(_level, looks, look, 1),
        )
        left = (
            differ.left - len(differ.certain),
            alike.left - len(alike.certain - differ.possible),
        )
        for i in there:
            told = SequentialDecision(None, None, *differ.adjusted(i), left)
            if i in differ.certain:
                told = told._replace(verdict="better" if seen[i].sign > 0 else "worse", look=look)
            elif i in differ.possible:
                told = told._replace(look=look)
            elif i in alike.certain:
                told = told._replace(verdict="equivalent", look=look)
            elif i in alike.possible:
                told = told._replace(look=look)
            decisions[i] = told
    return decisions


def _level(looks: tuple[int, ...], look: int, sides: Sides, left: int) -> float:
    """Return what Holm allows the smallest p of ``left`` contrasts at a look."""
    return nominal_levels(looks, ALPHA / left, sides)[look]


@dataclass(frozen=True)
class HolmStepDown:
    """Holm's steps at one look: the smallest p first, each against the level of those left."""

    p_values: Mapping[int, float]
    left: int
    absent: int
    level: Callable[[int], float]

    @cached_property
    def certain(self) -> frozenset[int]:
        """The contrasts that are rejected whatever the absent ones turn out to be."""
        return self._rejected(self.left)

    @cached_property
    def possible(self) -> frozenset[int]:
        """The contrasts that are rejected if the absent ones are."""
        return self._rejected(self.left - self.absent)

    def _rejected(self, left: int) -> frozenset[int]:
        rejected: set[int] = set()
        for i in sorted(self.p_values, key=self.p_values.__getitem__):
            if self.p_values[i] > self.level(left - len(rejected)):
                break
            rejected.add(i)
        return frozenset(rejected)

    def adjusted(self, contrast: int) -> tuple[float, float]:
        """Return the adjusted p of a contrast, and the p that Holm asks of it where he stops."""
        own = self.p_values[contrast]
        before = sorted(p for i, p in self.p_values.items() if p < own)
        steps = [p * (self.left - step) for step, p in enumerate([*before, own])]
        passed = min(len(before), len(self.certain))  # Holm stops there, if not before
        return min(max(steps), 1.0), self.level(self.left - passed)


@dataclass(frozen=True)
class Look:
    """What was seen when so many seeds were looked at; ``interval`` misses in ``level`` of cases.

    All intervals of a contrast together hold the true difference with 95 %.
    """

    seeds: int
    level: float
    mean: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What the pairs say. None stands for what they cannot tell, never for zero.

    ``pairs``, mean and deviation are over the seeds that both sides completed, up to the last look
    that took place; before the first look, of all there are. ``interval`` is right over all looks.
    ``p_value`` is of the look that decided, else of the last, ``p_holm`` adjusted for the family;
    ``p_required`` is what ``p_value`` must not exceed there. Wins, losses and the probability of
    improvement count the diverged too.

    ``verdict`` is None before the first look. ``next_look`` is the coming one of a contrast that is
    not decided, ``missing`` are the seeds it lacks; ``waits`` is True where the verdict hangs on
    seeds of other contrasts of the family. ``unused`` counts the pairs after the last look.
    ``below_margin`` marks a better or worse whose interval lies inside the margin,
    ``contradicted_by_last_look`` a verdict that the last look alone would not give. Of an undecided
    contrast ``seeds_needed`` is the look that decides with 80 % power if the true difference is
    the one seen, ``seeds_needed_at_margin`` if it is the margin; None where no look of the plan
    does.
    """

    pairs: int
    mean_difference: float | None
    std_difference: float | None
    interval: Interval | None
    looks: tuple[Look, ...]
    next_look: int | None
    missing: tuple[int, ...]
    waits: bool
    unused: int
    p_value: float | None
    p_holm: float | None
    p_required: float | None
    wins: int
    ties: int
    losses: int
    probability_of_improvement: float | None
    probability_ci95: Interval | None
    diverged: tuple[int, int]
    verdict: Verdict | None
    decided_at: int | None
    below_margin: bool
    contradicted_by_last_look: bool
    seeds_needed: int | None
    seeds_needed_at_margin: int | None

    @property
    def deciding_look(self) -> Look | None:
        """The look to quote: the last or, where that points elsewhere, the one that decided."""
        if self.contradicted_by_last_look:
            return next(look for look in self.looks if look.seeds == self.decided_at)
        return self.looks[-1] if self.looks else None

    @property
    def decided(self) -> bool:
        """Whether no further seed can change the verdict."""
        return self.decided_at is not None


def judge(family: Sequence[Pairs], looks: tuple[int, ...], margin: float) -> tuple[Contrast, ...]:
    """Return one ``Contrast`` for each of the family's ``Pairs``, judged together.

    ``looks`` are the numbers of seeds at which the plan has one look; ``margin`` is in the metric's
    own unit. No finite input yields NaN. Raises ValueError for values that are not finite and for a
    negative margin.
    """
    samples: dict[tuple[int, int], Sample] = {}

    def sample(place: int, look: int) -> Sample:
        if (place, look) not in samples:
            samples[place, look] = family[place].sample(looks[look])
        return samples[place, look]

    taken = [sum(seeds <= pairs.complete for seeds in looks) for pairs in family]
    decisions = replay(looks, taken, lambda place, look: sample(place, look).evidence(margin))
    return tuple(
        _contrast(pairs, looks, margin, decision, [sample(place, look) for look in range(count)])
        for place, (pairs, decision, count) in enumerate(zip(family, decisions, taken, strict=True))
    )


def _contrast(
    pairs: Pairs,
    looks: tuple[int, ...],
    margin: float,
    decision: SequentialDecision,
    samples: Sequence[Sample],
) -> Contrast:
    course = tuple(
        Look(seeds, level, sample.mean, sample.interval(level))
        for seeds, level, sample in zip(looks, nominal_levels(looks), samples, strict=False)
    )
    last = samples[-1] if samples else pairs.sample()
    interval = course[-1].interval if course else None
    tested = None if not samples else samples[-1 if decision.look is None else decision.look]
    decided_at = looks[decision.look or 0] if decision.verdict else None
    coming = () if decision.verdict else looks[len(samples) :]
    fair = tested is not None and last.diverged[0] == last.diverged[1]
    likely = (
        _likely(last, looks, coming, decision.left, margin) if fair and coming else (None, None)
    )
    wins, ties, losses = last.outcomes
    share, share_interval = stats.probability_of_improvement(wins, ties, losses)
    return Contrast(
        pairs=last.pairs,
        mean_difference=last.mean,
        std_difference=last.std,
        interval=interval,
        looks=course,
        next_look=coming[0] if coming else None,
        missing=tuple(s for s in pairs.order[: sum(coming[:1])] if s not in pairs.both),
        waits=decision.look is not None and decision.verdict is None,
        unused=len(pairs.both) - len(pairs.both & set(pairs.order[: course[-1].seeds]))
        if course
        else 0,
        p_value=tested.p_value if tested else None,
        p_holm=decision.p_holm,
        p_required=decision.p_required,
        wins=wins,
        ties=ties,
        losses=losses,
        probability_of_improvement=share,
        probability_ci95=share_interval,
        diverged=last.diverged,
        verdict=decision.verdict or ("undecided" if samples else None),
        decided_at=decided_at,
        below_margin=decision.verdict in ("better", "worse") and _inside(interval, margin),
        contradicted_by_last_look=decision.verdict is not None
        and tested is not last
        and _contradicted(decision.verdict, last.mean, interval, margin),
        seeds_needed=likely[0],
        seeds_needed_at_margin=likely[1],
    )


def _likely(
    sample: Sample,
    looks: tuple[int, ...],
    coming: Sequence[int],
    left: tuple[int, int],
    margin: float,
) -> tuple[int | None, int | None]:
    """Return the likely looks of the decision, for the difference that was seen and the margin."""
    if sample.mean is None or sample.std is None:
        return None, None
    two_sided = dict(zip(looks, nominal_levels(looks, ALPHA / left[0], 2), strict=True))
    one_sided = dict(zip(looks, nominal_levels(looks, ALPHA / left[1], 1), strict=True))
    observed, at_margin = (
        power.seeds_needed(
            mean=sample.mean,
            std=sample.std,
            seen=sample.pairs,
            truth=truth,
            margin=margin,
            looks=[(seeds, two_sided[seeds], one_sided[seeds]) for seeds in coming],
        )
        for truth in (sample.mean, math.copysign(margin, sample.mean))
    )
    return observed, at_margin


def _inside(interval: Interval | None, margin: float) -> bool:
    return interval is not None and -margin < interval[0] and interval[1] < margin


def _contradicted(
    verdict: Verdict | None, mean: float | None, interval: Interval | None, margin: float
) -> bool:
    """Tell whether the last look, by itself, points elsewhere than the verdict."""
    match verdict:
        case "better":
            return interval is not None and interval[0] <= 0
        case "worse":
            return interval is not None and interval[1] >= 0
        case "equivalent":
            return mean is not None and abs(mean) > margin
        case _:
            return False


def withheld(contrast: Contrast) -> Contrast:
    """Return the contrast without a verdict, where the sides were not chosen on equal terms."""
    return replace(
        contrast,
        verdict=None,
        decided_at=None,
        waits=False,
        below_margin=False,
        contradicted_by_last_look=False,
        seeds_needed=None,
        seeds_needed_at_margin=None,
    )


def negated(contrast: Contrast) -> Contrast:
    """Return the contrast of gains as one of differences in a metric of which less is better."""
    return replace(
        contrast,
        mean_difference=_minus(contrast.mean_difference),
        interval=_mirrored(contrast.interval),
        looks=tuple(
            replace(look, mean=_minus(look.mean), interval=_mirrored(look.interval))
            for look in contrast.looks
        ),
    )


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _mirrored(interval: Interval | None) -> Interval | None:
    return (-interval[1], -interval[0]) if interval else None
