"""What the measurement is held to, as far as its sections were measured."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.figures import Section, times
from tests.benchmarks.rounds import ALONE, SPREAD


@dataclass(frozen=True)
class Target:
    """A number that is to be reached (``at_least``) or not exceeded."""

    what: str
    wanted: float
    measured: float
    unit: str = ""
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether the number lies on the right side."""
        if self.at_least:
            return self.measured >= self.wanted
        return self.measured <= self.wanted

    def to_json(self) -> dict[str, Any]:
        """Return the target and whether it is met."""
        return asdict(self) | {"met": self.met}


def judge(sections: Sequence[Section]) -> list[Target]:
    """Return the targets that these sections speak of."""
    judges = {
        "epoch": _epoch,
        "engines": _engines,
        "growth": _growth,
        "command": _command,
        "latency": _latency,
    }
    return [target for section in sections for target in judges[section.name](section)]


def _epoch(section: Section) -> Iterator[Target]:
    for rate in section.find(program="bnbench", form=SPREAD, quantity="all cores"):
        for program, wanted in (("model.fit", 6), ("JAX scan", 1.5)):
            for rival in section.find(program=program, subject=rate.subject, quantity="all cores"):
                if rival.values:
                    what = f"{rate.subject}: epochs/s × {program}, {rival.form}"
                    yield Target(what, wanted, times(rival.values, rate.values).median)
    for alone in section.find(program="bnbench", form=ALONE, quantity="epoch"):
        network = alone.subject
        yield Target(f"{network}: one run alone, × model.fit", 3, alone.ratios["model.fit"].median)
        if floor := alone.ratios.get("matrix products"):
            yield Target(f"{network}: epoch of the floor", 1.3, floor.median, at_least=False)


def _engines(section: Section) -> Iterator[Target]:
    for figure in section.find(quantity="epoch"):
        if figure.form != "1 at once":
            what = f"{figure.subject}: epoch of each of {figure.form}, of one alone"
            yield Target(what, 1.1, figure.ratios["one alone"].median, at_least=False)
    for figure in section.find(program="Ray", quantity="first epoch to last record"):
        if figure.values:
            ratio = figure.ratios["processes"].median
            yield Target("runs on Ray, of worker processes", 1.25, ratio, at_least=False)


def _growth(section: Section) -> Iterator[Target]:
    memory = section.find(quantity="resident memory")
    by_seeds = {figure.subject: figure.spread.median for figure in memory}
    if {"5 seeds", "50 seeds"} <= by_seeds.keys():
        growth = by_seeds["50 seeds"] / by_seeds["5 seeds"]
        yield Target("resident memory after 50 seeds, of that after 5", 1.1, growth, "", False)


def _command(section: Section) -> Iterator[Target]:
    whole = section.find(quantity="whole command")[0].spread.median
    training = section.find(quantity="training")[0].spread.median
    yield Target("training, of the wall time of a run", 85, 100 * training / whole, " %")


def _latency(section: Section) -> Iterator[Target]:
    (bare,) = (f.spread.median for f in section.find(program="bare typer"))
    for figure in section.find(program="bnbench"):
        if figure.subject == "--help":
            ratio = figure.ratios["bare typer"].median
            yield Target("--help, of a bare typer program's", 1.3, ratio, "", False)
        allowed = {"compare, 30 records": 0.7, "compare, 10,000 records": 2.5}
        if figure.subject in allowed:
            over = figure.spread.median - bare
            yield Target(
                f"{figure.subject}, over a bare --help",
                allowed[figure.subject],
                over,
                " s",
                at_least=False,
            )
