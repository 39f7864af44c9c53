"""Data sets as tables of text, not yet laid out for any medium."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bnbench.show.grids import NOTHING, Column, Grid
from bnbench.text import percent

if TYPE_CHECKING:
    from bnbench.datasets.dataset import DataState
    from bnbench.datasets.tables import Candidate
    from bnbench.training.inspection import Inspection


def data_files(states: Iterable["DataState"]) -> Grid:
    """Return where each file of each data set was found, with its checksum, or what is wrong."""
    return Grid(
        "Data sets",
        (
            Column("data set", numeric=False),
            Column("file", numeric=False),
            Column("found in", numeric=False),
            Column("checksum", dispensable=1, numeric=False),
        ),
        tuple(
            (
                state.dataset,
                file.name,
                str(file.path.parent) if file.path else file.problem or NOTHING,
                file.checksum,
            )
            for state in states
            for file in state.files
        ),
    )


def parts(inspection: "Inspection") -> Grid:
    """Return a data set's rows, features, classes and scales, each with its number."""
    summary = inspection.summary
    train, validation, test = summary.rows
    low, high = summary.feature_scales
    return Grid(
        "Data",
        (Column("what", numeric=False), Column("number")),
        (
            ("training rows", f"{train:,}"),
            ("validation rows", f"{validation:,}"),
            ("test rows", f"{test:,}"),
            ("features", f"{inspection.features:,}"),
            ("classes", f"{summary.classes:,}"),
            ("small range of a feature", _range(low)),
            ("largest range of a feature", _range(high)),
        ),
    )


def _range(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= value < 1e9 else f"{value:.3g}"


def class_rows(inspection: "Inspection") -> Grid:
    """Return the rows of every class, in all and in each part."""
    names = inspection.summary.class_names or tuple(map(str, range(inspection.summary.classes)))
    totals = inspection.rows_by_class.sum(axis=1)
    return Grid(
        "Classes",
        (
            Column("class", numeric=False),
            Column("rows"),
            Column("share", "%", dispensable=1),
            Column("train", dispensable=2),
            Column("validate", dispensable=2),
            Column("test", dispensable=2),
        ),
        tuple(
            (name, f"{total:,}", percent(total / totals.sum()), *(f"{n:,}" for n in rows))
            for name, total, rows in zip(names, totals, inspection.rows_by_class, strict=True)
        ),
    )


def label_candidates(candidates: Iterable["Candidate"]) -> Grid:
    """Return the columns of a table that might hold the class."""
    return Grid(
        "Possible labels",
        (Column("column", numeric=False), Column("holds", numeric=False), Column("values")),
        tuple((one.name, one.kind, f"{one.values:,}") for one in candidates),
    )
