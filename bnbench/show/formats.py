"""Comparisons as text for programs and papers: JSON, CSV, Markdown and LaTeX."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bnbench.evidence.comparison import Comparison, Experiment, ExperimentContrast, Tuning
from bnbench.evidence.records import RunRecord
from bnbench.experiments.sweep import swept_values
from bnbench.show import grids
from bnbench.show.grids import Grid
from bnbench.show.sentences import closing, title
from bnbench.text import visible

SCHEMA_VERSION = 1


def to_json(comparisons: Sequence[Comparison]) -> str:
    """Return all numbers unrounded, as strict JSON; accuracies are shares of 1, times seconds."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "protocols": [_protocol(c) for c in comparisons if not c.tuning],
        "tuned": [_tuned(c, c.tuning) for c in comparisons if c.tuning],
    }
    text = json.dumps(content, indent=1, allow_nan=False)  # escapes all that is not ASCII
    return text.replace("\x7f", "\\u007f") + "\n"


def _tuned(comparison: Comparison, tuning: Tuning) -> dict[str, Any]:
    candidates = [
        {
            "name": candidate.label,
            "config": candidate.config.name,
            "values": swept_values(candidate.config),
            "chosen": candidate.label in tuning.chosen,
            "diverged": candidate.diverged,
            "val_accuracy": _metric(candidate),
        }
        for candidate in tuning.candidates
    ]
    return {"keys": tuning.keys, "candidates": candidates, **_body(comparison)}


def _protocol(comparison: Comparison) -> dict[str, Any]:
    return {"protocol_id": comparison.config.protocol_id, **_body(comparison)}


def _body(comparison: Comparison) -> dict[str, Any]:
    return {
        "protocol": comparison.protocol,
        "data_sha256": comparison.baseline.newest.data.sha256,
        "metric": comparison.metric,
        "baseline": comparison.baseline.label,
        "margin": comparison.margin,
        "experiments": [_experiment(comparison, e) for e in comparison.experiments],
        "contrasts": [_contrast(contrast) for contrast in comparison.contrasts],
        "warnings": list(grids.remarks(comparison)),
        "sentences": closing(comparison),
    }


def _experiment(comparison: Comparison, experiment: Experiment) -> dict[str, Any]:
    quartiles = experiment.epoch_quartiles
    ratio = comparison.ratios[experiment.label]
    return {
        "name": experiment.label,
        "experiment_id": experiment.newest.experiment_id,
        "placement": experiment.config.model.batch_norm.placement,
        "seeds": len(experiment.records),
        "diverged": experiment.diverged,
        "metric": _metric(experiment),
        "epoch_seconds": {
            "median": quartiles[1] if quartiles else None,
            "quartiles": [quartiles[0], quartiles[2]] if quartiles else None,
            "ratio_to_baseline": ratio.ratio,
            "ratio_ci95": ratio.ci95,
            "not_comparable": ratio.refused,
        },
        "parameters": experiment.newest.parameters.model_dump(),
    }


def _metric(experiment: Experiment) -> dict[str, Any]:
    return {
        "mean": experiment.mean,
        "std": experiment.std,
        "ci95": experiment.ci95,
        "values": experiment.values,
    }


def _contrast(contrast: ExperimentContrast) -> dict[str, Any]:
    found = contrast.result
    return {
        "experiment": contrast.experiment,
        "baseline": contrast.baseline,
        "pairs": found.pairs,
        "mean_difference": found.mean_difference,
        "std_difference": found.std_difference,
        "ci95": found.ci95,
        "p_value": found.p_value,
        "p_holm": found.p_holm,
        "wins": found.wins,
        "ties": found.ties,
        "losses": found.losses,
        "probability_of_improvement": found.probability_of_improvement,
        "probability_ci95": found.probability_ci95,
        "verdict": found.verdict,
        "reason": found.reason,
        "below_margin": found.below_margin,
        "seeds_needed": found.seeds_needed,
        "differs_in": contrast.differs_in,
    }


_CSV_FIELDS: dict[str, Callable[[RunRecord], Any]] = {
    "experiment": lambda r: r.experiment,
    "experiment_id": lambda r: r.experiment_id,
    "protocol_id": lambda r: r.protocol_id,
    "placement": lambda r: r.config.model.batch_norm.placement,
    "input_batch_norm": lambda r: r.config.model.batch_norm.input,
    "seed": lambda r: r.seed,
    "status": lambda r: r.status,
    "started_at": lambda r: r.started_at,
    "test_accuracy": lambda r: r.test_accuracy,
    "test_loss": lambda r: r.test_loss,
    "val_accuracy": lambda r: _last(r.history.val_accuracy),
    "val_loss": lambda r: _last(r.history.val_loss),
    "accuracy": lambda r: _last(r.history.accuracy),
    "loss": lambda r: _last(r.history.loss),
    "epochs": lambda r: len(r.history.loss),
    "epoch_seconds_total": lambda r: sum(r.history.epoch_seconds),
    "compile_seconds": lambda r: r.compile_seconds,
    "duration_seconds": lambda r: r.duration_seconds,
    "parameters": lambda r: r.parameters.total,
    "trainable_parameters": lambda r: r.parameters.trainable,
    "device": lambda r: r.environment.device,
    "processor": lambda r: r.environment.processor,
    "jobs": lambda r: r.environment.jobs,
    "tensorflow": lambda r: r.environment.tensorflow,
    "data_sha256": lambda r: r.data.sha256,
    "weights_sha256": lambda r: r.weights_sha256,
}


def to_csv(comparisons: Iterable[Comparison]) -> str:
    """Return one row for each run: ISO dates, unrounded numbers, nothing where there is nothing."""
    protocols = (comparison for comparison in comparisons if not comparison.tuning)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_FIELDS)
    for comparison in protocols:
        for experiment in comparison.experiments:
            for record in experiment.records.values():
                writer.writerow([_csv_cell(read(record)) for read in _CSV_FIELDS.values()])
    return text.getvalue()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = visible(value)
    # A spreadsheet would take such a text for a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _last(values: Sequence[float]) -> float | None:
    return values[-1] if values else None


def to_markdown(comparisons: Iterable[Comparison]) -> str:
    """Return titles, tables, remarks and sentences as GitHub-flavoured Markdown."""
    return _document(
        comparisons, lambda c: f"## {_md(title(c))}", _markdown_grid, lambda s: f"- {_md(s)}"
    )


def _markdown_grid(grid: Grid) -> str:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rules = (("--:" if column.numeric else "---") for column in grid.columns)
    header = line(_md(column.header) for column in grid.columns)
    rows = [line(map(_md, row)) for row in grid.rows]
    return "\n".join([f"**{_md(grid.title)}**", "", header, line(rules), *rows])


# What GitHub makes links of, escaped or not: addresses, @names and numbers of issues.
_LINKED = re.compile(r"@|:(?=//)|www(?=\.)|#(?=\d)", re.IGNORECASE)


def _md(text: str) -> str:
    escaped = "".join(f"\\{c}" if c in "\\`*_[]<>|#~$&!" else c for c in visible(text))
    return _LINKED.sub(r"\g<0><!-- -->", escaped)


def to_latex(comparisons: Iterable[Comparison]) -> str:
    """Return the same as LaTeX tables for the package booktabs."""
    return _document(
        comparisons, lambda c: f"% {visible(title(c))}", _latex_grid, lambda s: f"% {visible(s)}"
    )


def _latex_grid(grid: Grid) -> str:
    def line(cells: Iterable[str]) -> str:
        return f"{' & '.join(map(_tex, cells))} \\\\"

    alignment = "".join("r" if column.numeric else "l" for column in grid.columns)
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{_tex(grid.title)}}}",
            f"\\begin{{tabular}}{{{alignment}}}",
            "\\toprule",
            line(column.header for column in grid.columns),
            "\\midrule",
            *(line(row) for row in grid.rows),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        ]
    )


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"\(\pm\)",
    "×": r"\(\times\)",
    "–": "--",
    "−": r"\(-\)",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
} | {c: f"\\{c}" for c in "&%$#_{}"}


_MINUS = re.compile(r"(?<![\w-])-(?=\.?\d)")  # not the hyphen of a word or a date


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in _MINUS.sub("−", visible(text)))


def _document(
    comparisons: Iterable[Comparison],
    heading: Callable[[Comparison], str],
    table: Callable[[Grid], str],
    sentence: Callable[[str], str],
) -> str:
    blocks = []
    for comparison in comparisons:
        blocks.append(heading(comparison))
        blocks.extend(table(grid) for grid in grids.grids(comparison))
        said = [*grids.remarks(comparison), *closing(comparison)]
        blocks.append("\n".join(map(sentence, said)))
    return "\n\n".join(blocks) + "\n"
