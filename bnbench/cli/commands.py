"""The commands: parse, call, show, exit code."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from bnbench.cli import options
from bnbench.errors import InputError
from bnbench.evidence.question import DEFAULT
from bnbench.text import count
from bnbench.version import __version__

app = typer.Typer(
    help="Compare placements of Batch Normalization in an MLP: paired seeds, intervals, a verdict.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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
        bool, Option("--version", callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    configs: options.Configs,
    seeds: options.Seeds = None,
    overrides: options.Set = None,
    until_settled: options.Until = False,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    smoke: options.Smoke = False,
    force: options.Force = False,
    save_models: options.Models = False,
    tensorboard: options.TensorBoard = None,
    runs_dir: options.RunsDir = "runs",
    data_dir: options.DataDir = None,
    ray: options.Ray = None,
    format: options.Format = "table",
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train the seeds that have no record yet, then compare the experiments."""
    from bnbench import api
    from bnbench.cli import answers, checks

    if smoke and until_settled:
        raise InputError("--smoke: one seed decides nothing; leave out --until-settled")
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
    metric: options.Metric = DEFAULT.metric,
    margin: options.Margin = DEFAULT.margin,
    all_pairs: options.AllPairs = DEFAULT.all_pairs,
    format: options.Format = "table",
    table: options.Rows = "runs",
    output: options.Output = None,
    protocol: options.Protocol = None,
    fail_under: options.FailUnder = None,
    fail_on: options.FailOns = None,
    strict: options.Strict = False,
    runs_dir: options.RunsDir = "runs",
    debug: options.Debug = False,
) -> None:
    """Compare the recorded experiments: verdicts and tables, the newest protocol first."""
    from bnbench.cli import answers, checks
    from bnbench.files import check_output
    from bnbench.show import formats

    if table != "runs" and format != "csv":
        raise InputError("--table: chooses the rows of --format csv; other formats have them all")
    if output:
        check_output(output, formats.MADE_HERE.search)
    study = answers.compared(
        runs_dir, names, baseline=baseline, metric=metric, margin=margin, all_pairs=all_pairs
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
    output: Annotated[Path, Option(help="File to write: .png, .svg or .pdf.")],
    names: options.Names = None,
    only: options.Kinds = None,
    protocol: options.Protocol = None,
    baseline: options.Baseline = DEFAULT.baseline,
    margin: options.Margin = DEFAULT.margin,
    all_pairs: options.AllPairs = DEFAULT.all_pairs,
    runs_dir: options.RunsDir = "runs",
    debug: options.Debug = False,
) -> None:
    """Draw learning curves, differences, looks, tuning and parameters (needs the extra plot)."""
    from bnbench.cli import answers
    from bnbench.files import check_output
    from bnbench.show import plots, sentences, terminal

    plots.files.check_ending(output)
    check_output(output, plots.files.MADE_HERE.search)
    study = answers.compared(runs_dir, names, baseline=baseline, margin=margin, all_pairs=all_pairs)
    chosen, *_ = answers.chosen(study, protocol)
    plots.files.write(plots.figure(chosen, [*map(str, only)] if only else None), output)
    terminal.notice(f"{output}: {sentences.title(chosen)}")


@app.command()
def report(
    output: Annotated[Path, Option(help="HTML file to write.")] = Path("report.html"),
    names: options.Names = None,
    baseline: options.Baseline = DEFAULT.baseline,
    metric: options.Metric = DEFAULT.metric,
    margin: options.Margin = DEFAULT.margin,
    all_pairs: options.AllPairs = DEFAULT.all_pairs,
    protocol: options.Protocol = None,
    runs_dir: options.RunsDir = "runs",
    debug: options.Debug = False,
) -> None:
    """Write one HTML file with question, answers, tables, plots and configs (extra report)."""
    from bnbench.cli import answers
    from bnbench.evidence.compare import without_subsumed
    from bnbench.files import check_output
    from bnbench.show import report as html_report
    from bnbench.show import terminal

    check_output(output, html_report.MADE_HERE.search)
    study = answers.compared(
        runs_dir, names, baseline=baseline, metric=metric, margin=margin, all_pairs=all_pairs
    )
    shown = answers.chosen(study, protocol) if protocol else without_subsumed(study.comparisons)
    replace(study, comparisons=tuple(shown)).report(output)
    terminal.notice(f"{output}: {count(len(shown), 'comparison')}")


@app.command()
def show(
    configs: options.Configs, overrides: options.Set = None, debug: options.Debug = False
) -> None:
    """Show each config with its defaults, its layers and every variable."""
    from bnbench import api
    from bnbench.datasets import dataset
    from bnbench.experiments.architecture import build, count_parameters
    from bnbench.experiments.config import dump_yaml
    from bnbench.show import grids, terminal

    for config in api.load_configs(configs, overrides or ()):
        network = build(config.model, *dataset.describe(config.data)[:2])
        terminal.write(f"# experiment {config.experiment_id}, protocol {config.protocol_id}\n")
        terminal.write(f"{dump_yaml(config)}\n")
        terminal.show_grids(grids.layers(network), grids.variables(network))
        number = count_parameters(network)
        terminal.write(
            f"Total parameters:         {number['total']:>12,}\n"
            f"Trainable parameters:     {number['trainable']:>12,}\n"
            f"Non-trainable parameters: {number['non_trainable']:>12,}\n\n"
        )


@app.command()
def explain(
    config: options.Config, overrides: options.Set = None, debug: options.Debug = False
) -> None:
    """Explain in words why each layer has the parameters it has."""
    from bnbench import api
    from bnbench.datasets import dataset
    from bnbench.lessons.explanation import Section, sections
    from bnbench.show import terminal

    loaded = api.load_config(config, overrides or ())
    head = Section(loaded.name, (loaded.description,) if loaded.description else ())
    terminal.show_sections([head, *sections(loaded, *dataset.describe(loaded.data)[:2])])


@app.command()
def script(
    config: options.Config, overrides: options.Set = None, debug: options.Debug = False
) -> None:
    """Print a plain Keras program that builds and trains the same network."""
    from bnbench import api
    from bnbench.datasets import dataset
    from bnbench.lessons.script import keras_script
    from bnbench.show import terminal

    loaded = api.load_config(config, overrides or ())
    terminal.write(keras_script(loaded, *dataset.describe(loaded.data)[:2]))


@app.command()
def schema(debug: options.Debug = False) -> None:
    """Print the JSON Schema that editors use to check config files."""
    from bnbench.experiments.config import json_schema
    from bnbench.show import terminal

    terminal.write(json.dumps(json_schema(), indent=2) + "\n")


@app.command()
def data(
    file: Annotated[
        str | None, Argument(metavar="FILE", help="Own data to describe: .npz or .csv.")
    ] = None,
    label: Annotated[str | None, Option(help="Column of a .csv that holds the class.")] = None,
    output: Annotated[Path | None, Option(help="File to write the config to.")] = None,
    data_dir: options.DataDir = None,
    debug: options.Debug = False,
) -> None:
    """Show where data sets were found, or describe FILE and write a config for it."""
    from bnbench.cli import own_data

    if file is not None:
        own_data.describe(file, label, output, data_dir)
    elif label is None and output is None:
        own_data.show_shipped(data_dir)
    else:
        raise InputError("--label, --output: expected FILE, too")


@app.command()
def init(
    folder: Annotated[Path, Argument(help="Folder to write to.", metavar="DIR")] = Path("configs"),
    debug: options.Debug = False,
) -> None:
    """Write the configs that ship with bnbench to a folder, to run and to change."""
    from bnbench.lessons.shipped import write_configs
    from bnbench.show import terminal

    written = write_configs(folder)
    for path in written:
        terminal.write(f"{path}\n")
    terminal.notice(f"{count(len(written), 'file')} written to {folder}")


@app.command()
def pack(
    output: Annotated[Path, Argument(help="File to write: .jsonl.gz.", metavar="OUTPUT")],
    runs_dir: options.RunsDir = "runs",
    debug: options.Debug = False,
) -> None:
    """Write all records to one file, to keep or to share: one record to a line."""
    from bnbench import api
    from bnbench.evidence import packed
    from bnbench.files import check_output
    from bnbench.show import terminal

    if not output.name.endswith(packed.ENDING):
        raise InputError(f"{output}: expected a name that ends in {packed.ENDING}")
    check_output(output, lambda held: held.startswith(packed.BEGINNING))
    records, warnings = api.store_in(runs_dir).read_all()
    terminal.warn(warnings)
    if warnings and output.exists() and output.parent.samefile(runs_dir):
        raise InputError(
            f"{output}: would replace what was skipped, which would be lost; choose another place"
        )
    if not records:
        raise InputError(f"{runs_dir}: no records here, so there is nothing to pack")
    packed.pack(records, output)
    terminal.notice(f"{output}: {count(len(records), 'record')}")
