"""Sections and targets as rich tables and as JSON; prints nothing."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from tests.benchmarks.figures import Figure, Section, Spread
from tests.benchmarks.targets import Target

HELD_AGAINST = ("model.fit", "matrix products", "bare typer", "one alone", "processes")
HEADINGS = {
    "model.fit": "× model.fit",
    "matrix products": "of the floor",
    "bare typer": "of a bare --help",
    "one alone": "of one alone",
    "processes": "of processes",
}


def table(section: Section) -> Table:
    """Return the section's table, ratios only against what was measured."""
    used = [name for name in HELD_AGAINST if any(name in f.ratios for f in section.figures)]
    return _epochs(section, used) if section.name == "epoch" else _listing(section, used)


def _epochs(section: Section, used: Sequence[str]) -> Table:
    """Return one row for every program and form: one run, then all cores together."""
    headings = [HEADINGS[name] for name in used]
    one, all_cores = ["s per epoch", "quartiles"], ["epochs/s, all cores", "quartiles"]
    grid = _grid(
        section.title, ["network", "program", "form"], [*one, *headings, *all_cores, *headings]
    )
    before = section.figures[0].subject
    for figure in section.find(quantity="epoch"):
        if figure.subject != before:
            grid.add_section()
        before = figure.subject
        labels = {"subject": figure.subject, "program": figure.program, "form": figure.form}
        rates = section.find(**labels, quantity="all cores")
        rate = _numbers(rates[0], used) if rates else [""] * (2 + len(used))
        grid.add_row(*labels.values(), *_numbers(figure, used), *rate, figure.note)
    return grid


def _listing(section: Section, used: Sequence[str]) -> Table:
    """Return one row for every figure."""
    headings = ["median", "quartiles", *(HEADINGS[name] for name in used)]
    grid = _grid(section.title, ["what", "program", "form", "quantity", "unit"], headings)
    before = None
    for figure in section.figures:
        if before not in (None, figure.subject):
            grid.add_section()
        before = figure.subject
        labels = [figure.subject, figure.program, figure.form, figure.quantity, figure.unit]
        grid.add_row(*labels, *_numbers(figure, used), figure.note)
    return grid


def _grid(title: str, labels: Sequence[str], numbers: Sequence[str]) -> Table:
    grid = Table(title=title, title_justify="left")
    for heading in labels:
        grid.add_column(heading)
    for heading in numbers:
        grid.add_column(heading, justify="right")
    grid.add_column("note")
    return grid


def _numbers(figure: Figure, used: Sequence[str]) -> list[str]:
    if not figure.values:
        return ["–", *[""] * (1 + len(used))]
    low, high = figure.spread.quartiles
    ratios = [_ratio(figure.ratios.get(name)) for name in used]
    return [_rounded(figure.spread.median), f"{_rounded(low)} to {_rounded(high)}", *ratios]


def _ratio(ratio: Spread | None) -> str:
    return f"{ratio.median:.2f}" if ratio else ""


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def target_table(targets: Sequence[Target]) -> Table:
    """Return one row for every target."""
    grid = Table(title="Targets", title_justify="left")
    for heading in ("target", "wanted", "measured", ""):
        grid.add_column(heading, justify="left" if heading in ("target", "") else "right")
    for target in targets:
        sign = "at least" if target.at_least else "at most"
        grid.add_row(
            target.what,
            f"{sign} {target.wanted:g}{target.unit}",
            f"{target.measured:.2f}{target.unit}",
            "met" if target.met else "missed",
        )
    return grid


def to_json(
    machine: dict[str, Any], settings: Any, sections: Sequence[Section], targets: Sequence[Target]
) -> dict[str, Any]:
    """Return everything as plain data, unrounded."""
    return {
        "schema_version": 1,
        "machine": machine,
        "settings": settings,
        "sections": {section.name: section.to_json() for section in sections},
        "targets": [target.to_json() for target in targets],
    }
