"""A comparison and a network as tables of text, and those as rich tables fitted to a width."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bnbench.evidence.records import Parameters
from bnbench.experiments.architecture import Activation, Dense, Layer
from bnbench.experiments.sweep import short_key, swept_values
from bnbench.text import percent, points, seconds, visible

if TYPE_CHECKING:
    from bnbench.datasets.dataset import DataState
    from bnbench.evidence.comparison import (
        Comparison,
        EpochRatio,
        Experiment,
        ExperimentContrast,
        Tuning,
    )

NOTHING = "–"
_LONGEST_HEADING = 16  # of a baseline's name, as the column would go for want of room


@dataclass(frozen=True)
class Column:
    """A column: its heading, its unit, and when it goes if the terminal is too narrow for it.

    Columns with the highest ``dispensable`` go first; those with 0 never go.
    """

    heading: str
    unit: str = ""
    dispensable: int = 0
    numeric: bool = True

    @property
    def header(self) -> str:
        """Heading with unit, in one line."""
        return f"{self.heading} [{self.unit}]" if self.unit else self.heading


@dataclass(frozen=True)
class Grid:
    """A titled table whose cells are plain text, not yet laid out for any medium."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(comparison: "Comparison") -> list[Grid]:
    """Return the tables of one comparison in the order in which they are shown."""
    chosen = [candidates(comparison.tuning)] if comparison.tuning else []
    pairwise = [contrasts(comparison)] if comparison.all_pairs and comparison.contrasts else []
    return [*chosen, results(comparison), *pairwise, parameters(comparison)]


def results(comparison: "Comparison") -> Grid:
    """Return one row for each experiment: its metric, its difference to the baseline, its time."""
    name = "test accuracy" if comparison.metric == "test_accuracy" else "validation accuracy"
    label = comparison.baseline.label
    base = label if len(label) <= _LONGEST_HEADING else "baseline"
    return Grid(
        "Results (mean ± half the 95 % interval)",
        (
            Column("experiment", numeric=False),
            Column("placement", dispensable=9, numeric=False),
            Column("seeds", dispensable=2),
            Column(name, "%"),
            Column(f"vs {base}", "pp", dispensable=1),
            Column("verdict", dispensable=1, numeric=False),
            Column("epoch time", "s", dispensable=4),
            Column("ratio", "95 % CI", dispensable=3),
        ),
        tuple(_result_row(comparison, e) for e in comparison.experiments),
    )


def _result_row(comparison: "Comparison", experiment: "Experiment") -> tuple[str, ...]:
    contrast = comparison.against_baseline(experiment.label)
    quartiles = experiment.epoch_quartiles
    is_baseline = experiment is comparison.baseline
    return (
        experiment.label,
        experiment.config.model.batch_norm.placement,
        _seeds(experiment),
        _with_interval(percent, experiment.mean, experiment.ci95),
        difference(contrast) if contrast else NOTHING,
        "baseline" if is_baseline else _verdict(contrast),
        seconds(quartiles[1]) if quartiles else NOTHING,
        NOTHING if is_baseline else _ratio(comparison.ratios[experiment.label]),
    )


def contrasts(comparison: "Comparison") -> Grid:
    """Return one row for each contrast with its test, its wins and what makes it unclean."""
    return Grid(
        f"Contrasts (first minus second, margin ±{100 * comparison.margin:g} pp)",
        (
            Column("experiment", numeric=False),
            Column("against", numeric=False),
            Column("pairs", dispensable=3),
            Column("difference", "pp"),
            Column("p", "Holm", dispensable=4),
            Column("wins-ties-losses", dispensable=6),
            Column("P(improvement)", "95 % CI", dispensable=7),
            Column("verdict", numeric=False),
            Column("also differs in", dispensable=5, numeric=False),
        ),
        tuple(_contrast_row(contrast) for contrast in comparison.contrasts),
    )


def _contrast_row(contrast: "ExperimentContrast") -> tuple[str, ...]:
    found = contrast.result
    also = (field.removeprefix("model.") for field in contrast.differs_in)
    improvement = found.probability_of_improvement
    share = NOTHING if improvement is None else f"{improvement:.2f}"
    if found.probability_ci95:
        share += " [{:.2f}, {:.2f}]".format(*found.probability_ci95)
    return (
        contrast.experiment,
        contrast.baseline,
        str(found.pairs),
        difference(contrast),
        NOTHING if found.p_holm is None else f"{found.p_holm:.4f}",
        f"{found.wins}-{found.ties}-{found.losses}",
        share,
        _verdict(contrast),
        ", ".join(field for field in also if field != "batch_norm.placement") or NOTHING,
    )


def candidates(tuning: "Tuning") -> Grid:
    """Return one row for each value of each swept experiment, with the accuracy that chose."""
    return Grid(
        "Tuning (mean ± half the 95 % interval, after the last epoch)",
        (
            Column("experiment", numeric=False),
            *(Column(short_key(key)) for key in tuning.keys),
            Column("seeds", dispensable=1),
            Column("validation accuracy", "%"),
            Column("chosen", numeric=False),
        ),
        tuple(
            (
                candidate.config.name,
                *(_value(swept_values(candidate.config)[key]) for key in tuning.keys),
                _seeds(candidate),
                _with_interval(percent, candidate.mean, candidate.ci95),
                "best" if candidate.label in tuning.chosen else "",
            )
            for candidate in tuning.candidates
        ),
    )


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def parameters(comparison: "Comparison") -> Grid:
    """Return one row for each experiment with its parameters in total and by role."""
    roles = list(Parameters.model_fields)
    return Grid(
        "Parameters",
        (
            Column("experiment", numeric=False),
            *(
                Column(role.replace("non_", "non-").replace("_", " "), dispensable=order)
                for order, role in enumerate(roles)
            ),
        ),
        tuple(
            (e.label, *(f"{getattr(e.newest.parameters, role):,}" for role in roles))
            for e in comparison.experiments
        ),
    )


def layers(network: Sequence[Layer]) -> Grid:
    """Return the network layer by layer, as ``model.summary()`` has it."""
    return Grid(
        "Layers",
        (
            Column("layer", numeric=False),
            Column("kind", numeric=False),
            Column("output shape", dispensable=1),
            Column("activation", dispensable=2, numeric=False),
            Column("parameters"),
        ),
        tuple(
            (
                layer.name,
                layer.kind,
                f"(None, {', '.join(map(str, layer.output_shape))})",
                layer.activation if isinstance(layer, Dense | Activation) else NOTHING,
                f"{layer.size:,}",
            )
            for layer in network
        ),
    )


def variables(network: Sequence[Layer]) -> Grid:
    """Return every variable with its role, its shape and whether it is trained."""
    return Grid(
        "Variables",
        (
            Column("layer", numeric=False),
            Column("role", numeric=False),
            Column("shape", dispensable=1),
            Column("parameters", dispensable=2),
            Column("trained", numeric=False),
        ),
        tuple(
            (
                layer.name,
                variable.role,
                " × ".join(map(str, variable.shape)),
                f"{variable.size:,}",
                "yes" if variable.trained else "no",
            )
            for layer in network
            for variable in layer.variables
        ),
    )


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


def rendered(grid: Grid, console: Console) -> Table:
    """Return the grid as a rich table, without the columns that the terminal has no room for.

    What is not a terminal gets all columns and no line is cut.
    """
    kept = list(grid.columns)
    while True:
        table = _rich_table(grid, kept)
        spare = max(kept, key=lambda column: column.dispensable)
        if not console.is_terminal or not spare.dispensable:
            return table
        if console.measure(table, options=console.options.update(width=10_000)).maximum <= (
            console.width
        ):
            return table
        kept.remove(spare)


def _rich_table(grid: Grid, kept: Sequence[Column]) -> Table:
    left_out = [column.heading for column in grid.columns if column not in kept]
    table = Table(
        title=Text(grid.title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption=Text(f"No room for: {', '.join(left_out)}.") if left_out else None,
        caption_justify="left",
    )
    for column in kept:
        unit = f"\n[{column.unit}]" if column.unit else ""
        table.add_column(
            Text(visible(column.heading) + unit),
            justify="right" if column.numeric else "left",
            overflow="fold",
        )
    places = [index for index, column in enumerate(grid.columns) if column in kept]
    for row in grid.rows:
        table.add_row(*(Text(visible(row[place])) for place in places))
    return table


def _seeds(experiment: "Experiment") -> str:
    total = len(experiment.records)
    return f"{len(experiment.values)}/{total}" if experiment.diverged else str(total)


def _with_interval(
    shown: Callable[[float], str], mean: float | None, ci95: tuple[float, float] | None
) -> str:
    if mean is None:
        return NOTHING
    return f"{shown(mean)} ± {percent((ci95[1] - ci95[0]) / 2)}" if ci95 else shown(mean)


def difference(contrast: "ExperimentContrast") -> str:
    """Return the mean difference in percentage points, ± half its 95 % interval."""
    return _with_interval(points, contrast.result.mean_difference, contrast.result.ci95)


def _verdict(contrast: "ExperimentContrast | None") -> str:
    if contrast is None or contrast.result.verdict is None:
        return NOTHING
    below = ", below the margin" if contrast.result.below_margin else ""
    return contrast.result.verdict + below


def _ratio(ratio: "EpochRatio") -> str:
    if ratio.refused:
        return "not comparable"
    if ratio.ratio is None:
        return NOTHING
    interval = " [{:.2f}, {:.2f}]".format(*ratio.ci95) if ratio.ci95 else ""
    return f"{ratio.ratio:.2f}{interval}"


def remarks(comparison: "Comparison") -> Iterable[str]:
    """Return what is to be said under the tables: warnings, unclean contrasts, refused ratios."""
    yield from comparison.warnings
    for contrast in comparison.contrasts:
        if contrast.remark and contrast.baseline == comparison.baseline.label:
            yield f"{contrast.experiment} against {contrast.baseline}: {contrast.remark}"
    for label, ratio in comparison.ratios.items():
        if ratio.refused:
            base = comparison.baseline.label
            yield f"{label}: epoch time not comparable with {base}: {ratio.refused}"
    if apart := [label for label, ratio in comparison.ratios.items() if ratio.apart]:
        yield (
            f"{', '.join(apart)}: not run in turns with {comparison.baseline.label}, so the ratio "
            "of their epoch times holds the machine's drift too"
        )
