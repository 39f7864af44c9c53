"""The options that several commands take: their types, and their help."""

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bnbench.cli.completion import complete_config, complete_experiment
from bnbench.errors import InputError
from bnbench.evidence.metrics import METRICS
from bnbench.text import visible

debugging = False

Device = Literal["auto", "cpu", "gpu"]
FormatName = Literal["table", "json", "csv", "markdown", "latex"]
Rows = Literal["runs", "contrasts"]
Plot = StrEnum("Plot", ["CURVES", "DIFFERENCES", "LOOKS", "TUNING", "PARAMETERS"])
FailOn = StrEnum("FailOn", ["WORSE", "UNDECIDED", "UNHEALTHY"])
if TYPE_CHECKING:
    MetricName = str
else:
    MetricName = Literal[tuple(METRICS)]


def finite(value: float | None) -> float | None:
    """Return a number that is one; raises `typer.BadParameter` for infinity and nan."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"expected a number, got {value}")
    return value


def folder(text: Any) -> Path:
    """Return the folder of a name; an empty one would be the folder where the command is run."""
    if not str(text):
        raise typer.BadParameter("expected a folder, got an empty name")
    return Path(text)


def parsed_seeds(text: str | None) -> int | list[int] | None:
    """Return a count, or the seeds themselves: a comma, even at the end, makes a list."""
    if text is None:
        return None
    try:
        if "," not in text:
            return int(text)
        return [int(part) for part in text.removesuffix(",").split(",")]
    except ValueError:
        raise InputError(
            f"--seeds: expected a count or a list such as 0,1,5, got '{visible(text)}'"
        ) from None


def _set_debugging(value: bool) -> None:
    global debugging
    debugging = value


Config = Annotated[
    Path, typer.Argument(help="YAML file.", metavar="CONFIG", autocompletion=complete_config)
]
Configs = Annotated[
    list[Path], typer.Argument(help="YAML files.", metavar="CONFIG", autocompletion=complete_config)
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Give a config key another value; repeatable. KEY=1,2 runs it with each (a sweep).",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME", help="Experiments; default: all.", autocompletion=complete_experiment
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(help="Experiment to compare the others with.", autocompletion=complete_experiment),
]
Metric = Annotated[MetricName, typer.Option(help="What to compare (val: of the last epoch).")]
Margin = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=100,
        callback=finite,
        help="Percentage points that do not matter.",
        show_default="the plan's",
    ),
]
AllPairs = Annotated[bool, typer.Option("--all-pairs", help="Compare every two experiments.")]
Format = Annotated[FormatName, typer.Option(help="How to write the comparison.")]
PROTOCOLS = "ID|tuned|all"
Protocol = Annotated[
    str | None,
    typer.Option(
        metavar=PROTOCOLS,
        help="Protocol to show: its id, tuned, or all.",
        show_default="the newest",
    ),
]
RunsDir = Annotated[
    Path, typer.Option(parser=folder, metavar="<path>", help="Folder of the records.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="BNBENCH_DATA_DIR", help="Folder of the four Fashion-MNIST files."),
]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debugging, help="Show tracebacks of errors.")
]
