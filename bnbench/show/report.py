"""Comparisons as one HTML page that needs nothing else: answer, tables, figures, configs, runs."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isnan
from statistics import fmean
from typing import Any

from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.records import Environment
from bnbench.experiments.config import Config, dump_yaml
from bnbench.experiments.sweep import label, typed_name
from bnbench.show import html, plots
from bnbench.show.grids import NOTHING, Column, Grid, with_interval
from bnbench.show.page import Page, pages
from bnbench.show.remarks import examples
from bnbench.text import count, fixed, listed, signed
from bnbench.version import __version__

MADE_HERE = re.compile(rb'<meta name="generator" content="bnbench ')  # what the file holds


def to_html(comparisons: Sequence[Comparison], warnings: Sequence[str] = ()) -> str:
    """Return HTML that loads nothing and runs nothing; the same records give the same bytes.

    ``warnings`` are of the folder of records as a whole, such as damaged files.
    """
    called = {examples(comparison.config.data) for comparison in comparisons}
    return html.template("report.html").render(
        version=__version__,
        summary=_summary(comparisons),
        warnings=warnings,
        examples=called.pop() if len(called) == 1 else "data",
        protocols=list(map(_protocol, comparisons, pages(comparisons))),
    )


def _summary(comparisons: Sequence[Comparison]) -> str:
    experiments = [e for comparison in comparisons for e in comparison.experiments]
    tunings = [comparison.tuning for comparison in comparisons if comparison.tuning]
    experiments += [e for tuning in tunings for one in tuning.candidates for e in one.experiments]
    records = {record.key: record for e in experiments for record in e.records.values()}
    if not records:
        return "No run has been recorded."
    days = sorted(record.started_at[:10] for record in records.values())
    when = f"on {days[0]}" if days[0] == days[-1] else f"between {days[0]} and {days[-1]}"
    made = count(len({(name, identity) for name, identity, _ in records}), "experiment")
    return f"{count(len(records), 'run')} of {made}, made {when}."


def _protocol(comparison: Comparison, page: Page) -> dict[str, Any]:
    records = [record for e in comparison.experiments for record in e.records.values()]
    environments = Counter(record.environment for record in records)
    return {
        "page": replace(page, tables=(*page.tables, *recalls(comparison))),
        "question": _question(comparison),
        "measure": _measure(comparison),
        "figures": [
            (plots.files.to_svg(plots.figure(comparison, (kind,))), f"{plots.HEADINGS[kind]}.")
            for kind in plots.kinds_of(comparison)
        ],
        "dataset": comparison.config.data.dataset,
        "data_sha256": comparison.baseline.newest.data.sha256,
        "environments": _environments(environments),
        "commands": list(_commands(comparison)),
        "experiments": [_experiment(e, list(environments)) for e in comparison.experiments],
    }


def recalls(comparison: Comparison) -> Iterator[Grid]:
    """Yield for each baseline a table of recalls, and of their differences to it, by class.

    Differences are over the paired seeds, ± half the 95 % t interval of each one alone.
    """
    data = comparison.baseline.newest.data
    names = data.class_names or tuple(map(str, range(data.classes)))
    for base in dict.fromkeys(comparison.baselines[e] for e in comparison.experiments):
        experiments = [e for e in comparison.experiments if comparison.baselines[e] is base]
        columns = [Column("class", numeric=False), Column("test rows")]
        columns += [Column(e.label, "%" if e is base else "pp") for e in experiments]
        rows = [
            (name, f"{rows:,}", *(_recall(comparison, e, place) for e in experiments))
            for place, (name, rows) in enumerate(zip(names, data.test_rows_by_class, strict=True))
        ]
        compared = f"difference to {base.label} ± half the 95 % interval of each one alone"
        yield Grid(f"Recall by class ({compared})", tuple(columns), tuple(rows))


def _recall(comparison: Comparison, experiment: Experiment, place: int) -> str:
    """Return the recall of a baseline, of others the difference to it."""
    if experiment is not comparison.baselines[experiment]:
        return with_interval(signed, *comparison.recall_difference(experiment, place), 100)
    values = [float(recall[place]) for recall in experiment.recalls.values()]
    return fixed(100 * fmean(values)) if values and not isnan(values[0]) else NOTHING


def _question(comparison: Comparison) -> str:
    networks = list(dict.fromkeys(_network(e.config) for e in comparison.experiments))
    which = "a network" if len(networks) == 1 else "networks"
    layers = f"{which} with {', or with '.join(networks)}"
    return f"Where should Batch Normalization go in {layers}, for this data and budget?"


def _network(config: Config) -> str:
    units, activations = config.model.hidden_units, dict.fromkeys(config.model.activations)
    alike = len(set(units)) == 1
    layers = f"{len(units)} × {units[0]}" if alike else "-".join(map(str, units))
    return f"hidden layers {layers} ({', '.join(activations)})"


def _measure(comparison: Comparison) -> str:
    bases = list(dict.fromkeys(base.label for base in comparison.baselines.values()))
    base = bases[0] if len(bases) == 1 else f"the one with the same layers among {listed(bases)}"
    return (
        f"Compared with {base} by {comparison.question.measure.heading}; differences within "
        f"±{comparison.margin:g} percentage points do not matter."
    )


def _environments(runs: Counter[Environment]) -> Grid:
    texts = [Column(heading, numeric=False) for heading in ("software", "machine", "made by")]
    rows = []
    for number, (made, many) in enumerate(runs.items(), start=1):
        versions = f"bnbench {made.bnbench}, TensorFlow {made.tensorflow}, Keras {made.keras}"
        software = f"{versions}, Python {made.python}"
        cores = count(made.cores, "core")
        machine = f"{made.processor} ({made.instruction_set}), {cores}, {made.platform}"
        engine = f"{made.engine}, {made.device}, {made.jobs} at once"
        rows.append((str(number), str(many), software, machine, engine))
    columns = (Column("environment"), Column("runs"), *texts)
    return Grid("What the runs were made with", columns, tuple(rows))


def _commands(comparison: Comparison) -> Iterator[str]:
    """Yield one command for all experiments that have the same seeds, so that runs interleave."""
    by_seeds: dict[tuple[int, ...], list[Experiment]] = {}
    for experiment in comparison.experiments:
        by_seeds.setdefault(tuple(experiment.records), []).append(experiment)
    for experiments in by_seeds.values():
        if len({e.config.name for e in experiments}) == len(experiments) > 1:
            yield _command(experiments)


def _command(experiments: Sequence[Experiment]) -> str:
    seeds = list(experiments[0].records)
    if seeds == list(range(len(seeds))):
        wanted = str(len(seeds))
    else:
        wanted = ",".join(map(str, seeds)) + "," * (len(seeds) == 1)  # a comma makes it a list
    return shlex.join(["bnbench", "run", "--seeds", wanted, *map(_file, experiments)])


def _file(experiment: Experiment) -> str:
    name = typed_name(experiment.config)
    if experiment.label != label(experiment.config):  # as another network has this name too
        name += f"-{experiment.identity[1]}"
    return f"{name}.yaml"


def _experiment(experiment: Experiment, environments: Sequence[Environment]) -> dict[str, Any]:
    return {
        "label": experiment.label,
        "description": experiment.config.description,
        "file": _file(experiment),
        "yaml": dump_yaml(experiment.config),
        "command": _command([experiment]),
        "summary": f"{count(len(experiment.records), 'run')}, with the SHA-256 of their weights",
        "runs": _runs(experiment, environments),
    }


def _runs(experiment: Experiment, environments: Sequence[Environment]) -> Grid:
    metric, rows = experiment.metric, []
    for seed, record in experiment.records.items():
        value = experiment.values.get(seed)
        shown = NOTHING if value is None else fixed(metric.scale * value)
        environment = str(environments.index(record.environment) + 1)
        rows.append((str(seed), record.status, shown, environment, record.weights_sha256))
    status, weights = (Column(name, numeric=False) for name in ("status", "weights SHA-256"))
    measured = Column(metric.heading, metric.unit)
    columns = (Column("seed"), status, measured, Column("environment"), weights)
    return Grid(f"Runs of {experiment.label}", columns, tuple(rows))
