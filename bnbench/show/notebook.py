"""A study in a notebook: a part of an HTML page, and a data frame of its runs."""

from collections.abc import Sequence
from typing import Any

from bnbench.errors import EnvironmentFault
from bnbench.evidence.advice import Advice
from bnbench.evidence.comparison import Comparison
from bnbench.show import formats
from bnbench.show.page import pages

CALLS = Advice(
    more_seeds="bnbench.run(…, until_settled=True)",
    seeds=lambda seeds: f"bnbench.run(…, seeds={seeds})",
    all_pairs="all_pairs=True",
    rates='bnbench.run(…, settings={"training.learning_rate": (0.001, 0.003, 0.01, 0.03)})',
    standardize='bnbench.run(…, settings={"data.standardize": True})',
    balanced='metric="test_balanced_accuracy"',
    recalls="study.report(), which has the recall of every class",
    sweep=lambda sweep: f"bnbench.run(…, settings={dict(sweep)})",
    set=lambda key, value: f"bnbench.run(…, settings={{'{key}': {value}}})",
)


def to_html(comparisons: Sequence[Comparison], warnings: Sequence[str] = ()) -> str | None:
    """Return answer, tables and remarks as HTML that runs nothing; None where Jinja2 is missing."""
    try:
        from bnbench.show import html
    except EnvironmentFault:
        return None  # the notebook then shows the text
    return html.template("notebook.html").render(warnings=warnings, pages=pages(comparisons, CALLS))


def to_frame(comparisons: Sequence[Comparison]) -> Any:
    """Return a pandas DataFrame with a row to a run; raises `EnvironmentFault` without pandas."""
    try:
        import pandas as pd
    except ImportError as error:
        raise EnvironmentFault("a frame needs pandas: pip install 'bnbench[notebook]'") from error
    frame = pd.DataFrame(formats.run_rows(comparisons), columns=list(formats.CSV_FIELDS))
    return frame.astype({"started_at": "datetime64[us, UTC]"})
