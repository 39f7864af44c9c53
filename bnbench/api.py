"""Load, run and compare, as a notebook calls them and the commands show them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bnbench.datasets import dataset
from bnbench.datasets.dataset import Dataset
from bnbench.errors import InputError
from bnbench.evidence.comparison import Comparison, resolvable_difference
from bnbench.evidence.comparison import compare as compare_records
from bnbench.evidence.experiment import in_order
from bnbench.evidence.question import Question
from bnbench.evidence.records import RunRecord
from bnbench.evidence.settling import asked, at_most, next_seeds
from bnbench.evidence.store import RecordStore
from bnbench.evidence.tuning import seeds_apart
from bnbench.experiments.architecture import Layer, build
from bnbench.experiments.config import LARGEST_SEED, Config, dump_yaml
from bnbench.experiments.sweep import load_experiments, parse_experiments
from bnbench.text import count
from bnbench.training.agenda import Agenda, Trial, agenda, in_turns, interleave
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
    described = cache(dataset.describe)  # a sweep has many experiments on one file
    for source in [sources] if isinstance(sources, Source) else sources:
        where = source.name if isinstance(source, Config) else str(source)
        try:
            for config in _experiments(source, _overrides(settings)):
                rows = described(config.data).training_rows
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
    feature_shape, classes, _ = dataset.describe(config.data)
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
        from bnbench.show import notebook, terminal

        warnings = "".join(f"warning: {warning}\n" for warning in self.warnings)
        return warnings + terminal.page(self.comparisons, notebook.CALLS)

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
        """Return a Matplotlib figure of one comparison, such as its differences.

        The kinds are curves, differences, looks, tuning and parameters. Raises `InputError` for a
        kind or a comparison that is not there, `EnvironmentFault` without Matplotlib.
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
    margin: float | None = Question.margin,
    all_pairs: bool = Question.all_pairs,
) -> Study:
    """Compare what is recorded in a folder, one comparison to a protocol, the newest first.

    The arguments are those of `Question`; ``margin`` is in percentage points, that of the plan
    where it is None. Raises `InputError` for names that have no record, and where there is none at
    all.
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
    until_settled: bool = False,
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
    values. With ``until_settled`` seeds are added from look to look of the configs' plan, until
    before or after the activations is decided (where that is not the question, until all is decided
    that is held against the baseline) or the plan ends; a list of ``seeds`` then says which come
    first. ``force`` repeats runs, ``save_models`` keeps each trained model beside its record,
    ``tensorboard`` is a folder to write event files to, ``ray`` the HOST:PORT of a Ray cluster that
    makes the runs, as many at once as it has CPUs. Nothing is shown without ``progress`` but
    warnings. Interrupted, the runs under way are dropped and what is recorded stays.

    Raises `InputError` for configs and settings, `EnvironmentFault` for what the machine lacks. A
    run that fails is in the study's ``failures``, one that diverges among its ``records``.
    """
    from bnbench.show.progress import Voice

    if ray is not None and (jobs is not None or device == "gpu"):
        raise InputError("ray: takes neither a number of jobs nor a GPU: the cluster's CPUs decide")
    if until_settled and isinstance(seeds, int):
        raise InputError("seeds: the plan says how many there are until it is settled, not a count")
    voice = Voice(quiet=not progress)
    overrides = [*_overrides(settings), *_seed_override(seeds)]
    loaded = load_configs(configs, overrides)
    task = prepare(
        loaded,
        RecordStore(Path(runs_dir)),
        data_dir=Path(data_dir) if data_dir else None,
        force=force,
        save_models=save_models,
        export=_exporter(tensorboard, runs_dir),
        notice=voice.notice,
        at_once=None if ray is not None or device == "gpu" else jobs or cores(),
    )

    def engine(needed: Agenda) -> Engine:
        if ray is not None:
            return _cluster(ray, voice)
        return _processes(task, needed, device, jobs or cores(), voice)

    return settle(task, engine, voice) if until_settled else carry_out(task, engine, voice)


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
    """What is to be compared, with all that its runs need, and how many are made at once."""

    datasets: Mapping[Config, Dataset]
    store: RecordStore
    force: bool
    save_models: bool
    export: Export
    at_once: int | None = None

    @property
    def question(self) -> Question:
        """What the records are asked: with the configs' plan, where they agree on one."""
        plans = {config.plan for config in self.datasets}
        return Question(plan=plans.pop() if len(plans) == 1 else None)

    def agenda(self, trials: Iterable[Trial]) -> Agenda:
        """Sort out which of the runs are missing."""
        return agenda(trials, self.datasets, self.store, force=self.force, models=self.save_models)

    def keep(self, ended: RunEnded) -> None:
        """Put record and model in their place."""
        record = ended.record
        self.store.keep(record, ended.model)
        self.export(record)


EngineFor = Callable[[Agenda], Engine]


def prepare(
    configs: Sequence[Config],
    store: RecordStore,
    *,
    data_dir: Path | None,
    force: bool,
    save_models: bool,
    export: Export,
    notice: Callable[[str], None],
    at_once: int | None = None,
) -> Task:
    """Load and check the data; raises `InputError` and `EnvironmentFault`."""
    store.prepare()
    loaded = {
        part: dataset.load(part, data_dir, notice)
        for part in dict.fromkeys(config.data for config in configs)
    }
    datasets = {config: loaded[config.data] for config in configs}
    return Task(datasets, store, force, save_models, export, at_once)


def _processes(task: Task, needed: Agenda, device: Request, jobs: int, voice: "Voice") -> Engine:
    """Return the engine for as many runs at once as were asked for and fit into memory."""
    from bnbench.training.engines.processes import Processes

    datasets = {trial.config: task.datasets[trial.config] for trial in needed.missing}
    fitting = affordable_jobs(datasets, jobs)
    if fitting < jobs:
        voice.warn(f"there is memory for {fitting} of {jobs} runs at once")
    return Processes(device, fitting)


def _cluster(address: str, voice: "Voice") -> Engine:
    from bnbench.training.engines.ray import Ray

    return Ray(address, voice.notice)


def carry_out(task: Task, engine: EngineFor, voice: "Voice") -> Study:
    """Make the missing runs of all seeds, and compare all that were asked for."""
    agenda = task.agenda(interleave(task.datasets))
    voice.announce(agenda, len(task.datasets), seconds=_expected_seconds(task, agenda))
    if agenda.missing:
        known = compare_records(agenda.recorded, task.question)
        for number, difference in _resolvable(task, known):
            voice.announce_resolution(number, difference)
    if len(task.datasets) > 1:
        voice.announce_plan(
            (len(config.seed_list), seeds_apart(config), config.plan.first)
            for config in task.datasets
        )
    records, failures = _make(task, agenda, engine, voice)
    return _study(task, records, failures)


def _expected_seconds(task: Task, agenda: Agenda, known: Iterable[RunRecord] = ()) -> float | None:
    """Return how long the missing runs take, judging by runs of the same experiments.

    None where an experiment has no run yet, or where it is not known how many are made at once.
    """
    durations: dict[str, list[float]] = {}
    for record in (*agenda.recorded, *known):
        durations.setdefault(record.experiment_id, []).append(record.duration_seconds)
    missing = [trial.config.experiment_id for trial in agenda.missing]
    if task.at_once is None or not missing or not set(missing) <= durations.keys():
        return None
    return sum(median(durations[own]) for own in missing) / task.at_once


def _resolvable(task: Task, known: Iterable[Comparison]) -> Iterator[tuple[int, float]]:
    """Yield for each protocol its seeds and the difference they resolve, judging by the noise."""
    seeds = {config.protocol_id: len(config.seed_list) for config in task.datasets}
    for comparison in known:
        number = seeds[comparison.config.protocol_id]
        difference = None if comparison.tuning else resolvable_difference(comparison, number)
        if difference:
            yield number, difference


def settle(task: Task, engine: EngineFor, voice: "Voice") -> Study:
    """Add seeds from look to look until what is asked is decided, a run fails or the plan ends.

    Raises `InputError` where the configs state different plans.
    """
    plan = task.question.plan
    if plan is None:
        raise InputError("plan: the configs state different plans; expected one for all")
    if len(task.datasets) < 2:
        raise InputError("until settled: expected several experiments, to hold against each other")
    stated = {config.seeds for config in task.datasets}
    if len(stated) > 1 and not all(isinstance(seeds, int) for seeds in stated):
        raise InputError("seeds: the configs list different ones; expected the same for all")
    apart = max(map(seeds_apart, task.datasets))
    order = in_order(stated, (), apart + plan.most)
    if order[-1] > LARGEST_SEED:
        raise InputError(f"seeds: the plan's {plan.most} seeds go beyond {LARGEST_SEED}")
    wanted = dict.fromkeys(task.datasets, apart or plan.first)
    done = dict.fromkeys(task.datasets, 0)
    names = {config: (config.name, config.experiment_id) for config in task.datasets}
    records: list[RunRecord] = []
    while True:
        block = {config: order[done[config] : seeds] for config, seeds in wanted.items()}
        agenda = task.agenda(in_turns(block))
        voice.announce(
            agenda,
            len(wanted),
            stage=_stage(max(wanted.values()), apart),
            seconds=_expected_seconds(task, agenda, records),
        )
        made, failures = _make(task, agenda, engine, voice)
        records += made
        done |= wanted
        study = _study(task, records, failures)
        coming = {} if failures else next_seeds(study.comparisons)
        wanted = {config: coming[own] for config, own in names.items() if own in coming}
        if not any(done[config] < seeds for config, seeds in wanted.items()):
            most = at_most(study.comparisons, {names[config]: done[config] for config in done})
            voice.tell_outcome(plan, asked(study.comparisons), len(records), most)
            return study


def _stage(seeds: int, apart: int) -> str:
    return f"Look at {seeds - apart} seeds" if seeds > apart else f"Tuning with {seeds} seeds"


def _study(task: Task, records: Sequence[RunRecord], failures: Sequence[RunFailed]) -> Study:
    comparisons = compare_records(records, task.question)
    return Study(tuple(comparisons), tuple(records), failures=tuple(failures))


def _make(
    task: Task, agenda: Agenda, engine: EngineFor, voice: "Voice"
) -> tuple[list[RunRecord], list[RunFailed]]:
    """Make the missing runs, keep each as it ends; return all records and what failed."""
    records, failures = list(agenda.recorded), []
    for record in records:
        task.export(record)
    if not agenda.missing:
        return records, []
    voice.notice("Loading TensorFlow …")
    made = engine(agenda).make(agenda.missing, task.datasets, models=task.save_models)
    # A traceback that a notebook keeps would hold the events, and with them the workers.
    with closing(made) as events, voice.following(agenda.missing) as tell:
        for event in events:
            if isinstance(event, RunEnded):
                task.keep(event)
                records.append(event.record)
            elif isinstance(event, RunFailed):
                failures.append(event)
            tell(event)
    return records, failures
