"""Prints the tables of the search as Markdown: ``python -m tests.benchmarks.search``."""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks import machine
from tests.benchmarks.figures import Spread, times
from tests.benchmarks.processes import Worker, WorkerFailed, hired
from tests.benchmarks.search.changes import PRODUCTS_ONLY, STAGES, TRIES, UPDATE, Changes, Try
from tests.benchmarks.sections.epoch import CHECKED_ROWS, FLOOR, OURS
from tests.benchmarks.settings import FULL, QUICK, Settings

WRITTEN_OUT, ONLY_PRODUCTS, ONLY_UPDATE = "written out", "products in the loop", "optimizer update"


@dataclass
class Entry:
    """A program that takes part: where it runs, and what came of it."""

    name: str
    worker: Worker
    peer: str
    options: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    trouble: str = ""
    may_fail: bool = False  # a setting that the library may refuse

    def ask(self, command: str, **arguments: Any) -> Any:
        """Ask its worker, unless it failed before."""
        if self.trouble:
            return None
        try:
            return self.worker.ask(command, peer=self.peer, **arguments)
        except WorkerFailed as failure:
            if not self.may_fail:
                raise
            self.trouble = str(failure).splitlines()[0][:60]
            return None


def main() -> None:
    """Let all variants take turns and print what they show."""
    asked = _parse()
    settings = QUICK if asked.quick else FULL
    console = Console(no_color=True)
    with hired() as hire, tempfile.TemporaryDirectory() as folder:
        entries = {entry.name: entry for entry in _entries(hire)}
        _measure(entries, settings, asked.network, asked.rounds, Path(folder))
        compiling = list(_compiling(settings, asked.network, hire, Path(folder)))
    described = machine.in_words(machine.describe())
    tables = [_stages(entries), _tries(entries), compiling]
    for line in [f"{asked.network}, {asked.rounds} rounds. {described}", *_joined(tables)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search")
    parser.add_argument("--network", default="pre_act", help="a config of configs/")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of every variant")
    parser.add_argument("--quick", action="store_true", help="the shipped sample")
    return parser.parse_args()


def _entries(hire: Callable[..., Worker]) -> Iterator[Entry]:
    yield Entry(OURS, hire(), OURS)
    yield Entry(FLOOR, hire(0), FLOOR)
    variants = hire()

    def variant(name: str, changes: Changes) -> Entry:
        return Entry(name, variants, f"variant: {name}", changes.options())

    yield variant(WRITTEN_OUT, Changes())
    yield variant(ONLY_PRODUCTS, PRODUCTS_ONLY)
    yield variant(ONLY_UPDATE, UPDATE)
    for name, changes in STAGES.items():
        yield variant(name, changes)
    for attempt in TRIES:
        if attempt.changes:
            yield variant(attempt.what, attempt.changes)
        else:
            yield Entry(attempt.what, hire(extra=attempt.environment), OURS, may_fail=True)


def _measure(
    entries: dict[str, Entry], settings: Settings, network: str, rounds: int, folder: Path
) -> None:
    config = settings.config(network)
    checked = settings.task(folder, config, CHECKED_ROWS)
    task = settings.task(folder, config, settings.rows) | {"start": checked["start"]}
    comparable = {OURS, WRITTEN_OUT, *(attempt.what for attempt in TRIES)}
    for entry in entries.values():
        if entry.name in comparable:
            entry.losses = entry.ask("check", task=checked, options=entry.options) or []
        entry.ask("prepare", task=task, options=entry.options)
    draws = random.Random(0)
    for _ in range(rounds):
        for entry in draws.sample(list(entries.values()), len(entries)):
            seconds = entry.ask("epoch")
            if seconds is not None:
                entry.seconds.append(seconds)


def _stages(entries: dict[str, Entry]) -> Iterator[str]:
    """Account for the time of the written-out epoch, each stage by what is saved without it."""
    median = {e.name: Spread.of(e.seconds).median for e in entries.values() if e.seconds}
    whole, floor, products = (median[name] for name in (WRITTEN_OUT, FLOOR, ONLY_PRODUCTS))
    stages = {name: whole - median[name] for name in STAGES}
    stages["optimizer update (measured by itself)"] = median[ONLY_UPDATE]
    rows = {
        "matrix products in numpy (the floor)": floor,
        "loop, and XLA's products beside numpy's": products - floor,
        **stages,
        "overlap of the stages, not accounted for": whole - products - sum(stages.values()),
        "the epoch written out": whole,
        "bnbench's epoch": median[OURS],
    }
    yield from ("| stage | seconds per epoch | of the floor |", "|---|--:|--:|")
    for name, seconds in rows.items():
        yield f"| {name} | {seconds:.3f} | {seconds / floor:.2f} |"


def _tries(entries: dict[str, Entry]) -> Iterator[str]:
    yield "| change | predicted | measured (quartiles) | loss differs by | expected because |"
    yield "|---|--:|--:|--:|---|"
    for attempt in TRIES:
        entry = entries[attempt.what]
        if entry.trouble:
            measured, difference = f"failed: {entry.trouble}", ""
        else:
            measured = _ratio(entry, _plain(attempt, entries))
            pairs = zip(entry.losses, entries[OURS].losses, strict=True)
            difference = f"{max(abs(a / b - 1) for a, b in pairs):.0e}"
        yield (
            f"| {attempt.what} | {attempt.predicted:.2f} | {measured} | {difference} "
            f"| {attempt.why} |"
        )


def _plain(attempt: Try, entries: dict[str, Entry]) -> Entry:
    """Return what the try differs from in one thing."""
    itself_written_out = attempt.changes is None or attempt.changes == Changes()
    return entries[OURS if itself_written_out else WRITTEN_OUT]


def _ratio(changed: Entry, plain: Entry) -> str:
    ratio = times(plain.seconds, changed.seconds)
    low, high = ratio.quartiles
    return f"{ratio.median:.2f} ({low:.2f} to {high:.2f})"


def _compiling(
    settings: Settings, network: str, hire: Callable[..., Worker], folder: Path
) -> Iterator[str]:
    """Measure the building of the program in three new processes, the last two with a cache."""
    task = settings.task(folder, settings.config(network), CHECKED_ROWS)
    kept = {"TF_XLA_FLAGS": f"--tf_xla_persistent_cache_directory={folder / 'cache'}"}
    yield from ("| compiling in a new process | seconds |", "|---|--:|")
    for name, extra in (
        ("as it is", {}),
        ("with a persistent cache, first process", kept),
        ("with a persistent cache, second process", kept),
    ):
        worker = hire(extra=extra)
        entry = Entry(name, worker, OURS, may_fail=True)
        entry.ask("load")
        seconds = entry.ask("prepare", task=task, options={})
        yield f"| {name} | {entry.trouble or format(seconds, '.2f')} |"


def _joined(tables: list[Any]) -> Iterator[str]:
    for table in tables:
        yield ""
        yield from table


if __name__ == "__main__":
    main()
