"""Data sets as tables of text, not yet laid out for any medium."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bnbench.show.grids import Column, Grid, grid, text
from bnbench.text import percent

if TYPE_CHECKING:
    from bnbench.datasets.fashion_mnist import DataFile
    from bnbench.datasets.tables import Candidate
    from bnbench.training.inspection import Inspection


def data_files(found: Mapping[str, Sequence["DataFile"]]) -> Grid:
    """Return where each file of each data set was found, with its checksum, or what is wrong."""
    return grid(
        "Data sets",
        [(name, file) for name, files in found.items() for file in files],
        (text("data set"), lambda pair: pair[0]),
        (text("file"), lambda pair: pair[1].name),
        (
            text("found in"),
            lambda pair: str(pair[1].path.parent) if pair[1].path else pair[1].problem,
        ),
        (text("checksum", 1), lambda pair: pair[1].checksum),
    )


def parts(inspection: "Inspection") -> Grid:
    """Return a data set's rows, features, classes and scales, each with its number."""
    summary = inspection.summary
    numbers = {
        "training rows": summary.rows[0],
        "validation rows": summary.rows[1],
        "test rows": summary.rows[2],
        "features": inspection.features,
        "classes": summary.classes,
    }
    scales = zip(
        ("small range of a feature", "largest range of a feature"),
        map(_range, summary.feature_scales),
        strict=True,
    )
    rows = (*((name, f"{number:,}") for name, number in numbers.items()), *scales)
    return Grid("Data", (text("what"), Column("number")), rows)


def _range(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= value < 1e9 else f"{value:.3g}"


def class_rows(inspection: "Inspection") -> Grid:
    """Return the rows of every class, in all and in each part."""
    names = inspection.summary.class_names or tuple(map(str, range(inspection.summary.classes)))
    totals = inspection.rows_by_class.sum(axis=1)
    parts = (Column(part, dispensable=2) for part in ("train", "validate", "test"))
    rows = (
        (name, f"{total:,}", percent(total / totals.sum()), *(f"{n:,}" for n in rows))
        for name, total, rows in zip(names, totals, inspection.rows_by_class, strict=True)
    )
    columns = (text("class"), Column("rows"), Column("share", "%", dispensable=1), *parts)
    return Grid("Classes", columns, tuple(rows))


def label_candidates(candidates: Iterable["Candidate"]) -> Grid:
    """Return the columns of a table that might hold the class."""
    return grid(
        "Possible labels",
        candidates,
        (text("column"), lambda one: one.name),
        (text("type"), lambda one: one.kind),
        (Column("different values"), lambda one: f"{one.values:,}"),
    )
