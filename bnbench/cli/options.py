"""The options of the commands: their types, and their help."""

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, BadParameter, Option

from bnbench.cli.completion import complete_config, complete_experiment
from bnbench.errors import InputError
from bnbench.evidence.metrics import METRICS
from bnbench.text import visible

debugging = False

if TYPE_CHECKING:
    MetricName = str
else:
    MetricName = Literal[tuple(METRICS)]
DeviceName = Literal["auto", "cpu", "gpu"]
FormatName = Literal["table", "json", "csv", "markdown", "latex"]
PlotKind = StrEnum("PlotKind", ["CURVES", "DIFFERENCES", "LOOKS", "TUNING", "PARAMETERS"])
FailOn = StrEnum("FailOn", ["WORSE", "UNDECIDED", "UNHEALTHY"])


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise BadParameter(f"expected a number, got {value}")
    return value


def parsed_seeds(text: str | None) -> int | list[int] | None:
    """Return a count, or the seeds themselves: a comma, even at the end, makes a list."""
    try:
        if text is None or "," not in text:
            return None if text is None else int(text)
        return [int(part) for part in text.removesuffix(",").split(",")]
    except ValueError:
        expected = "--seeds: expected a count or a list such as 0,1,5"
        raise InputError(f"{expected}, got '{visible(text)}'") from None


def _set_debugging(value: bool) -> None:
    global debugging
    debugging = value


Config = Annotated[
    Path, Argument(help="YAML file.", metavar="CONFIG", autocompletion=complete_config)
]
Configs = Annotated[
    list[Path], Argument(help="YAML files.", metavar="CONFIG", autocompletion=complete_config)
]
Names = Annotated[
    list[str] | None,
    Argument(metavar="NAME", help="Experiments; default: all.", autocompletion=complete_experiment),
]
Set = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", help="Override a key; KEY=1,2 tries both; repeatable."),
]
Seeds = Annotated[str | None, Option(help="A count, or a list: 0,1,5.", show_default="config")]
Until = Annotated[bool, Option("--until-settled", help="Add seeds until decided or the plan ends.")]
Device = Annotated[DeviceName, Option(help="Where to train.")]
Jobs = Annotated[int | None, Option(min=1, help="Runs at once on CPUs.", show_default="the cores")]
Smoke = Annotated[bool, Option("--smoke", help="Run one seed for one epoch on the shipped sample.")]
Force = Annotated[bool, Option("--force", help="Repeat runs that have a record.")]
Models = Annotated[bool, Option("--save-models", help="Keep trained models beside their records.")]
TensorBoard = Annotated[str | None, Option(metavar="<path>", help="Folder for TensorBoard.")]
RunsDir = Annotated[str, Option(metavar="<path>", help="Folder of the records.")]
DataDir = Annotated[
    Path | None, Option(envvar="BNBENCH_DATA_DIR", help="Folder of the four Fashion-MNIST files.")
]
Ray = Annotated[str | None, Option(metavar="HOST:PORT", help="Ray cluster that makes the runs.")]
Quiet = Annotated[bool, Option("--quiet", help="Show no progress, only warnings.")]
Baseline = Annotated[
    str | None,
    Option(help="Experiment to compare the others with.", autocompletion=complete_experiment),
]
Metric = Annotated[MetricName, Option(help="What to compare; val is of the last epoch.")]
Margin = Annotated[
    float | None,
    Option(min=0, max=100, help="Largest irrelevant difference (pp).", show_default="the plan's"),
]
AllPairs = Annotated[bool, Option("--all-pairs", help="Compare every two experiments.")]
Protocol = Annotated[str | None, Option(metavar="ID|tuned|all", help="The protocol to show.")]
Format = Annotated[FormatName, Option(help="How to write the comparison.")]
Rows = Annotated[Literal["runs", "contrasts"], Option(help="What the rows of a CSV are.")]
Output = Annotated[Path | None, Option(help="File to write to.")]
FailUnder = Annotated[
    float | None,
    Option(metavar="PERCENT", callback=_finite, help="Exit 1 if any mean is below this."),
]
FailOns = Annotated[
    list[FailOn] | None, Option(help="Exit 1 on this verdict, or on bad health; repeatable.")
]
Strict = Annotated[bool, Option("--strict", help="Exit 1 on anything unclean, unhealthy, damaged.")]
Kinds = Annotated[list[PlotKind] | None, Option(help="Draw this; repeatable.", show_default="all")]
Debug = Annotated[bool, Option("--debug", callback=_set_debugging, help="Show error tracebacks.")]
