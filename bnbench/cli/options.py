"""The options that commands share: their types, and their help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli.completion import complete_config, complete_experiment

debugging = False


class Device(StrEnum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


class Metric(StrEnum):
    """What to compare."""

    TEST_ACCURACY = "test_accuracy"
    VAL_ACCURACY = "val_accuracy"


class Plot(StrEnum):
    """What to draw."""

    CURVES = "curves"
    DIFFERENCES = "differences"
    PARAMETERS = "parameters"


class Format(StrEnum):
    """How to write a comparison."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


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
    float, typer.Option(min=0, max=100, help="Percentage points that do not matter.")
]
AllPairs = Annotated[bool, typer.Option("--all-pairs", help="Contrast every two experiments.")]
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
Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debugging, help="Show tracebacks of errors.")
]
