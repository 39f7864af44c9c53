"""What it costs to make runs side by side, to start an engine, and to go through Ray."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from bnbench.datasets.dataset import load
from bnbench.experiments.config import Config, dump_yaml
from bnbench.training.engines.child import Method
from bnbench.training.engines.engine import EpochEnded, RunEnded
from bnbench.training.engines.processes import Processes
from tests.benchmarks.figures import Figure, Section, times
from tests.benchmarks.processes import ROOT
from tests.benchmarks.settings import Settings
from tests.conftest import trials_of
from tests.training.engines.cluster import ADDRESS, Cluster, hindrance

METHODS: tuple[Method, ...] = ("fork", "spawn")


def measure(settings: Settings) -> Section:
    """Measure runs side by side for a shallow and a deep network, starts, and Ray."""
    section = Section("engines", "Worker processes, and Ray")
    for network in settings.engine_networks:
        section.figures += _side_by_side(settings, network)
    section.figures += _starts(settings)
    section.figures += _ray(settings)
    section.notes.append(
        "Of runs at once the epoch is the median over all of them. A start goes from the call to "
        "the end of the first epoch, compiling included."
    )
    return section


def _side_by_side(settings: Settings, network: str) -> Iterator[Figure]:
    config = settings.config(network, f"training.epochs={settings.engine_epochs}")
    at_once = sorted({1, 2, len(settings.cores)})
    seconds: dict[int, list[float]] = {jobs: [] for jobs in at_once}
    for _ in range(settings.rounds):
        for jobs in at_once:
            seconds[jobs].append(_epoch_seconds(config, jobs))
    for jobs, values in seconds.items():
        yield Figure(
            subject=network,
            program="processes",
            form=f"{jobs} at once",
            quantity="epoch",
            unit="s",
            values=tuple(values),
            ratios={"one alone": times(seconds[1], values)},
        )


def _epoch_seconds(config: Config, jobs: int) -> float:
    config = config.model_copy(update={"seeds": jobs})
    data = {config: load(config.data)}
    made = Processes("cpu", jobs).make(trials_of(config), data)
    return median(
        seconds
        for event in made
        if isinstance(event, RunEnded)
        for seconds in event.record.history.epoch_seconds
    )


def _starts(settings: Settings) -> Iterator[Figure]:
    config = settings.config("pre_act", "training.epochs=1", "seeds=1")
    data = {config: load(config.data)}
    for method in METHODS:
        values = []
        for _ in range(settings.rounds):
            start = time.perf_counter()
            for event in Processes("cpu", 1, method).make(trials_of(config), data):
                if isinstance(event, EpochEnded):
                    values.append(time.perf_counter() - start)
        yield _figure("processes", method, "start to first epoch", values)


def _ray(settings: Settings) -> Iterator[Figure]:
    trouble = hindrance() if find_spec("ray") else "not installed"
    if trouble:
        yield _figure("Ray", "two nodes", "first epoch to last record", [], note=trouble)
        return
    epochs = f"training.epochs={settings.ray_epochs}"
    config = settings.config("pre_act", epochs, f"seeds={settings.ray_seeds}")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "config.yaml"
        path.write_text(dump_yaml(config))
        here = _course(lambda command, **options: subprocess.Popen(command, **options), "2", path)
        cluster = Cluster(Path(name), environment={})
        try:
            there = _course(lambda command, **o: cluster.start(*command, **o), ADDRESS, path)
        finally:
            cluster.close()
    for program, form, (start, rest) in (
        ("processes", "two at once", here),
        ("Ray", "two nodes of one CPU", there),
    ):
        runs = f"{settings.ray_seeds} runs of {settings.ray_epochs} epochs"
        yield _figure(program, form, "start to first epoch", [start], runs)
        yield _figure(
            program, form, "first epoch to last record", [rest], runs, times([here[1]], [rest])
        )


def _course(start: Callable[..., Any], where: str, config: Path) -> tuple[float, float]:
    """Return the seconds to the first epoch of the config's runs, and from there to the end."""
    command = [sys.executable, "-m", "tests.training.engines.events", where, str(config)]
    begun = time.perf_counter()
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with start(command, **options) as running:
        lines = [(time.perf_counter() - begun, json.loads(line)) for line in running.stdout]
    first = next(moment for moment, line in lines if "epochs" in line)
    return first, max(moment for moment, line in lines if "record" in line) - first


def _figure(
    program: str,
    form: str,
    quantity: str,
    values: list[float],
    subject: str = "pre_act",
    of_processes: Any = None,
    note: str = "",
) -> Figure:
    return Figure(
        subject=subject,
        program=program,
        form=form,
        quantity=quantity,
        unit="s",
        values=tuple(values),
        ratios={"processes": of_processes} if of_processes else {},
        note=note,
    )
