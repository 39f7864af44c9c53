"""One run to be made, and the order in which several are made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from bnbench.experiments.config import Config
from bnbench.experiments.sweep import typed_name


@dataclass(frozen=True)
class Trial:
    """One run to be made: one experiment with one seed."""

    config: Config
    seed: int

    def __str__(self) -> str:
        return f"{typed_name(self.config)} seed {self.seed}"


def interleave(seeds: Mapping[Config, Iterable[int]]) -> list[Trial]:
    """Return all runs, seed by seed, so that a machine that slows down affects all experiments."""
    rows = zip_longest(*([Trial(config, s) for s in own] for config, own in seeds.items()))
    return [trial for row in rows for trial in row if trial is not None]
