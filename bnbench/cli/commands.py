"""The commands: parse, call, show, exit code."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli import configs, options
from bnbench.errors import InputError
from bnbench.evidence.question import DEFAULT
from bnbench.text import count
from bnbench.version import __version__

app = typer.Typer(
    help="Compare where Batch Normalization stands in an MLP: many paired seeds, intervals, "
    "a verdict.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RUNS = Path("runs")
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
    configs: options.Configs,
    seeds: Annotated[
        str | None, typer.Option(help="A count, or a list such as 0,1,5.", show_default="config")
    ] = None,
    overrides: options.Set = None,
    until_settled: Annotated[
        bool, typer.Option("--until-settled", help="Add seeds until decided or the plan ends.")
    ] = False,
    device: Annotated[options.Device, typer.Option(help="Where to train.")] = "auto",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at once on the CPU.", show_default="the cores")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Run one seed for one epoch on the shipped sample.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Repeat runs that have a record.")] = False,
    save_models: Annotated[
        bool, typer.Option("--save-models", help="Keep each trained model beside its record.")
    ] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            parser=options.folder, metavar="<path>", help="Folder for TensorBoard's event files."
        ),
    ] = None,
    runs_dir: options.RunsDir = RUNS,
    data_dir: options.DataDir = None,
    ray: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Ray cluster whose CPUs make the runs.")
    ] = None,
    format: options.Format = "table",
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Show no progress, only what is wrong.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Train the seeds that have no record yet, and show what the runs answer."""
    from bnbench import api
    from bnbench.cli import answers, checks

    if smoke and until_settled:
        raise InputError("--smoke: one seed settles nothing; leave out --until-settled")
    study = api.run(
        configs,
        until_settled=until_settled,
        seeds=options.parsed_seeds(seeds),
        settings=[*(SMOKE if smoke else ()), *(overrides or ())],
        device=device,
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
    answers.show(study, None if swept else answers.ALL, format)
    checks.check_runs(study)


@app.command()
def compare(
    names: options.Names = None,
    baseline: options.Baseline = DEFAULT.baseline,
    metric: options.Metric = "test_accuracy",
    margin: options.Margin = DEFAULT.margin,
    all_pairs: options.AllPairs = DEFAULT.all_pairs,
    format: options.Format = "table",
    table: Annotated[options.Rows, typer.Option(help="What the rows of a CSV are.")] = "runs",
    output: Annotated[Path | None, typer.Option(help="File to write to.")] = None,
    protocol: options.Protocol = None,
    fail_under: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            callback=options.finite,
            help="Exit 1 if any experiment's mean is below it.",
        ),
    ] = None,
    fail_on: Annotated[
        list[options.FailOn] | None,
        typer.Option(help="Exit 1 on such a verdict, or on bad health; repeatable."),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit 1 on an unclean or unhealthy comparison, or a damaged record."
        ),
    ] = False,
    runs_dir: options.RunsDir = RUNS,
    debug: options.Debug = False,
) -> None:
    """Show what the records answer: verdicts and tables, the newest protocol first."""
    from bnbench.cli import answers, checks
    from bnbench.files import check_writable

    if table != "runs" and format != "csv":
        raise InputError("--table: chooses the rows of --format csv; other formats have them all")
    if output:
        check_writable(output)
    study = answers.compared(
        runs_dir,
        names=names or (),
        baseline=baseline,
        metric=metric,
        margin=margin,
        all_pairs=all_pairs,
    )
    answers.show(study, protocol, format, table, output)
    checks.check_comparisons(
        answers.chosen(study, protocol or answers.ALL),
        answers.chosen(study, protocol),
        study.warnings,
        fail_under=fail_under,
        fail_on=fail_on or (),
        strict=strict,
    )


@app.command()
def plot(
    output: Annotated[Path, typer.Option(help="File to write: .png, .svg or .pdf.")],
    names: options.Names = None,
    only: Annotated[
        list[options.Plot] | None,
        typer.Option(help="Draw this alone; repeatable.", show_default="all"),
    ] = None,
    protocol: options.Protocol = None,
    baseline: options.Baseline = DEFAULT.baseline,
    margin: options.Margin = DEFAULT.margin,
    all_pairs: options.AllPairs = DEFAULT.all_pairs,
    runs_dir: options.RunsDir = RUNS,
    debug: options.Debug = False,
) -> None:
    """Draw learning curves, differences, looks, tuning and parameters (needs the extra plot)."""
    from bnbench.cli import answers
    from bnbench.files import check_writable
    from bnbench.show import plots, sentences, terminal

    plots.check_ending(output)
    check_writable(output)
    study = answers.compared(
        runs_dir, names=names or (), baseline=baseline, margin=margin, all_pairs=all_pairs
    )
    chosen, *_ = answers.chosen(study, protocol)
    plots.write(plots.figure(chosen, [*map(str, only)] if only else None), output)
    terminal.notice(f"{output}: {sentences.title(chosen)}")


@app.command()
def report(
    output: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    names: options.Names = None,
    baseline: options.Baseline = DEFAULT.baseline,
    metric: options.Metric = "test_accuracy",
    margin: options.Margin = DEFAULT.margin,
    all_pairs: options.AllPairs = DEFAULT.all_pairs,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar=options.PROTOCOLS,
            help="Protocol to report: its id, tuned, or all.",
            show_default="all but values of a sweep",
        ),
    ] = None,
    runs_dir: options.RunsDir = RUNS,
    debug: options.Debug = False,
) -> None:
    """Write one HTML file with question, answer, tables, plots and configs (extra report)."""
    from bnbench.cli import answers
    from bnbench.evidence.compare import without_subsumed
    from bnbench.files import check_writable
    from bnbench.show import terminal

    check_writable(output)
    study = answers.compared(
        runs_dir,
        names=names or (),
        baseline=baseline,
        metric=metric,
        margin=margin,
        all_pairs=all_pairs,
    )
    shown = answers.chosen(study, protocol) if protocol else without_subsumed(study.comparisons)
    chosen = replace(study, comparisons=tuple(shown))
    chosen.report(output)
    terminal.notice(f"{output}: {count(len(chosen.comparisons), 'comparison')}")


for command in (configs.show, configs.explain, configs.script, configs.schema):
    app.command()(command)


@app.command()
def data(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Own data to describe: .npz or .csv.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column of a .csv that holds the class.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write the config to.")] = None,
    data_dir: options.DataDir = None,
    debug: options.Debug = False,
) -> None:
    """Show where data sets were found; describe FILE and make a config for it."""
    from bnbench.cli import own_data
    from bnbench.datasets import dataset
    from bnbench.experiments.fields import TABLES
    from bnbench.show import data_grids, terminal

    if file is not None:
        if label is None and file.endswith(TABLES):
            own_data.name_candidates(file, output)
        else:
            own_data.describe(file, label, output, data_dir)
        return
    if label is not None or output is not None:
        raise InputError("--label, --output: expected the file that they are about, too")
    states = dataset.status(data_dir)
    terminal.show_grids(data_grids.data_files(states))
    for state in states:
        if state.advice:
            terminal.write(f"{state.advice}\n")


app.command()(configs.init)


@app.command()
def pack(
    output: Annotated[Path, typer.Argument(help="File to write: .jsonl.gz.", metavar="OUTPUT")],
    runs_dir: options.RunsDir = RUNS,
    debug: options.Debug = False,
) -> None:
    """Write all records to one file, to keep or to share: one record to a line."""
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
