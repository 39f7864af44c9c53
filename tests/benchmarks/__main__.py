"""Measures, then prints tables: ``python -m tests.benchmarks --help`` lists the options."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from tests import benchmarks
from tests.benchmarks import machine, report, targets
from tests.benchmarks.figures import Section
from tests.benchmarks.sections import command, engines, epoch, growth, latency
from tests.benchmarks.settings import FULL, QUICK, Settings

SECTIONS = ("epoch", "floor", "engines", "growth", "command", "latency")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the sections asked for, print a table of each, and write the JSON file."""
    asked = _parse(arguments)
    settings = QUICK if asked.quick else FULL
    if asked.rounds:
        settings = replace(settings, rounds=asked.rounds)
    console = Console(width=None if Console().is_terminal else 200)
    described = machine.describe()
    console.print(machine.in_words(described), highlight=False)
    measured = []
    for measure in _measurements(asked.only or SECTIONS):
        start = time.perf_counter()
        section = measure(settings)
        section.seconds = time.perf_counter() - start
        measured.append(section)
        console.print(report.table(section))
        for note in section.notes:
            console.print(note, highlight=False)
        console.print(f"Measured in {section.seconds:.0f} s.\n", highlight=False)
    judged = [] if asked.quick else targets.judge(measured)
    if judged:
        console.print(report.target_table(judged))
    if asked.json:
        content = report.to_json(described, asdict(settings), measured, judged)
        asked.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=benchmarks.__doc__
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--quick", action="store_true", help="smallest sizes: shows that it works")
    parser.add_argument("--rounds", type=int, help="turns of each program in an epoch measurement")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SECTIONS,
        metavar="SECTION",
        help=f"of {', '.join(SECTIONS)}; floor has bnbench and model.fit beside it",
    )
    return parser.parse_args(arguments)


def _measurements(names: Sequence[str]) -> list[Callable[[Settings], Section]]:
    chosen: list[Callable[[Settings], Section]] = []
    if "epoch" in names or "floor" in names:
        chosen.append(partial(epoch.measure, others="epoch" in names, floor="floor" in names))
    modules = {"engines": engines, "growth": growth, "command": command, "latency": latency}
    return chosen + [module.measure for name, module in modules.items() if name in names]


if __name__ == "__main__":
    main()
