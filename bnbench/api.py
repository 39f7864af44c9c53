"""Load, run and compare, as a notebook calls them and the commands show them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from bnbench import memory
from bnbench.campaign import Agenda, Campaign, EngineFor, Reporter
from bnbench.datasets import dataset
from bnbench.errors import InputError
from bnbench.evidence.compare import compare as compare_records
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.question import Question
from bnbench.evidence.records import RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config, check_same_settings
from bnbench.experiments.document import Settings, listed
from bnbench.experiments.sweep import load_experiments
from bnbench.files import check_output, write_text
from bnbench.show import notebook, terminal
from bnbench.text import count, visible
from bnbench.training.device import Request, cores
from bnbench.training.engines.engine import Engine, RunFailed

Source = str | Path | Config


def load_config(source: Source, settings: Settings = ()) -> Config:
    """Return the experiment of a config file; raises `InputError` for faults or a sweep."""
    experiments = load_configs([source], settings)
    if len(experiments) > 1:
        raise InputError(f"expected one experiment, got a sweep of {len(experiments)}")
    return experiments[0]


def load_configs(sources: Source | Iterable[Source], settings: Settings = ()) -> list[Config]:
    """Return all experiments of the config files; raises one `InputError` with all faults."""
    configs: dict[str, Config] = {}
    faults = []
    describe = cache(dataset.describe)  # all experiments of a sweep have the same data file
    for source in [sources] if isinstance(sources, Source) else sources:
        where = source.name if isinstance(source, Config) else str(source)
        try:
            for config in load_experiments(source, settings):
                rows = describe(config.data).training_rows
                faults += [f"{where}: {fault}" for fault in dataset.batch_faults(config, rows)]
                same_id = configs.setdefault(f"{config.name}-{config.experiment_id}", config)
                check_same_settings([same_id, config])  # here, so that the message has the file
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(dict.fromkeys(faults)))
    check_same_settings(configs.values())
    return list(configs.values())


def load_records(runs_dir: str | Path = "runs") -> list[RunRecord]:
    """Return all records of a folder; other files are ignored."""
    return store_in(runs_dir).read_all()[0]


@dataclass(frozen=True)
class Study:
    """The comparisons of records, one for each protocol, the records, and what went wrong.

    ``warnings`` are about the folder of records, ``failures`` are runs that gave no record.
    """

    comparisons: tuple[Comparison, ...]
    records: tuple[RunRecord, ...]
    warnings: tuple[str, ...] = ()
    failures: tuple[RunFailed, ...] = ()

    def __str__(self) -> str:
        warnings = "".join(f"warning: {warning}\n" for warning in self.warnings)
        return warnings + terminal.plain_text(self.comparisons, notebook.CALLS)

    def __repr__(self) -> str:
        return f"Study of {count(len(self.records), 'run')}; print it for its tables"

    def _repr_html_(self) -> str | None:
        return notebook.to_html(self.comparisons, self.warnings)

    def to_frame(self) -> Any:
        """Return the CSV's rows as a pandas DataFrame: accuracies are shares of 1, times seconds.

        Raises `EnvironmentFault` without pandas.
        """
        return notebook.to_frame(self.comparisons)

    def plot(self, kind: str = "differences", comparison: int = 0) -> Any:
        """Return a Matplotlib figure: curves, differences, looks, tuning or parameters.

        Raises `InputError` for one that is not there, `EnvironmentFault` without Matplotlib.
        """
        from bnbench.show import plots

        if not 0 <= comparison < len(self.comparisons):
            raise InputError(f"no comparison {comparison}; there are {len(self.comparisons)}")
        return plots.figure(self.comparisons[comparison], (kind,))

    def report(self, path: str | Path = "report.html") -> Path:
        """Write one HTML file with answer, tables, plots and configs, and return its path.

        Raises `InputError` where another file is there, `EnvironmentFault` where it cannot be
        written or the extra is missing.
        """
        from bnbench.show import report

        path = Path(path)
        check_output(path, report.MADE_HERE.search)
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
    """Put a `Question` to the records of a folder: one comparison to a protocol, the newest first.

    Raises `InputError` for names that have no record, and where there is none at all.
    """
    question = Question(
        names=tuple(names), baseline=baseline, metric=metric, margin=margin, all_pairs=all_pairs
    )
    records, warnings = store_in(runs_dir).read_all()
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

    ``settings`` override keys, as in ``{"training.epochs": 3}``; a tuple is a sweep over it.
    ``seeds`` is a count or a list. ``until_settled`` adds seeds, look by look, until the answer is
    decided or the plan ends; listed ``seeds`` then come first. ``save_models`` keeps each model
    beside its record, ``tensorboard`` is a folder for event files, ``ray`` a cluster's HOST:PORT.

    Raises `InputError` for configs and settings, `EnvironmentFault` for what the machine lacks. A
    run that fails is in the study's ``failures``, one that diverges among its ``records``.
    """
    _check(seeds, until_settled, device, jobs, ray)
    if seeds is not None:
        settings = [*listed(settings), ("seeds", seeds if isinstance(seeds, int) else [*seeds])]
    loaded = load_configs(configs, settings)
    reporter = _reporter(progress)
    store = store_in(runs_dir)
    export = _exporter(tensorboard, store)
    store.prepare()
    folder = Path(data_dir) if data_dir else None
    load = cache(lambda part: dataset.load(part, folder, reporter.notice))
    campaign = Campaign(
        store=store,
        export=export,
        datasets={config: load(config.data) for config in loaded},
        engine=_engine(device, jobs, ray, reporter),
        reporter=reporter,
        force=force,
        save_models=save_models,
        at_once=None if ray is not None or device == "gpu" else jobs or cores(),
    )
    (campaign.run_until_decided if until_settled else campaign.run_all)()
    comparisons, records = tuple(campaign.comparisons()), tuple(campaign.records)
    return Study(comparisons, records, failures=tuple(campaign.failures))


def _reporter(progress: bool) -> Any:
    from bnbench.show.progress import ProgressReporter  # rich's takes time to import

    return ProgressReporter(quiet=not progress)


def _check(seeds: Any, until_settled: bool, device: Request, jobs: int | None, ray: Any) -> None:
    if ray is not None and (jobs is not None or device == "gpu"):
        raise InputError("ray: takes neither a number of jobs nor a GPU: the cluster's CPUs decide")
    if ray is not None and not (":" in ray and ray.rpartition(":")[2].isdecimal()):
        raise InputError(f"ray: expected HOST:PORT, got '{visible(ray)}'")
    if until_settled and isinstance(seeds, int):
        raise InputError("seeds: until settled, the plan says how many; expected a list or nothing")


def store_in(folder: str | Path, option: str = "runs_dir") -> RecordStore:
    """Return the store of a folder; raises `InputError` for an empty name."""
    if not str(folder):
        raise InputError(f"{option}: expected a folder, got an empty name")
    return RecordStore(Path(folder))


def _engine(device: Request, jobs: int | None, ray: str | None, reporter: Reporter) -> EngineFor:
    if ray is not None:
        from bnbench.training.engines.ray import Ray

        return lambda needed: Ray(ray, reporter.notice)
    from bnbench.training.engines.processes import Processes

    def processes(needed: Agenda) -> Engine:
        wanted = min(jobs or cores(), len(needed.missing))
        fitting = memory.affordable_jobs(wanted)
        if fitting < wanted:
            reporter.warn(f"there is memory for {fitting} of {wanted} runs at once")
        return Processes(device, fitting)

    return processes


def _exporter(folder: str | Path | None, records: RecordStore) -> Callable[[RunRecord], None]:
    if folder is None:
        return lambda record: None
    from bnbench.show import tensorboard

    events = store_in(folder, "tensorboard")
    if events.folder.resolve() == records.folder.resolve():
        raise InputError("tensorboard: expected another folder than that of the records")
    tensorboard.check()
    events.prepare()
    return partial(tensorboard.write_run, events.folder)
