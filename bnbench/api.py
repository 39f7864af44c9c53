"""Load, run and compare, as a notebook calls them and the commands show them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnbench.datasets import dataset
from bnbench.datasets.dataset import Dataset
from bnbench.errors import InputError
from bnbench.evidence.comparison import Comparison, resolvable_difference
from bnbench.evidence.comparison import compare as compare_records
from bnbench.evidence.question import Question
from bnbench.evidence.records import RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.experiments.architecture import Layer, build
from bnbench.experiments.config import Config, dump_yaml
from bnbench.experiments.sweep import load_experiments, parse_experiments
from bnbench.text import count
from bnbench.training import agenda as agendas
from bnbench.training.agenda import Agenda
from bnbench.training.device import Request, cores
from bnbench.training.engines.engine import Engine, RunEnded, RunFailed
from bnbench.training.footprint import affordable_jobs

if TYPE_CHECKING:
    from bnbench.show.progress import Voice

Source = str | Path | Config
Settings = Mapping[str, Any] | Sequence[str]
Export = Callable[[RunRecord], None]


def load_config(source: Source, settings: Settings = ()) -> Config:
    """Return the one experiment of a config file, checked against its data as far as that is cheap.

    ``settings`` override keys, as in `run`. Raises `InputError` with all faults, and for a sweep.
    """
    experiments = load_configs([source], settings)
    if len(experiments) > 1:
        raise InputError(f"expected one experiment, got a sweep of {len(experiments)}")
    return experiments[0]


def load_configs(sources: Source | Iterable[Source], settings: Settings = ()) -> list[Config]:
    """Return all experiments of the config files; raises `InputError` with the faults of all."""
    configs: dict[str, Config] = {}
    faults = []
    for source in [sources] if isinstance(sources, Source) else sources:
        where = source.name if isinstance(source, Config) else str(source)
        try:
            for config in _experiments(source, _overrides(settings)):
                rows = dataset.describe(config.data.dataset)[2]
                faults += [f"{where}: {fault}" for fault in dataset.batch_faults(config, rows)]
                configs.setdefault(f"{config.name}-{config.experiment_id}", config)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(dict.fromkeys(faults)))
    return list(configs.values())


def _experiments(source: Source, overrides: Sequence[str]) -> list[Config]:
    if isinstance(source, Config):
        return parse_experiments(dump_yaml(source), source.name, overrides)
    return load_experiments(Path(source), overrides)


def describe_data(config: Config) -> tuple[tuple[int, ...], int]:
    """Return the shape of one example of the config's data, such as (28, 28), and the classes."""
    feature_shape, classes, _ = dataset.describe(config.data.dataset)
    return feature_shape, classes


def network(config: Config) -> tuple[Layer, ...]:
    """Return the layers of the config's network on its data."""
    return build(config.model, *describe_data(config))


def _overrides(settings: Settings) -> list[str]:
    """Return settings as ``KEY=VALUE`` texts; a tuple is a sweep over its values."""
    if not isinstance(settings, Mapping):
        return list(settings)
    return [f"{key}={_text(value)}" for key, value in settings.items()]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value)


def load_records(runs_dir: str | Path = "runs") -> list[RunRecord]:
    """Return all records of a folder; files that are none are passed over."""
    return RecordStore(Path(runs_dir)).read_all()[0]


@dataclass(frozen=True)
class Study:
    """What records say: a comparison for each protocol, the records themselves, and trouble.

    ``warnings`` tell what is wrong with the folder of records, ``failures`` which runs could not
    be made. In a notebook a study shows itself.
    """

    comparisons: tuple[Comparison, ...]
    records: tuple[RunRecord, ...]
    warnings: tuple[str, ...] = ()
    failures: tuple[RunFailed, ...] = ()

    def __str__(self) -> str:
        from bnbench.show import terminal

        warnings = "".join(f"warning: {warning}\n" for warning in self.warnings)
        return warnings + terminal.page(self.comparisons)

    def __repr__(self) -> str:
        return f"Study of {count(len(self.records), 'run')}; print it for its tables"

    def _repr_html_(self) -> str | None:
        from bnbench.show import notebook

        return notebook.to_html(self.comparisons, self.warnings)

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with a row to a run; raises `EnvironmentFault` without pandas.

        Its columns are those of the CSV: accuracies are shares of 1, times are seconds.
        """
        from bnbench.show import notebook

        return notebook.to_frame(self.comparisons)

    def plot(self, kind: str = "differences", comparison: int = 0) -> Any:
        """Return a Matplotlib figure of one comparison: curves, differences or parameters.

        Raises `InputError` for a kind or a comparison that is not there, `EnvironmentFault`
        without Matplotlib.
        """
        from bnbench.show import plots

        if not 0 <= comparison < len(self.comparisons):
            raise InputError(f"no comparison {comparison}; there are {len(self.comparisons)}")
        return plots.figure(self.comparisons[comparison], (kind,))

    def report(self, path: str | Path = "report.html") -> Path:
        """Write one HTML file with answer, tables, plots and configs, and return its path.

        Raises `EnvironmentFault` where it cannot be written or the extra is missing.
        """
        from bnbench.files import check_writable, write_text
        from bnbench.show import report

        path = Path(path)
        check_writable(path)
        write_text(path, report.to_html(self.comparisons, self.warnings))
        return path


def compare(
    runs_dir: str | Path = "runs",
    *,
    names: Sequence[str] = (),
    baseline: str | None = Question.baseline,
    metric: str = Question.metric,
    margin: float = Question.margin,
    all_pairs: bool = Question.all_pairs,
) -> Study:
    """Compare what is recorded in a folder, one comparison to a protocol, the newest first.

    The arguments are those of `Question`; ``margin`` is in percentage points. Raises `InputError`
    for names that have no record, and where there is none at all.
    """
    question = Question(
        names=tuple(names), baseline=baseline, metric=metric, margin=margin, all_pairs=all_pairs
    )
    records, warnings = RecordStore(Path(runs_dir)).read_all()
    if not records:
        nothing = f"{runs_dir}: no records here; make some with: bnbench run CONFIG..."
        raise InputError("\n".join([nothing, *warnings]))
    return Study(tuple(compare_records(records, question)), tuple(records), tuple(warnings))


def run(
    configs: Source | Iterable[Source],
    *,
    seeds: int | Sequence[int] | None = None,
    settings: Settings = (),
    device: Request = "auto",
    jobs: int | None = None,
    force: bool = False,
    save_models: bool = False,
    tensorboard: str | Path | None = None,
    runs_dir: str | Path = "runs",
    data_dir: str | Path | None = None,
    ray: str | None = None,
    progress: bool = True,
) -> Study:
    """Make the runs that have no record yet, one to a core, and compare what was asked for.

    ``configs`` are files, `Config` objects or one of them; ``seeds`` a count or a list;
    ``settings`` override keys, as in ``{"training.epochs": 3}``, where a tuple is a sweep over its
    values. ``force`` repeats runs, ``save_models`` keeps each trained model beside its record,
    ``tensorboard`` is a folder to write event files to, ``ray`` the HOST:PORT of a Ray cluster that
    makes the runs, as many at once as it has CPUs. Nothing is shown without ``progress`` but
    warnings. Interrupted, the runs under way are dropped and what is recorded stays.

    Raises `InputError` for configs and settings, `EnvironmentFault` for what the machine lacks. A
    run that fails is in the study's ``failures``, one that diverges among its ``records``.
    """
    from bnbench.show.progress import Voice

    if ray is not None and (jobs is not None or device == "gpu"):
        raise InputError("ray: takes neither a number of jobs nor a GPU: the cluster's CPUs decide")
    voice = Voice(quiet=not progress)
    overrides = [*_overrides(settings), *_seed_override(seeds)]
    task = prepare(
        load_configs(configs, overrides),
        RecordStore(Path(runs_dir)),
        data_dir=Path(data_dir) if data_dir else None,
        force=force,
        save_models=save_models,
        export=_exporter(tensorboard, runs_dir),
        notice=voice.notice,
    )
    voice.announce(task.agenda, len(task.datasets))
    for number, difference in task.resolvable_differences():
        voice.announce_resolution(number, difference)
    if ray is not None:
        return carry_out(task, _cluster(ray, voice), voice)
    return carry_out(task, _engine(task, device, jobs or cores(), voice), voice)


def _seed_override(seeds: int | Sequence[int] | None) -> list[str]:
    if seeds is None:
        return []
    return [f"seeds={seeds if isinstance(seeds, int) else json.dumps(list(seeds))}"]


def _exporter(folder: str | Path | None, runs_dir: str | Path) -> Export:
    if folder is None:
        return lambda record: None
    from bnbench.show import tensorboard

    if Path(folder).resolve() == Path(runs_dir).resolve():
        raise InputError("tensorboard: expected another folder than that of the records")
    tensorboard.check()
    return partial(tensorboard.write_run, Path(folder))


@dataclass(frozen=True)
class Task:
    """What is to be done: the runs that are missing, with all that they need."""

    agenda: Agenda
    datasets: Mapping[Config, Dataset]
    store: RecordStore
    save_models: bool
    export: Export

    def resolvable_differences(self) -> list[tuple[int, float]]:
        """Return for each protocol its seeds and the difference they resolve, judging by noise.

        A protocol of which too little is recorded to tell has no place in the list.
        """
        seeds = {config.protocol_id: len(config.seed_list) for config in self.datasets}
        if not self.agenda.missing:
            return []
        known = [r for r in self.store.read_all()[0] if r.protocol_id in seeds]
        resolved = []
        for comparison in compare_records(known):
            number = seeds.get(comparison.config.protocol_id, 0)
            difference = resolvable_difference(comparison, number) if number else None
            if difference and not comparison.tuning:
                resolved.append((number, difference))
        return resolved

    def keep(self, ended: RunEnded) -> None:
        """Put record and model in their place."""
        record = ended.record
        self.store.keep(record, ended.model)
        self.export(record)


def prepare(
    configs: Sequence[Config],
    store: RecordStore,
    *,
    data_dir: Path | None,
    force: bool,
    save_models: bool,
    export: Export,
    notice: Callable[[str], None],
) -> Task:
    """Load and check the data, and sort out which runs are missing.

    Raises `InputError` and `EnvironmentFault`, all before anything is trained.
    """
    store.prepare()
    loaded = {
        part: dataset.load(part.dataset, part.validation_size, data_dir, notice)
        for part in dict.fromkeys(config.data for config in configs)
    }
    datasets = {config: loaded[config.data] for config in configs}
    agenda = agendas.agenda(datasets, store, force=force, models=save_models)
    return Task(agenda, datasets, store, save_models, export)


def _engine(task: Task, device: Request, jobs: int, voice: "Voice") -> Engine:
    """Return the engine for as many runs at once as were asked for and fit into memory."""
    from bnbench.training.engines.processes import Processes

    needed = {trial.config: task.datasets[trial.config] for trial in task.agenda.missing}
    fitting = affordable_jobs(needed, jobs) if needed else jobs
    if fitting < jobs:
        voice.warn(f"there is memory for {fitting} of {jobs} runs at once")
    return Processes(device, fitting)


def _cluster(address: str, voice: "Voice") -> Engine:
    from bnbench.training.engines.ray import Ray

    return Ray(address, voice.notice)


def carry_out(task: Task, engine: Engine, voice: "Voice") -> Study:
    """Make the missing runs, keep each as it ends, and compare all that were asked for."""
    for record in task.agenda.recorded:
        task.export(record)
    ended, failures = _make(task, engine, voice) if task.agenda.missing else ([], [])
    records = (*task.agenda.recorded, *ended)
    return Study(tuple(compare_records(records)), records, failures=tuple(failures))


def _make(task: Task, engine: Engine, voice: "Voice") -> tuple[list[RunRecord], list[RunFailed]]:
    voice.notice("Loading TensorFlow …")
    records, failures = [], []
    made = engine.make(task.agenda.missing, task.datasets, models=task.save_models)
    # A traceback that a notebook keeps would hold the events, and with them the workers.
    with closing(made) as events, voice.following(task.agenda.missing) as tell:
        for event in events:
            if isinstance(event, RunEnded):
                task.keep(event)
                records.append(event.record)
            elif isinstance(event, RunFailed):
                failures.append(event)
            tell(event)
    return records, failures
