"""What is measured: repeated values with their medians, quartiles and ratios."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of repeated values."""

    median: float
    quartiles: tuple[float, float]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise the values; of one value, all three are that value."""
        if len(values) == 1:
            return cls(values[0], (values[0], values[0]))
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), (low, high))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One quantity of one program, measured once a round.

    ``ratios`` has, by the name of what it is compared with, the spread of the ratio taken within
    each round, so that the machine was in the same state for both sides.
    """

    subject: str
    program: str
    form: str = ""
    quantity: str
    unit: str
    values: tuple[float, ...]
    ratios: dict[str, Spread] = field(default_factory=dict)
    note: str = ""

    @property
    def spread(self) -> Spread:
        """Median and quartiles over the rounds."""
        return Spread.of(self.values)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data, and the spread where there are values."""
        return asdict(self) | (asdict(self.spread) if self.values else {})


@dataclass
class Section:
    """The figures of one part of the benchmark, and what is to be said about them."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def find(self, **wanted: str) -> list[Figure]:
        """Return the figures whose fields have these values."""
        return [
            figure
            for figure in self.figures
            if all(getattr(figure, name) == value for name, value in wanted.items())
        ]

    def to_json(self) -> dict[str, Any]:
        """Return title, notes and figures as plain data."""
        return {
            "title": self.title,
            "seconds": self.seconds,
            "notes": self.notes,
            "figures": [figure.to_json() for figure in self.figures],
        }


def times(faster: Sequence[float], slower: Sequence[float]) -> Spread:
    """Return the spread over rounds of how many times ``faster`` goes into ``slower``."""
    return Spread.of([b / a for a, b in zip(faster, slower, strict=True)])
