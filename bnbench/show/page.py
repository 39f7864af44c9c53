"""The page of a comparison: put together once, and written by every medium."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bnbench.evidence.advice import IN_WORDS, Advice
from bnbench.evidence.comparison import Comparison
from bnbench.show import grids
from bnbench.show.grids import Grid
from bnbench.show.remarks import remarks
from bnbench.show.sentences import answer, closing, title


@dataclass(frozen=True)
class Page:
    """All that is shown of one comparison, not yet laid out for any medium.

    The ``answer`` has what decides and what makes it unreliable, ``remarks`` what weakens it, and
    ``closing`` its cost and its limits; each sentence is a text.
    """

    title: str
    answer: tuple[str, ...]
    tables: tuple[Grid, ...]
    remarks: tuple[str, ...]
    closing: tuple[str, ...]


def pages(comparisons: Iterable[Comparison], advice: Advice = IN_WORDS) -> list[Page]:
    """Return a page for each comparison, in their order; ``advice`` says how to type a cure.

    Parameters that an earlier page has in its table are not shown again.
    """
    shown: set[tuple[str, ...]] = set()
    return [
        Page(
            title=title(comparison),
            answer=tuple(answer(comparison, advice)),
            tables=tuple(_tables(comparison, shown)),
            remarks=tuple(remarks(comparison)),
            closing=tuple(closing(comparison, advice)),
        )
        for comparison in comparisons
    ]


def _tables(comparison: Comparison, shown: set[tuple[str, ...]]) -> Iterator[Grid]:
    """Yield the tables in their order; rows of parameters are added to those ``shown``."""
    if len(comparison.placement_contrasts) > 1:
        yield grids.placements(comparison)
    yield grids.results(comparison)
    if comparison.contrasts:
        yield grids.contrasts(comparison)
    if comparison.tuning:
        yield grids.candidates(comparison.tuning)
    parameters = grids.parameters(comparison)
    if set(parameters.rows) - shown:
        yield parameters
    shown.update(parameters.rows)
