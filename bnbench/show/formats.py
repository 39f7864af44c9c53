"""Comparisons as text for programs and papers: JSON, CSV, Markdown and LaTeX."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from bnbench.evidence.advice import IN_WORDS, Advice
from bnbench.evidence.comparison import Comparison, ExperimentContrast
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.health import health
from bnbench.evidence.records import RunRecord
from bnbench.evidence.tuning import Tuning
from bnbench.experiments.sweep import swept_values, typed_name
from bnbench.show import terminal
from bnbench.show.grids import Grid
from bnbench.show.page import Page, pages
from bnbench.show.remarks import reason
from bnbench.text import visible

SCHEMA_VERSION = 3
MADE_HERE = re.compile(  # how the text of each format begins
    rb'\A(?:\{\n "schema_version": \d+,\n "protocols"|experiment,experiment_id,protocol_id,'
    rb"|comparison,metric,experiment,|(?:% |\*\*[^\n]+\n\n## )?(?:Smoke run, )?"
    rb"(?:[Pp]rotocol [0-9a-f]{8}|[Tt]uned over ))"
)


def to_json(comparisons: Sequence[Comparison], advice: Advice = IN_WORDS) -> str:
    """Return all numbers unrounded, as strict JSON; accuracies are shares of 1, times seconds."""
    shown = zip(comparisons, pages(comparisons, advice), strict=True)
    content = {
        "schema_version": SCHEMA_VERSION,
        "protocols": [_protocol(comparison, page, advice) for comparison, page in shown],
    }
    text = json.dumps(content, indent=1, allow_nan=False)  # escapes all that is not ASCII
    return text.replace("\x7f", "\\u007f") + "\n"


def _protocol(comparison: Comparison, page: Page, advice: Advice) -> dict[str, Any]:
    scale = comparison.question.measure.scale
    tuning = comparison.tuning
    return {
        "protocol_id": None if tuning else comparison.config.protocol_id,
        "reference": comparison.reference,
        "protocol": comparison.protocol,
        "data_sha256": comparison.baseline.newest.data.sha256,
        "training_version": comparison.baseline.newest.training_version,
        "metric": comparison.question.metric,
        "baseline": comparison.baseline.label,
        "margin": comparison.margin_in_metric,
        "plan": {**comparison.plan.model_dump(), "margin": comparison.plan.margin / scale},
        "tuned": _tuned(tuning) if tuning else None,
        "answer": page.answer,
        "health": [
            {key: getattr(finding, key) for key in ("about", "kind", "message")}
            | {"cure": finding.cure(advice)}
            for finding in health(comparison)
        ],
        "experiments": [_experiment(comparison, e) for e in comparison.experiments],
        "contrasts": [_contrast(comparison, contrast) for contrast in comparison.contrasts],
        "remarks": page.remarks,
        "closing": page.closing,
    }


def _tuned(tuning: Tuning) -> dict[str, Any]:
    """Return what was swept, and of each config the values, with the one that was chosen."""
    candidates = [
        {
            "name": typed_name(candidate.config),
            "config": one.name,
            "values": one.values(candidate),
            "chosen": candidate is one.best,
            "diverged": candidate.diverged,
            "val_accuracy": _metric(candidate),
        }
        for one in tuning.candidates
        for candidate in one.experiments
    ]
    return {"keys": tuning.keys, "tuning_seeds": tuning.tuning_seeds, "candidates": candidates}


def _experiment(comparison: Comparison, experiment: Experiment) -> dict[str, Any]:
    quartiles = experiment.epoch_quartiles
    ratio = comparison.ratios[experiment]
    return {
        "name": experiment.label,
        "experiment_id": experiment.newest.experiment_id,
        "placement": experiment.config.model.batch_norm.placement,
        "baseline": comparison.baselines[experiment].label,
        "settings": experiment.config.settings(),
        "swept": swept_values(experiment.config),
        "seeds": len(experiment.records),
        "diverged": experiment.diverged,
        "metric": _metric(experiment),
        "epoch_seconds": {
            "median": quartiles[1] if quartiles else None,
            "quartiles": [quartiles[0], quartiles[2]] if quartiles else None,
            "ratio_to_baseline": ratio.ratio,
            "ratio_ci95": ratio.ci95,
            "not_comparable": ratio.mismatch,
        },
        "parameters": experiment.newest.parameters.counts(),
    }


def _metric(experiment: Experiment) -> dict[str, Any]:
    return {key: getattr(experiment, key) for key in ("mean", "std", "ci95", "values")}


_OF_RESULT = (  # the fields of a `verdicts.Contrast` that JSON has as they are
    *("interval", "p_value", "p_holm", "p_required"),
    *("verdict", "decided_at", "below_margin", "contradicted_by_last_look"),
    *("seeds_needed", "seeds_needed_at_margin"),
)


def _contrast(comparison: Comparison, contrast: ExperimentContrast) -> dict[str, Any]:
    result = contrast.result
    sample, last = result.sample, result.looks[-1] if result.looks else None
    counts = zip(("wins", "ties", "losses"), sample.outcomes, strict=True)
    return {
        "experiment": contrast.experiment.label,
        "baseline": contrast.baseline.label,
        "ids": [contrast.experiment.identity[1], contrast.baseline.identity[1]],
        "family": contrast.family,
        "pairs": sample.pairs,
        "mean_difference": sample.mean,
        "std_difference": sample.std,
        **dict(counts),
        "probability_of_improvement": sample.improvement[0],
        "probability_ci95": sample.improvement[1],
        **{key: getattr(result, key) for key in _OF_RESULT},
        "look": {
            "seeds": last.seeds if last else None,
            "level": last.level if last else None,
            "next": result.next_look,
            "waiting_for": result.missing,
        },
        "reason": reason(comparison, contrast),
        "new_images": asdict(contrast.new_images) if contrast.new_images else None,
        "differs_in": contrast.differs_in,
    }


def _read(*names: str, of: str = "") -> dict[str, Callable[[RunRecord], Any]]:
    """Return headings with what reads these attributes of a record, or ``of`` one of its parts."""
    return {name: attrgetter(of + name) for name in names}


def _last(values: Sequence[float]) -> float | None:
    return values[-1] if values else None


CSV_FIELDS: dict[str, Callable[[RunRecord], Any]] = {
    **_read("experiment", "experiment_id", "protocol_id", "training_version"),
    **_read("placement", of="config.model.batch_norm."),
    "input_batch_norm": attrgetter("config.model.batch_norm.input"),
    **_read("seed", "status", "started_at", "test_accuracy", "test_loss"),
    "val_accuracy": lambda r: _last(r.history.val_accuracy),
    "val_loss": lambda r: _last(r.history.val_loss),
    "accuracy": lambda r: _last(r.history.accuracy),
    "loss": lambda r: _last(r.history.loss),
    "epochs": lambda r: len(r.history.loss),
    "epoch_seconds_total": lambda r: sum(r.history.epoch_seconds),
    **_read("compile_seconds", "duration_seconds"),
    "parameters": lambda r: r.parameters.counts()["total"],
    "trainable_parameters": lambda r: r.parameters.counts()["trainable"],
    **_read("device", "processor", "jobs", "tensorflow", of="environment."),
    "data_sha256": attrgetter("data.sha256"),
    **_read("weights_sha256"),
}


def run_rows(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Return one row for each run, under the CSV's headings, numbers unrounded."""
    return [
        {name: read(record) for name, read in CSV_FIELDS.items()}
        for comparison in comparisons
        if not comparison.tuning  # its runs are those of the protocols
        for experiment in comparison.experiments
        for record in experiment.records.values()
    ]


def to_csv(comparisons: Iterable[Comparison]) -> str:
    """Return one row for each run: ISO dates, unrounded numbers, nothing where there is nothing."""
    return _csv(CSV_FIELDS, (row.values() for row in run_rows(comparisons)))


CSV_CONTRAST_FIELDS: dict[str, Callable[[Comparison, ExperimentContrast], Any]] = {
    "comparison": lambda c, x: c.reference,
    "metric": lambda c, x: c.question.metric,
    "experiment": lambda c, x: x.experiment.label,
    "experiment_id": lambda c, x: x.experiment.identity[1],
    "baseline": lambda c, x: x.baseline.label,
    "baseline_id": lambda c, x: x.baseline.identity[1],
    "family": lambda c, x: x.family,
    "pairs": lambda c, x: x.result.sample.pairs,
    "mean_difference": lambda c, x: x.result.sample.mean,
    "interval_low": lambda c, x: _end(x.result.interval, 0),
    "interval_high": lambda c, x: _end(x.result.interval, 1),
    "margin": lambda c, x: c.margin_in_metric,
    "p_value": lambda c, x: x.result.p_value,
    "p_holm": lambda c, x: x.result.p_holm,
    "verdict": lambda c, x: x.result.verdict,
    "decided_at": lambda c, x: x.result.decided_at,
    "look": lambda c, x: x.result.looks[-1].seeds if x.result.looks else None,
    "next_look": lambda c, x: x.result.next_look,
    "reason": lambda c, x: reason(c, x),
    "new_images_low": lambda c, x: _end(x.new_images.interval if x.new_images else None, 0),
    "new_images_high": lambda c, x: _end(x.new_images.interval if x.new_images else None, 1),
    "holds_for_new_images": lambda c, x: x.new_images and x.new_images.holds,
    "wins": lambda c, x: x.result.sample.outcomes[0],
    "ties": lambda c, x: x.result.sample.outcomes[1],
    "losses": lambda c, x: x.result.sample.outcomes[2],
    "differs_in": lambda c, x: " ".join(x.differs_in),
}


def _end(interval: tuple[float, float] | None, which: int) -> float | None:
    return interval[which] if interval else None


def contrasts_to_csv(comparisons: Iterable[Comparison]) -> str:
    """Return one row for each contrast of each comparison, tuned ones too, with its verdict."""
    rows = (
        [read(comparison, contrast) for read in CSV_CONTRAST_FIELDS.values()]
        for comparison in comparisons
        for contrast in comparison.contrasts
    )
    return _csv(CSV_CONTRAST_FIELDS, rows)


def _csv(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(map(_csv_cell, row) for row in rows)
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value  # written unrounded, None as nothing
    text = visible(str(value).lower() if isinstance(value, bool) else value)
    # A spreadsheet would take such a text for a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def to_markdown(comparisons: Iterable[Comparison], advice: Advice = IN_WORDS) -> str:
    """Return titles, answers, tables, remarks and sentences as GitHub-flavoured Markdown.

    It begins with the first answer alone, in a line that fits a pull request.
    """
    shown = pages(comparisons, advice)
    first = [f"**{_md(page.answer[0])}**" for page in shown[:1]]
    parts = [
        _blocks(
            page, f"## {_md(page.title)}", _markdown_grid, lambda sentence: f"- {_md(sentence)}"
        )
        for page in shown
    ]
    return "\n\n".join([*first, *parts]) + "\n"


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


def to_latex(comparisons: Iterable[Comparison], advice: Advice = IN_WORDS) -> str:
    """Return the same as LaTeX tables for the package booktabs, with sentences as comments."""
    parts = (
        _blocks(page, _comment(page.title), _latex_grid, _comment)
        for page in pages(comparisons, advice)
    )
    return "\n\n".join(parts) + "\n"


def _comment(text: str) -> str:
    return f"% {visible(text)}"


def _latex_grid(grid: Grid) -> str:
    def line(cells: Iterable[str]) -> str:
        return f"{' & '.join(map(_tex, cells))} \\\\\n"

    alignment = "".join("r" if column.numeric else "l" for column in grid.columns)
    header = line(column.header for column in grid.columns)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{_tex(grid.title)}}}\n"
        f"\\begin{{tabular}}{{{alignment}}}\n\\toprule\n{header}\\midrule\n"
        f"{''.join(map(line, grid.rows))}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}"
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


def _blocks(
    page: Page, title: str, table: Callable[[Grid], str], sentence: Callable[[str], str]
) -> str:
    answer, remarks, closing = (
        "\n".join(map(sentence, sentences))
        for sentences in (page.answer, page.remarks, page.closing)
    )
    blocks = [title, answer, *map(table, page.tables), remarks, closing]
    return "\n\n".join(filter(None, blocks))


FORMATS: dict[str, Callable[[Sequence[Comparison], Advice], str]] = {
    "table": terminal.plain_text,
    "json": to_json,
    "csv": lambda comparisons, _: to_csv(comparisons),
    "markdown": to_markdown,
    "latex": to_latex,
}
