"""Verdicts that stay right while seeds are added: a group-sequential test of each contrast.

A plan names the numbers of seeds at which one may look, such as 10, 15, … 40. At each look the
difference is tested against zero and against the margin, at levels so small that all looks together
err in 5 % of cases (`levels`); several contrasts share these 5 % by Holm's procedure (`decisions`).
The first look that decides gives the verdict; no later seed changes it. Looks are always replayed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bnbench.evidence import power
from bnbench.evidence.decisions import Verdict, replay
from bnbench.evidence.levels import ALPHA, nominal_levels
from bnbench.evidence.pairs import Pairs, Sample
from bnbench.evidence.stats import Interval


@dataclass(frozen=True)
class Look:
    """The sample of the first ``seeds``; its interval misses the truth in ``level`` of cases.

    All intervals of a contrast together contain the true difference with 95 %.
    """

    seeds: int
    level: float
    sample: Sample

    @cached_property
    def interval(self) -> Interval | None:
        """The t interval of the mean, where the sample has one."""
        return self.sample.interval(self.level)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The result of a contrast of two experiments. None means unknown, never zero.

    ``sample`` is of the last of the ``looks`` that took place; before the first, of all there is.
    Its numbers are in the metric's own unit, as is the ``margin``. ``verdict`` is None before the
    first look. ``tested`` is the look that decided (or will, once others of the family have their
    seeds), else the last. ``p_holm``, ``p_required`` and ``left`` are those of the decision.

    ``coming`` are the looks to come of a contrast that is not decided, ``missing`` the seeds that
    the next of them lacks. With ``waits_for_others`` the verdict depends on seeds of other
    contrasts of the family. ``unused`` counts the pairs after the last look.
    """

    sample: Sample
    looks: tuple[Look, ...]
    coming: tuple[int, ...]
    margin: float
    verdict: Verdict | None
    tested: Look | None
    p_holm: float | None
    p_required: float | None
    left: tuple[int, int]
    missing: tuple[int, ...]
    waits_for_others: bool
    unused: int

    @property
    def interval(self) -> Interval | None:
        """The interval of the last look, which is right over all looks."""
        return self.looks[-1].interval if self.looks else None

    @property
    def p_value(self) -> float | None:
        """The contrast's own p at the look that decided, else at the last."""
        return self.tested.sample.p_value if self.tested else None

    @property
    def decided(self) -> bool:
        """Whether no further seed can change the verdict."""
        return self.verdict not in (None, "undecided")

    @property
    def decided_at(self) -> int | None:
        """The number of seeds at which the verdict fell."""
        return self.tested.seeds if self.tested and self.decided else None

    @property
    def below_margin(self) -> bool:
        """Whether the interval of a better or worse lies inside the margin."""
        if self.verdict not in ("better", "worse") or self.interval is None:
            return False
        return -self.margin < self.interval[0] and self.interval[1] < self.margin

    @property
    def contradicted_by_last_look(self) -> bool:
        """Whether a look after the one that decided would not give the same verdict."""
        if self.interval is None or self.sample.mean is None or self.tested is self.looks[-1]:
            return False
        low, high = sorted(self.sample.direction * end for end in self.interval)
        contradicts = {
            "better": low <= 0,
            "worse": high >= 0,
            "equivalent": abs(self.sample.mean) > self.margin,
        }
        return self.decided and contradicts[str(self.verdict)]

    @property
    def deciding_look(self) -> Look | None:
        """The look to quote: the last or, if it contradicts the verdict, the one that decided."""
        if self.contradicted_by_last_look:
            return self.tested
        return self.looks[-1] if self.looks else None

    @property
    def next_look(self) -> int | None:
        """The number of seeds of the next look."""
        return self.coming[0] if self.coming else None

    @property
    def seeds_needed(self) -> int | None:
        """The look that decides with 80 % power if the true difference is the one seen, if any."""
        return self._seeds_needed(self.sample.mean or 0.0)

    @property
    def seeds_needed_at_margin(self) -> int | None:
        """The same if the true difference is the margin."""
        return self._seeds_needed(math.copysign(self.margin, self.sample.mean or 0.0))

    def _seeds_needed(self, truth: float) -> int | None:
        ours, theirs = self.sample.diverged
        if self.verdict != "undecided" or ours != theirs:
            return None
        plan = (*(look.seeds for look in self.looks), *self.coming)
        two_sided = nominal_levels(plan, ALPHA / self.left[0], sides=2)
        one_sided = nominal_levels(plan, ALPHA / self.left[1], sides=1)
        looks = list(zip(plan, two_sided, one_sided, strict=True))[len(self.looks) :]
        return power.seeds_needed(self.sample, truth, self.margin, looks)

    def withheld(self) -> "Contrast":
        """Return it without a verdict, where the sides were not chosen on equal terms."""
        return replace(self, verdict=None, waits_for_others=False)


def judge(family: Sequence[Pairs], looks: tuple[int, ...], margin: float) -> tuple[Contrast, ...]:
    """Return one ``Contrast`` for each of the family's ``Pairs``, judged together.

    ``looks`` are the numbers of seeds at which the plan has one look; ``margin`` is in the metric's
    own unit. No finite input yields NaN. Raises ValueError for values that are not finite and for a
    negative margin.
    """
    courses = [
        [
            Look(seeds, level, pairs.sample(seeds))
            for seeds, level in zip(looks, nominal_levels(looks), strict=True)
            if seeds <= pairs.complete
        ]
        for pairs in family
    ]
    decisions = replay(
        looks,
        [len(course) for course in courses],
        lambda place, look: courses[place][look].sample.evidence(margin),
    )
    contrasts = []
    for pairs, course, decision in zip(family, courses, decisions, strict=True):
        coming = () if decision.verdict else looks[len(course) :]
        needed = pairs.order[: coming[0]] if coming else ()
        contrast = Contrast(
            sample=course[-1].sample if course else pairs.sample(),
            looks=tuple(course),
            coming=coming,
            margin=margin,
            verdict=decision.verdict or ("undecided" if course else None),
            tested=course[-1 if decision.look is None else decision.look] if course else None,
            p_holm=decision.p_holm,
            p_required=decision.p_required,
            left=decision.left,
            missing=tuple(seed for seed in needed if seed not in pairs.both),
            waits_for_others=decision.look is not None and decision.verdict is None,
            unused=len(pairs.both - set(pairs.order[: course[-1].seeds])) if course else 0,
        )
        contrasts.append(contrast)
    return tuple(contrasts)
