"""How cost grows with batch size, hidden width, depth, runs at once, and number of seeds."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure, Section, times
from tests.benchmarks.processes import Worker, hired
from tests.benchmarks.rounds import ALONE, SHARED, Contender, take_turns
from tests.benchmarks.settings import Settings

NETWORK, OURS, FIT = "pre_act", "bnbench", "model.fit"


def measure(settings: Settings) -> Section:
    """Measure bnbench and `model.fit` at each size, and bnbench with more jobs and seeds."""
    section = Section("growth", f"How cost grows ({NETWORK})")
    with hired() as hire, tempfile.TemporaryDirectory() as folder:
        ours, fit = hire(), hire()
        for subject, overrides, rows in _points(settings):
            task = settings.task(Path(folder), settings.config(NETWORK, *overrides), rows)
            contenders = [Contender(OURS, ALONE, [ours]), Contender(FIT, SHARED, [fit])]
            section.figures += _compare(subject, rows, contenders, task, settings.rounds)
        task = settings.task(Path(folder), settings.config(NETWORK), settings.growth_rows)
        section.figures += _jobs(settings, [ours, *(hire() for _ in settings.cores[1:])], fit, task)
        section.figures += _seeds(settings, hire, fit, Path(folder))
    section.notes.append(
        "Epochs are whole, but over the first rows of the training set only, as many as the table "
        "says. What `model.fit` spends once per epoch weighs more in so short an epoch."
    )
    return section


def _points(settings: Settings) -> Iterator[tuple[str, list[str], int]]:
    change: dict[str, Callable[[int], str]] = {
        "batch size": lambda size: f"training.batch_size={size}",
        "hidden width": lambda size: f"model.hidden_units=[{size}, {size}]",
        "hidden layers": lambda size: f"model.hidden_units={[100] * size}",
    }
    for dimension, sizes in settings.growth.items():
        for size in sizes:
            wide = dimension == "hidden width" and size >= 1000
            rows = settings.wide_rows if wide else settings.growth_rows
            yield f"{dimension} {size:,}", [change[dimension](size)], rows


def _compare(
    subject: str, rows: int, contenders: list[Contender], task: dict[str, Any], rounds: int
) -> Iterator[Figure]:
    for contender in contenders:
        contender.prepare(task)
    samples = take_turns(contenders, rounds)
    seconds = {name: [sample.seconds for sample in own] for (name, _), own in samples.items()}
    for contender in contenders:
        own = seconds[contender.program]
        yield Figure(
            subject=f"{subject}, {rows:,} rows",
            program=contender.program,
            form=contender.form,
            quantity="epoch",
            unit="s",
            values=tuple(own),
            ratios={FIT: times(own, seconds[FIT])} if own and seconds[FIT] else {},
            note=contender.trouble,
        )


def _jobs(
    settings: Settings, ours: list[Worker], fit: Worker, task: dict[str, Any]
) -> Iterator[Figure]:
    at_once = sorted({len(ours), *(2**power for power in range(len(ours).bit_length()))})
    contenders = [
        Contender(OURS, f"{jobs} at once", ours[:jobs], prepares=jobs == len(ours))
        for jobs in at_once
    ]
    contenders.append(Contender(FIT, SHARED, [fit]))
    for contender in contenders:
        contender.prepare(task)
    samples = take_turns(contenders, settings.rounds)
    theirs = [sample.rate for sample in samples[FIT, SHARED]]
    for contender in contenders:
        own = [sample.rate for sample in samples[contender.label]]
        yield Figure(
            subject=f"jobs, {task['rows']:,} rows",
            program=contender.program,
            form=contender.form,
            quantity="all runs",
            unit="epochs/s",
            values=tuple(own),
            ratios={FIT: times(theirs, own)},
        )


def _seeds(
    settings: Settings, hire: Callable[..., Worker], fit: Worker, folder: Path
) -> Iterator[Figure]:
    config = settings.config(NETWORK, "training.epochs=1")
    task = settings.task(folder, config, settings.growth_rows)
    one_fit = fit.ask("epoch", peer=FIT)
    jobs = len(settings.cores)
    made = hire().ask("many_runs", task=task, counts=settings.seeds, jobs=jobs)
    for count, (seconds, memory) in zip(settings.seeds, made, strict=True):
        label = {"subject": f"{count} seeds", "program": OURS, "form": f"{jobs} at once"}
        yield Figure(
            **label,
            quantity="wall time",
            unit="s",
            values=(seconds,),
            ratios={FIT: times([seconds], [one_fit * count])},
            note="with compiling, validation and test; model.fit: its epochs alone",
        )
        yield Figure(**label, quantity="resident memory", unit="MiB", values=(memory,))
