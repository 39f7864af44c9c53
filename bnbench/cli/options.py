"""The options that commands share: their types, and their help."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.completion import complete_config, complete_experiment
from bnbench.evidence.metrics import METRICS

debugging = False


class Device(StrEnum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


Metric = StrEnum("Metric", {name.upper(): name for name in METRICS})  # type: ignore[misc]


class Plot(StrEnum):
    """What to draw."""

    CURVES = "curves"
    DIFFERENCES = "differences"
    LOOKS = "looks"
    TUNING = "tuning"
    PARAMETERS = "parameters"


class Format(StrEnum):
    """How to write a comparison."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


class FailOn(StrEnum):
    """What makes a command fail beside what always does."""

    WORSE = "worse"
    UNDECIDED = "undecided"
    UNHEALTHY = "unhealthy"


class Table(StrEnum):
    """What the rows of a CSV are."""

    RUNS = "runs"
    CONTRASTS = "contrasts"


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"expected a number, got {value}")
    return value


def _set_debugging(value: bool) -> None:
    global debugging
    debugging = value


Config = Annotated[
    Path, typer.Argument(help="YAML file.", metavar="CONFIG", autocompletion=complete_config)
]
Configs = Annotated[
    list[Path], typer.Argument(help="YAML files.", metavar="CONFIG", autocompletion=complete_config)
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME", help="Experiments; default: all.", autocompletion=complete_experiment
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(help="Experiment to hold the others against.", autocompletion=complete_experiment),
]
MetricOption = Annotated[Metric, typer.Option(help="What to compare (val: of the last epoch).")]
Margin = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=100,
        callback=_finite,
        help="Percentage points that do not matter.",
        show_default="the plan's",
    ),
]
AllPairs = Annotated[bool, typer.Option("--all-pairs", help="Contrast every two experiments.")]
PackFile = Annotated[Path, typer.Argument(help="File to write: .jsonl.gz.", metavar="OUTPUT")]
DataFile = Annotated[
    str | None, typer.Argument(metavar="FILE", help="Own data to describe: .npz or .csv.")
]
Label = Annotated[str | None, typer.Option(help="Column of a .csv that holds the class.")]
ConfigFile = Annotated[Path | None, typer.Option(help="File to write the config to.")]
InitFolder = Annotated[Path, typer.Argument(help="Folder to write to.", metavar="DIR")]
RunsDir = Annotated[Path, typer.Option(help="Folder of the records.")]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="BNBENCH_DATA_DIR", help="Folder of the four Fashion-MNIST files."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a config key; repeatable. Several values, as in KEY=1,2, make a sweep.",
    ),
]
Seeds = Annotated[
    str | None, typer.Option(help="A count, or a list such as 0,1,5.", show_default="config")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to train.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Runs at once on the CPU.", show_default="the cores")
]
Smoke = Annotated[bool, typer.Option("--smoke", help="One seed, one epoch, the shipped sample.")]
UntilSettled = Annotated[
    bool,
    typer.Option("--until-settled", help="Add seeds until it is decided or the plan ends."),
]
Force = Annotated[bool, typer.Option("--force", help="Repeat runs that have a record.")]
SaveModels = Annotated[
    bool, typer.Option("--save-models", help="Keep each trained model beside its record.")
]
TensorBoard = Annotated[
    Path | None,
    typer.Option("--tensorboard", help="Folder to write the runs to for TensorBoard, too."),
]
RayOption = Annotated[
    str | None,
    typer.Option("--ray", metavar="HOST:PORT", help="Ray cluster to train on, with its CPUs."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress, only what is wrong.")]
FormatOption = Annotated[Format, typer.Option(help="How to write it.")]
TableOption = Annotated[Table, typer.Option(help="What the rows of a CSV are.")]
Output = Annotated[Path | None, typer.Option(help="File to write it to.")]
PlotFile = Annotated[Path, typer.Option(help="File to write: .png, .svg or .pdf.")]
ReportFile = Annotated[Path, typer.Option(help="HTML file to write.")]
Plots = Annotated[
    list[Plot] | None, typer.Option(help="Draw this alone; repeatable.", show_default="all")
]
Protocol = Annotated[
    str | None,
    typer.Option(
        metavar="ID|tuned|all",
        help="Protocol to show: its id, tuned, or all.",
        show_default="the newest",
    ),
]
ReportedProtocol = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="ID|tuned|all",
        help="Protocol to report: its id, tuned, or all.",
        show_default="all but values of a sweep",
    ),
]
FailOnOption = Annotated[
    list[FailOn] | None,
    typer.Option(
        "--fail-on", help="Exit 1 on such a verdict, or where the health is bad; repeatable."
    ),
]
FailUnder = Annotated[
    float | None,
    typer.Option(
        metavar="PERCENT",
        callback=_finite,
        help="Exit 1 if any experiment's mean is below it.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Exit 1 on an unclean or unhealthy comparison, or a damaged record."
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debugging, help="Show tracebacks of errors.")
]
