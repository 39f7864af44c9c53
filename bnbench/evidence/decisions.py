"""The decisions of a family of contrasts: the looks of a plan, replayed in their order.

Sources: Holm 1979 and Maurer and Bretz 2013 (several contrasts over several looks); `levels` has
the levels of the looks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from bnbench.evidence.levels import ALPHA, Sides, nominal_levels
from bnbench.evidence.pairs import Evidence

Verdict = Literal["better", "worse", "equivalent", "undecided"]


class SequentialDecision(NamedTuple):
    """The state of one contrast after the looks that took place.

    ``look`` is the place of the look that gave the verdict; without one, of the first whose result
    depends on seeds that other contrasts of the family lack, or None. ``p_holm`` (p adjusted for
    the family) and ``p_required`` (what the contrast's own p must not exceed) are of that look,
    else of the last. ``left`` counts those of the family not better or worse, and not equivalent.
    """

    verdict: Verdict | None = None
    look: int | None = None
    p_holm: float | None = None
    p_required: float | None = None
    left: tuple[int, int] = (1, 1)


def replay(
    looks: tuple[int, ...], taken: Sequence[int], evidence: Callable[[int, int], Evidence]
) -> list[SequentialDecision]:
    """Return the decision of each contrast of a family: the first look that decides is the verdict.

    ``taken`` has for each contrast the number of ``looks`` that took place; ``evidence`` is called
    with the places of contrast and look. At each look Holm's step-down procedure runs with the
    levels of that look; contrasts that were rejected before stay so. A result that depends on a
    contrast that has not reached the look waits for it: no further record changes a verdict.
    """
    family = len(taken)
    decisions = [SequentialDecision(left=(family, family))] * family
    for look in range(len(looks)):
        undecided = [i for i, d in enumerate(decisions) if d.verdict is None]
        present = [i for i in undecided if decisions[i].look is None and taken[i] > look]
        seen = {i: evidence(i, look) for i in present}
        verdicts = [decision.verdict for decision in decisions]
        absent = len(undecided) - len(present)
        left = family - verdicts.count("better") - verdicts.count("worse")
        p_values = {i: e.p_difference for i, e in seen.items()}
        difference = HolmStepDown(looks, look, 2, p_values, left, absent)
        p_values = {i: e.p_equivalence for i, e in seen.items()}
        left = family - verdicts.count("equivalent")
        equivalence = HolmStepDown(looks, look, 1, p_values, left, absent)
        still_left = (
            difference.left - len(difference.certain),
            equivalence.left - len(equivalence.certain - difference.possible),
        )
        for i in present:
            verdict: Verdict | None = None
            if i in difference.certain:
                verdict = "better" if seen[i].sign > 0 else "worse"
            elif i in equivalence.certain and i not in difference.possible:
                verdict = "equivalent"
            ends = i in difference.possible or i in equivalence.possible  # decides, or waits
            decisions[i] = SequentialDecision(
                verdict, look if ends else None, *difference.adjusted(i), still_left
            )
    return decisions


@dataclass(frozen=True)
class HolmStepDown:
    """Holm's procedure at one look: the smallest p first, each against the level of those left.

    ``look`` is the look's place in the plan's ``looks``. ``left`` counts the contrasts that no
    earlier look rejected, the ``absent`` among them: those that have not reached this look.
    """

    looks: tuple[int, ...]
    look: int
    sides: Sides
    p_values: Mapping[int, float]
    left: int
    absent: int

    @cached_property
    def certain(self) -> frozenset[int]:
        """The contrasts that are rejected even if none of the absent ones is."""
        return self._rejected(self.left)

    @cached_property
    def possible(self) -> frozenset[int]:
        """The contrasts that are rejected if all absent ones are."""
        return self._rejected(self.left - self.absent)

    def _level(self, left: int) -> float:
        return nominal_levels(self.looks, ALPHA / left, self.sides)[self.look]

    def _rejected(self, left: int) -> frozenset[int]:
        rejected: set[int] = set()
        for i in sorted(self.p_values, key=self.p_values.__getitem__):
            if self.p_values[i] > self._level(left - len(rejected)):
                break
            rejected.add(i)
        return frozenset(rejected)

    def adjusted(self, contrast: int) -> tuple[float, float]:
        """Return the adjusted p of a contrast, and the p required of it at the step it reaches."""
        own = self.p_values[contrast]
        before = sorted(p for i, p in self.p_values.items() if p < own)
        steps = [p * (self.left - step) for step, p in enumerate([*before, own])]
        passed = min(len(before), len(self.certain))  # Holm stops there, if not before
        return min(max(steps), 1.0), self._level(self.left - passed)
