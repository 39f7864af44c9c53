"""The commands: parse, call, show, exit code."""

import gc
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bnbench import __version__, interruption
from bnbench.cli import options
from bnbench.cli.options import (
    AllPairs,
    Baseline,
    Configs,
    DataDir,
    Debug,
    Device,
    Format,
    Margin,
    Metric,
    MetricOption,
    Names,
    Plot,
    RunsDir,
    Set,
)
from bnbench.errors import CheckFailed, InputError
from bnbench.text import count

if TYPE_CHECKING:
    from bnbench.datasets.dataset import Dataset
    from bnbench.evidence.comparison import Comparison
    from bnbench.evidence.records import RunRecord
    from bnbench.evidence.store import RecordStore
    from bnbench.experiments.config import Config
    from bnbench.training.engines.threads import Event
    from bnbench.training.plan import Trial
    from bnbench.training.program import TrainingProgram

app = typer.Typer(
    help="Compare where Batch Normalization stands in an MLP: many paired seeds, intervals, "
    "a verdict.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SMOKE = (
    "data.dataset=fashion_mnist_sample",
    "data.validation_size=500",
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
    seeds: Annotated[
        str | None, typer.Option(help="A count, or a list such as 0,1,5.", show_default="config")
    ] = None,
    overrides: Set = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at once on the CPU.", show_default="the cores")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="One seed, one epoch, the shipped sample.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Repeat runs that have a record.")] = False,
    save_models: Annotated[
        bool, typer.Option("--save-models", help="Keep each trained model beside its record.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder to write the runs to for TensorBoard, too.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Train every config's missing seeds, then compare what was run."""
    from bnbench.evidence.store import RecordStore
    from bnbench.show import terminal
    from bnbench.training import plan

    changes = [*(SMOKE if smoke else ()), *(overrides or ())]
    if seeds is not None:
        changes.append(f"seeds=[{seeds}]" if "," in seeds else f"seeds={seeds}")
    experiments = _load(configs, changes)
    store = RecordStore(runs_dir)
    export = _exporter(tensorboard, runs_dir)
    store.prepare()
    datasets = _load_data(experiments, data_dir)
    planned = plan.plan(datasets, store, force=force, models=save_models)
    terminal.warn(planned.warnings)
    _announce(planned, experiments, store)
    for record in planned.recorded:
        export(record)
    records, failures = list(planned.recorded), []
    if planned.missing:

        def keep(program: "TrainingProgram", record: "RunRecord") -> None:
            store.keep(record, _saved(program) if save_models else None)
            export(record)

        made = _train(planned.missing, datasets, keep, device, jobs)
        records += [event.record for event in made if event.record]
        failures = [event for event in made if event.failure]
    _show_comparison_of(records)
    _report_trouble(records, failures)


def _saved(program: "TrainingProgram") -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        program.model.save(path)
        return path.read_bytes()


@app.command()
def compare(
    names: Names = None,
    baseline: Baseline = None,
    metric: MetricOption = Metric.TEST_ACCURACY,
    margin: Margin = 0.3,
    all_pairs: AllPairs = False,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option(help="File to write it to.")] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Exit 1 if any experiment's mean is below it."),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit 1 on an unclean comparison or a damaged record."),
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    debug: Debug = False,
) -> None:
    """Compare the recorded experiments, one set of tables per protocol, newest first."""
    from bnbench.files import check_writable

    if output:
        check_writable(output)
    comparisons, damages = _compared(names, baseline, metric, margin, all_pairs, runs_dir)
    _write(comparisons, format, output)
    _check(comparisons, fail_under, damages if strict else None)


@app.command()
def plot(
    output: Annotated[Path, typer.Option(help="File to write: .png, .svg or .pdf.")],
    names: Names = None,
    only: Annotated[
        list[Plot] | None, typer.Option(help="Draw this alone; repeatable.", show_default="all")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Protocol to draw: its id, or tuned.", show_default="the newest"),
    ] = None,
    baseline: Baseline = None,
    margin: Margin = 0.3,
    all_pairs: AllPairs = False,
    runs_dir: RunsDir = Path("runs"),
    debug: Debug = False,
) -> None:
    """Draw learning curves, differences and parameters (needs the extra plot)."""
    from bnbench.files import check_writable
    from bnbench.show import plots, sentences, terminal

    plots.check_ending(output)
    check_writable(output)
    comparisons, _ = _compared(names, baseline, Metric.TEST_ACCURACY, margin, all_pairs, runs_dir)
    chosen = _chosen(comparisons, protocol)
    plots.write(plots.figure(chosen, only or plots.KINDS), output)
    terminal.notice(f"{output}: {sentences.title(chosen)}")


@app.command()
def report(
    output: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    names: Names = None,
    baseline: Baseline = None,
    metric: MetricOption = Metric.TEST_ACCURACY,
    margin: Margin = 0.3,
    all_pairs: AllPairs = False,
    runs_dir: RunsDir = Path("runs"),
    debug: Debug = False,
) -> None:
    """Write one HTML file with question, answer, tables, plots and configs (extra report)."""
    from bnbench.files import check_writable, write_text
    from bnbench.show import report, terminal

    check_writable(output)
    comparisons, damages = _compared(names, baseline, metric, margin, all_pairs, runs_dir)
    write_text(output, report.to_html(comparisons, damages))
    terminal.notice(f"{output}: {count(len(comparisons), 'comparison')}")


@app.command()
def show(configs: Configs, overrides: Set = None, debug: Debug = False) -> None:
    """Show each config with its defaults, its layers and every variable."""
    from bnbench.datasets import dataset
    from bnbench.experiments import architecture
    from bnbench.experiments.config import dump_yaml
    from bnbench.show import grids, terminal

    out = terminal.console(sys.stdout)
    for config in _load(configs, overrides or ()):
        feature_shape, classes, _ = dataset.describe(config.data.dataset)
        network = architecture.build(config.model, feature_shape, classes)
        terminal.write(
            f"# experiment {config.experiment_id}, protocol {config.protocol_id}\n"
            f"{dump_yaml(config)}\n"
        )
        terminal.show_grid(grids.layers(network), out)
        terminal.show_grid(grids.variables(network), out)
        count = architecture.count_parameters(network)
        terminal.write(
            f"Total parameters:         {count['total']:>12,}\n"
            f"Trainable parameters:     {count['trainable']:>12,}\n"
            f"Non-trainable parameters: {count['non_trainable']:>12,}\n\n"
        )


@app.command()
def explain(config: options.Config, overrides: Set = None, debug: Debug = False) -> None:
    """Explain in words why each layer has the parameters it has."""
    from bnbench.datasets import dataset
    from bnbench.lessons.explanation import Section, sections
    from bnbench.show import terminal

    found = _load_one(config, overrides or ())
    feature_shape, classes, _ = dataset.describe(found.data.dataset)
    head = Section(found.name, (found.description,) if found.description else ())
    terminal.show_sections([head, *sections(found, feature_shape, classes)])


@app.command()
def script(config: options.Config, overrides: Set = None, debug: Debug = False) -> None:
    """Print a plain Keras program that builds and trains the same network."""
    from bnbench.datasets import dataset
    from bnbench.lessons.script import keras_script
    from bnbench.show import terminal

    found = _load_one(config, overrides or ())
    feature_shape, classes, _ = dataset.describe(found.data.dataset)
    terminal.write(keras_script(found, feature_shape, classes))


@app.command()
def schema(debug: Debug = False) -> None:
    """Print the JSON Schema of the config file."""
    from bnbench.experiments.config import json_schema
    from bnbench.show import terminal

    terminal.write(json.dumps(json_schema(), indent=2) + "\n")


@app.command()
def data(data_dir: DataDir = None, debug: Debug = False) -> None:
    """Show where each data set was found, its checksum, or how to get it."""
    from bnbench.datasets import dataset
    from bnbench.show import grids, terminal

    states = dataset.status(data_dir)
    terminal.show_grid(grids.data_files(states), terminal.console(sys.stdout))
    for state in states:
        if state.advice:
            terminal.write(f"{state.advice}\n")


def _load(paths: Sequence[Path], overrides: Sequence[str]) -> list["Config"]:
    from bnbench.datasets.dataset import batch_faults, describe
    from bnbench.experiments.sweep import load_experiments

    configs: dict[str, Config] = {}
    faults = []
    for path in paths:
        try:
            for config in load_experiments(path, overrides):
                rows = describe(config.data.dataset)[2]
                faults += [f"{path}: {fault}" for fault in batch_faults(config, rows)]
                configs.setdefault(config.experiment_id + config.name, config)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(dict.fromkeys(faults)))
    return list(configs.values())


def _load_one(path: Path, overrides: Sequence[str]) -> "Config":
    found = _load([path], overrides)
    if len(found) > 1:
        raise InputError(f"--set: expected one experiment, got a sweep of {len(found)}")
    return found[0]


def _load_data(configs: Sequence["Config"], data_dir: Path | None) -> dict["Config", "Dataset"]:
    from bnbench.datasets.dataset import load
    from bnbench.show import terminal

    loaded = {
        part: load(part.dataset, part.validation_size, data_dir, terminal.notice)
        for part in dict.fromkeys(config.data for config in configs)
    }
    return {config: loaded[config.data] for config in configs}


def _exporter(folder: Path | None, runs_dir: Path) -> Callable[["RunRecord"], None]:
    if folder is None:
        return lambda record: None
    from bnbench.show import tensorboard

    if folder.resolve() == runs_dir.resolve():
        raise InputError("--tensorboard: expected another folder than that of the records")
    tensorboard.check()
    return partial(tensorboard.write_run, folder)


def _announce(planned: Any, configs: Sequence["Config"], store: "RecordStore") -> None:
    from bnbench.evidence import comparison
    from bnbench.show import terminal

    missing, recorded = len(planned.missing), len(planned.recorded)
    terminal.notice(
        f"{count(missing + recorded, 'run')} of {count(len(configs), 'experiment')}: "
        f"{recorded} recorded, {missing} to make."
    )
    protocols = {config.protocol_id: len(config.seed_list) for config in configs}
    known = [r for r in store.read_all()[0] if r.protocol_id in protocols] if missing else []
    for found in comparison.compare(known):
        seeds = protocols[found.config.protocol_id]
        if resolvable := comparison.resolvable_difference(found, seeds):
            terminal.notice(
                f"With {seeds} seeds a difference of {100 * resolvable:.2f} percentage points can "
                "be resolved (80 % power, from the paired deviation recorded so far)."
            )


def _train(
    trials: Sequence["Trial"],
    datasets: dict["Config", "Dataset"],
    keep: Callable[["TrainingProgram", "RunRecord"], None],
    requested: Device,
    jobs: int | None,
) -> list["Event"]:
    from bnbench.show import terminal
    from bnbench.show.progress import RunProgress
    from bnbench.training import device
    from bnbench.training.engines import threads

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jobs = jobs or cores or 1
    terminal.notice("Loading TensorFlow …")
    with interruption.held_back():  # TensorFlow's native parts abort when one comes into an import
        chosen = device.start(requested.value, jobs)
        from bnbench.training.program import DeviceData

    placed = {d: DeviceData.place(d, chosen) for d in set(datasets.values())}

    ended: list[Event] = []
    with RunProgress(trials) as progress:

        def report(event: "Event") -> None:
            progress.update(event)
            if event.ended:
                ended.append(event)

        threads.Workers(
            trials=trials,
            data={config: placed[dataset] for config, dataset in datasets.items()},
            keep=keep,
            report=report,
            jobs=1 if chosen.startswith("GPU") else jobs,
        ).run()
    return ended


def _show_comparison_of(records: Sequence["RunRecord"]) -> None:
    from bnbench.evidence import tuning
    from bnbench.show import terminal

    terminal.show_comparisons(tuning.compare_all(records), sys.stdout)


def _report_trouble(records: Sequence["RunRecord"], failures: Sequence["Event"]) -> None:
    from bnbench.show import terminal

    for event in failures:
        terminal.notice(f"failed: {event.trial}: {event.reason}", "red")
        if options.debugging and event.failure:
            terminal.notice("".join(traceback.format_exception(event.failure)))
    diverged = [record for record in records if not record.completed]
    if failures or diverged:
        raise CheckFailed(f"{count(len(failures), 'run')} failed, {len(diverged)} diverged")


def _compared(
    names: list[str] | None,
    baseline: str | None,
    metric: Metric,
    margin: float,
    all_pairs: bool,
    runs_dir: Path,
) -> tuple[list["Comparison"], list[str]]:
    from bnbench.evidence import tuning
    from bnbench.evidence.store import RecordStore
    from bnbench.show import terminal

    gc.disable()  # thousands of records are read once and kept: there is nothing to collect
    records, damages = RecordStore(runs_dir).read_all()
    terminal.warn(damages)
    if not records:
        raise InputError(f"{runs_dir}: no records here; make some with: bnbench run CONFIG...")
    found = tuning.compare_all(
        records,
        names=names or (),
        baseline=baseline,
        metric=metric.value,
        margin=margin / 100,
        all_pairs=all_pairs,
    )
    return found, damages


def _chosen(comparisons: Sequence["Comparison"], protocol: str | None) -> "Comparison":
    ids = ["tuned" if c.tuning else c.config.protocol_id for c in comparisons]
    if protocol is None:
        protocol = ids[0]
    if protocol not in ids:
        raise InputError(
            f"--protocol: none named {protocol}; there are: {', '.join(dict.fromkeys(ids))}"
        )
    return comparisons[ids.index(protocol)]


def _write(comparisons: Sequence["Comparison"], format: Format, output: Path | None) -> None:
    import io

    from bnbench.files import write_text
    from bnbench.show import formats, terminal

    if format is Format.TABLE and output is None:
        terminal.show_comparisons(comparisons, sys.stdout)
        return
    if format is Format.TABLE:
        page = io.StringIO()
        terminal.show_comparisons(comparisons, page)
        text = page.getvalue()
    else:
        text = getattr(formats, f"to_{format.value}")(comparisons)
    if output:
        write_text(output, text)
    else:
        terminal.write(text)


def _check(
    comparisons: Sequence["Comparison"], fail_under: float | None, damages: Sequence[str] | None
) -> None:
    failed = []
    for found in comparisons:
        for experiment in found.experiments:
            mean = 100 * experiment.mean if experiment.mean is not None else float("-inf")
            if fail_under is not None and mean < fail_under:
                failed.append(f"{experiment.label}: mean below {fail_under:g} %")
        if damages is not None:
            failed += [
                f"{c.experiment} against {c.baseline}: {c.remark}"
                for c in found.contrasts
                if c.remark
            ]
    failed += damages or ()
    if failed:
        raise CheckFailed("\n".join(failed))
