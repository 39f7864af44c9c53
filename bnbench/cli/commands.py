"""The commands: parse, call, show, exit code."""

import gc
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnbench.cli.options import (
    AllPairs,
    Baseline,
    Config,
    ConfigFile,
    Configs,
    DataDir,
    DataFile,
    Debug,
    Device,
    DeviceOption,
    FailOnOption,
    FailUnder,
    Force,
    Format,
    FormatOption,
    InitFolder,
    Jobs,
    Label,
    Margin,
    Metric,
    MetricOption,
    Names,
    Output,
    PackFile,
    PlotFile,
    Plots,
    Protocol,
    Quiet,
    RayOption,
    ReportedProtocol,
    ReportFile,
    RunsDir,
    SaveModels,
    Seeds,
    Set,
    Smoke,
    Strict,
    Table,
    TableOption,
    TensorBoard,
    UntilSettled,
)
from bnbench.errors import InputError
from bnbench.evidence.question import DEFAULT
from bnbench.text import count, visible
from bnbench.version import __version__

if TYPE_CHECKING:
    from bnbench.api import Study

app = typer.Typer(
    help="Compare where Batch Normalization stands in an MLP: many paired seeds, intervals, "
    "a verdict.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RUNS = Path("runs")
PLACEMENTS = "model.batch_norm.placement=none,after_activation,before_activation"
METRIC = Metric(DEFAULT.metric)
_CANDIDATES = 8  # for the label, that are named
SMOKE = (
    "data.dataset=fashion_mnist_sample",
    "data.validation_size=500",
    "data.label=null",
    "data.test_size=0.2",
    "training.epochs=1",
    "seeds=1",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"bnbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    configs: Configs,
    seeds: Seeds = None,
    overrides: Set = None,
    until_settled: UntilSettled = False,
    device: DeviceOption = Device.AUTO,
    jobs: Jobs = None,
    smoke: Smoke = False,
    force: Force = False,
    save_models: SaveModels = False,
    tensorboard: TensorBoard = None,
    runs_dir: RunsDir = RUNS,
    data_dir: DataDir = None,
    ray: RayOption = None,
    format: FormatOption = Format.TABLE,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train every config's missing seeds, then compare what was run."""
    from bnbench import api
    from bnbench.cli import checks

    if smoke and until_settled:
        raise InputError("--smoke: one seed settles nothing; leave out --until-settled")
    study = api.run(
        configs,
        until_settled=until_settled,
        seeds=_seeds(seeds),
        settings=[*(SMOKE if smoke else ()), *(overrides or ())],
        device=device.value,
        jobs=jobs,
        force=force,
        save_models=save_models,
        tensorboard=tensorboard,
        runs_dir=runs_dir,
        data_dir=data_dir,
        ray=ray,
        progress=not quiet,
    )
    swept = any(comparison.tuning for comparison in study.comparisons)
    _show(study, None if swept else checks.ALL, format, Table.RUNS, None)
    checks.check_runs(study)


@app.command()
def compare(
    names: Names = None,
    baseline: Baseline = DEFAULT.baseline,
    metric: MetricOption = METRIC,
    margin: Margin = DEFAULT.margin,
    all_pairs: AllPairs = DEFAULT.all_pairs,
    format: FormatOption = Format.TABLE,
    table: TableOption = Table.RUNS,
    output: Output = None,
    protocol: Protocol = None,
    fail_under: FailUnder = None,
    fail_on: FailOnOption = None,
    strict: Strict = False,
    runs_dir: RunsDir = RUNS,
    debug: Debug = False,
) -> None:
    """Compare the recorded experiments, one set of tables per protocol, newest first."""
    from bnbench.cli import checks
    from bnbench.files import check_writable

    if table is not Table.RUNS and format is not Format.CSV:
        raise InputError("--table: chooses the rows of --format csv; other formats have them all")
    if output:
        check_writable(output)
    study = _compared(runs_dir, names, baseline, metric, margin, all_pairs)
    _show(study, protocol, format, table, output)
    checks.check_comparisons(
        checks.chosen(study, protocol or checks.ALL),
        checks.chosen(study, protocol),
        study.warnings,
        fail_under=fail_under,
        fail_on=fail_on or (),
        strict=strict,
    )


@app.command()
def plot(
    output: PlotFile,
    names: Names = None,
    only: Plots = None,
    protocol: Protocol = None,
    baseline: Baseline = DEFAULT.baseline,
    margin: Margin = DEFAULT.margin,
    all_pairs: AllPairs = DEFAULT.all_pairs,
    runs_dir: RunsDir = RUNS,
    debug: Debug = False,
) -> None:
    """Draw learning curves, differences, looks, tuning and parameters (needs the extra plot)."""
    from bnbench.cli import checks
    from bnbench.files import check_writable
    from bnbench.show import plots, sentences, terminal

    plots.check_ending(output)
    check_writable(output)
    study = _compared(runs_dir, names, baseline, METRIC, margin, all_pairs)
    chosen, *_ = checks.chosen(study, protocol)
    plots.write(plots.figure(chosen, [*map(str, only)] if only else None), output)
    terminal.notice(f"{output}: {sentences.title(chosen)}")


@app.command()
def report(
    output: ReportFile = Path("report.html"),
    names: Names = None,
    baseline: Baseline = DEFAULT.baseline,
    metric: MetricOption = METRIC,
    margin: Margin = DEFAULT.margin,
    all_pairs: AllPairs = DEFAULT.all_pairs,
    protocol: ReportedProtocol = None,
    runs_dir: RunsDir = RUNS,
    debug: Debug = False,
) -> None:
    """Write one HTML file with question, answer, tables, plots and configs (extra report)."""
    from bnbench.cli import checks
    from bnbench.evidence.compare import without_subsumed
    from bnbench.files import check_writable
    from bnbench.show import terminal

    check_writable(output)
    study = _compared(runs_dir, names, baseline, metric, margin, all_pairs)
    shown = checks.chosen(study, protocol) if protocol else without_subsumed(study.comparisons)
    chosen = replace(study, comparisons=tuple(shown))
    chosen.report(output)
    terminal.notice(f"{output}: {count(len(chosen.comparisons), 'comparison')}")


@app.command()
def show(configs: Configs, overrides: Set = None, debug: Debug = False) -> None:
    """Show each config with its defaults, its layers and every variable."""
    from bnbench import api
    from bnbench.experiments.architecture import count_parameters
    from bnbench.experiments.config import dump_yaml
    from bnbench.show import grids, terminal

    for config in api.load_configs(configs, overrides or ()):
        network = api.network(config)
        terminal.write(
            f"# experiment {config.experiment_id}, protocol {config.protocol_id}\n"
            f"{dump_yaml(config)}\n"
        )
        terminal.show_grids(grids.layers(network), grids.variables(network))
        number = count_parameters(network)
        terminal.write(
            f"Total parameters:         {number['total']:>12,}\n"
            f"Trainable parameters:     {number['trainable']:>12,}\n"
            f"Non-trainable parameters: {number['non_trainable']:>12,}\n\n"
        )


@app.command()
def explain(config: Config, overrides: Set = None, debug: Debug = False) -> None:
    """Explain in words why each layer has the parameters it has."""
    from bnbench import api
    from bnbench.lessons.explanation import Section, sections
    from bnbench.show import terminal

    loaded = api.load_config(config, overrides or ())
    head = Section(loaded.name, (loaded.description,) if loaded.description else ())
    terminal.show_sections([head, *sections(loaded, *api.describe_data(loaded))])


@app.command()
def script(config: Config, overrides: Set = None, debug: Debug = False) -> None:
    """Print a plain Keras program that builds and trains the same network."""
    from bnbench import api
    from bnbench.lessons.script import keras_script
    from bnbench.show import terminal

    loaded = api.load_config(config, overrides or ())
    terminal.write(keras_script(loaded, *api.describe_data(loaded)))


@app.command()
def schema(debug: Debug = False) -> None:
    """Print the JSON Schema of the config file."""
    from bnbench.experiments.config import json_schema
    from bnbench.show import terminal

    terminal.write(json.dumps(json_schema(), indent=2) + "\n")


@app.command()
def data(
    file: DataFile = None,
    label: Label = None,
    output: ConfigFile = None,
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Show where data sets were found; describe FILE and make a config for it."""
    from bnbench.datasets import dataset
    from bnbench.show import data_grids, terminal

    if file is not None:
        return _describe(file, label, output, data_dir)
    if label is not None or output is not None:
        raise InputError("--label, --output: expected the file that they are about, too")
    states = dataset.status(data_dir)
    terminal.show_grids(data_grids.data_files(states))
    for state in states:
        if state.advice:
            terminal.write(f"{state.advice}\n")


@app.command()
def init(folder: InitFolder = Path("configs"), debug: Debug = False) -> None:
    """Write the configs that ship with bnbench, to run and to change."""
    from bnbench.lessons.shipped import write_configs
    from bnbench.show import terminal

    written = write_configs(folder)
    for path in written:
        terminal.write(f"{path}\n")
    terminal.notice(f"{count(len(written), 'file')} written to {folder}")


@app.command()
def pack(output: PackFile, runs_dir: RunsDir = RUNS, debug: Debug = False) -> None:
    """Write all records as one file, to be kept or shared: a record to a line."""
    from bnbench.evidence import packed
    from bnbench.evidence.store import RecordStore
    from bnbench.files import check_writable
    from bnbench.show import terminal

    if not output.name.endswith(packed.ENDING):
        raise InputError(f"{output}: expected a name that ends in {packed.ENDING}")
    check_writable(output, packed.BEGINNING)
    records, warnings = RecordStore(runs_dir).read_all()
    terminal.warn(warnings)
    if not records:
        raise InputError(f"{runs_dir}: no records here, so there is nothing to pack")
    packed.pack(records, output)
    terminal.notice(f"{output}: {count(len(records), 'record')}")


def _describe(file: str, label: str | None, output: Path | None, data_dir: Path | None) -> None:
    """Show what a file holds, and a config that runs on it."""
    from bnbench.cli.advice import COMMANDS
    from bnbench.experiments.config import TABLES, dump_yaml
    from bnbench.files import write_text
    from bnbench.show import data_grids, terminal
    from bnbench.training.inspection import inspect_data, name_for

    if label is None and file.endswith(TABLES):
        return _name_candidates(file, output)
    place = visible(shlex.quote(str(output or f"{name_for(file)}.yaml")))
    command = f"bnbench run {place} --set {PLACEMENTS}"
    if output:
        _check_not_taken(output, f"# {command}\n", whole=False)
    found = inspect_data(file, label, data_dir, lambda line: terminal.warn([line]))
    terminal.show_grids(data_grids.parts(found), data_grids.class_rows(found))
    cures = COMMANDS
    if found.config.data.standardize:
        cures = replace(COMMANDS, standardize="the config has data.standardize: true")
    findings = [f"{one.message}: {one.cure(cures)}" for one in found.findings]
    terminal.show_remarks(f"{sentence}." for sentence in (*found.warnings, *findings))
    comments = "".join(f"# {line}\n" for line in (command, *found.reasons))
    text = comments + dump_yaml(found.config, defaults=False)
    if output:
        _check_not_taken(output, text, whole=True)
        write_text(output, text)
    else:
        terminal.write(f"\n{text}")
    terminal.notice(f"{output or 'Save it, then'}: {command}", copied=True)


def _check_not_taken(output: Path, text: str, *, whole: bool) -> None:
    """Refuse a file that is there, unless it holds this text or, if not ``whole``, begins with it.

    The start is compared before the data are read, so that another file is refused at once.
    """
    from bnbench.files import check_writable, faults_named

    check_writable(output)
    if output.exists():
        expected = text.encode()
        with faults_named(output, "read"), output.open("rb") as file:
            held = file.read(len(expected) + whole)
        if held != expected:
            raise InputError(
                f"--output: {visible(output)} is there and holds something else; choose another "
                "name"
            )


def _name_candidates(file: str, output: Path | None) -> None:
    """Show which columns of a table might hold the class, and what to type once one is chosen."""
    from bnbench.datasets import dataset
    from bnbench.show import data_grids, terminal

    candidates = dataset.candidates(file)
    if not candidates:
        raise InputError(
            f"{file}: no column might hold the class, as none has text or whole numbers of few "
            "values; make one, such as low and high from a quantity"
        )
    terminal.show_grids(data_grids.label_candidates(candidates[:_CANDIDATES]))
    if (more := len(candidates) - _CANDIDATES) > 0:
        terminal.write(f"{count(more, 'other column')} might be it too.\n\n")
    if output:
        raise InputError(f"--label: expected the column of {file} that holds the class")
    command = shlex.join(["bnbench", "data", file, "--label", candidates[0].name])
    terminal.notice(
        f"If {visible(candidates[0].name)} holds the class: {visible(command)}", copied=True
    )


def _seeds(text: str | None) -> int | list[int] | None:
    """Return a count or the seeds themselves; a comma, even at the end, makes a list."""
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


def _compared(
    runs_dir: Path,
    names: list[str] | None,
    baseline: str | None,
    metric: Metric,
    margin: float | None,
    all_pairs: bool,
) -> "Study":
    from bnbench import api
    from bnbench.show import terminal

    gc.disable()  # thousands of records are read once and kept: there is nothing to collect
    study = api.compare(
        runs_dir,
        names=names or (),
        baseline=baseline,
        metric=metric.value,
        margin=margin,
        all_pairs=all_pairs,
    )
    terminal.warn(study.warnings)
    return study


def _show(
    study: "Study", protocol: str | None, format: Format, table: Table, output: Path | None
) -> None:
    """Show a person the chosen comparisons, a line each of the others; to all else write them all.

    Where a protocol is named it is that alone.
    """
    from bnbench.cli import checks
    from bnbench.cli.advice import COMMANDS
    from bnbench.files import write_text
    from bnbench.show import formats, terminal

    chosen = checks.chosen(study, protocol)
    if format is Format.TABLE and output is None:
        others = [c for c in study.comparisons if c not in chosen]
        terminal.show_comparisons(chosen, COMMANDS, others=() if protocol else others)
        return
    chosen = checks.chosen(study, protocol or checks.ALL)
    if table is Table.CONTRASTS:
        text = formats.contrasts_to_csv(chosen)
    else:
        text = formats.FORMATS[format](chosen, COMMANDS)
    if output:
        write_text(output, text)
    else:
        terminal.write(text)
