"""How long the short commands take, each beside a bare typer program's ``--help``."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bnbench.evidence.records import (
    DataSummary,
    Environment,
    History,
    Parameters,
    RunRecord,
    pack_bits,
)
from bnbench.evidence.store import RecordStore
from bnbench.experiments import architecture
from bnbench.experiments.config import Config
from bnbench.training import TRAINING_VERSION
from tests.benchmarks.figures import Figure, Section, times
from tests.benchmarks.processes import ROOT, environment
from tests.benchmarks.settings import Settings

BARE = '''
import typer

app = typer.Typer()


@app.command()
def main(name: str = "world") -> None:
    """Greet."""
    typer.echo(f"Hello {name}")


app()
'''
TYPER = "bare typer"
NETWORKS = ("no_bn", "post_act", "pre_act", "controls/input_bn")


def measure(settings: Settings) -> Section:
    """Run every command in turn, one round to warm up and then the counted rounds."""
    section = Section("latency", "Short commands")
    with tempfile.TemporaryDirectory() as name:
        commands = _commands(settings, Path(name))
        seconds: dict[tuple[str, str], list[float]] = {label: [] for label in commands}
        for number in range(settings.latency_rounds + 1):
            for label, command in commands.items():
                elapsed = _seconds(command)
                if number:
                    seconds[label].append(elapsed)
    for (program, subject), values in seconds.items():
        section.figures.append(
            Figure(
                subject=subject,
                program=program,
                quantity="process",
                unit="s",
                values=tuple(values),
                ratios={TYPER: times(seconds[TYPER, "--help"], values)},
            )
        )
    return section


def _commands(settings: Settings, folder: Path) -> dict[tuple[str, str], list[str]]:
    bare = folder / "bare.py"
    bare.write_text(BARE)
    script = Path(sys.executable).with_name("bnbench")
    bnbench = [str(script)] if script.exists() else [sys.executable, "-m", "bnbench"]
    commands = {
        (TYPER, "--help"): [sys.executable, str(bare), "--help"],
        ("bnbench", "--help"): [*bnbench, "--help"],
        ("bnbench", "show"): [*bnbench, "show", "configs/pre_act.yaml"],
    }
    for count in settings.records:
        runs = folder / f"runs-{count}"
        write_records(settings, runs, count)
        compare = [*bnbench, "compare", f"--runs-dir={runs}"]
        commands["bnbench", f"compare, {count:,} records"] = compare
    return commands


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, check=True)
    return time.perf_counter() - start


def write_records(settings: Settings, folder: Path, count: int) -> None:
    """Write synthetic records: three networks × 10 seeds, or four × 25 protocols × 100 seeds."""
    protocols = max(count // 400, 1)
    networks = NETWORKS if protocols > 1 else NETWORKS[:3]
    configs = [
        settings.config(network, f"training.learning_rate={(number + 1) / 1000}")
        for number in range(protocols)
        for network in networks
    ]
    store = RecordStore(folder)
    draw = np.random.default_rng(0)
    for number in range(count):
        record = _record(configs[number % len(configs)], number // len(configs), draw)
        path = store.path(record.config, record.seed)  # written without waiting for the disk
        os.makedirs(path.parent, exist_ok=True)
        path.write_text(record.to_json(), "utf-8")


def _record(config: Config, seed: int, draw: np.random.Generator) -> RunRecord:
    epochs = config.training.epochs

    def falling(start: float, end: float) -> tuple[float, ...]:
        return tuple(np.linspace(start, end, epochs) + draw.normal(0, 0.002, epochs))

    layers = architecture.build(config.model, (28, 28), 10)
    history = History(
        loss=falling(0.8, 0.3),
        accuracy=falling(0.7, 0.9),
        val_loss=falling(0.7, 0.35),
        val_accuracy=falling(0.75, 0.88),
        epoch_seconds=falling(1.3, 1.3),
    )
    synthetic = dict.fromkeys(Environment.model_fields, "synthetic") | {
        "jobs": 2,
        "cores": 2,
        "variables": {},
    }
    correct = draw.random(10_000) < draw.normal(0.87, 0.004)
    by_class = correct.reshape(10, 1000).sum(axis=1)
    return RunRecord(
        seed=seed,
        training_version=TRAINING_VERSION,
        config=config,
        parameters=Parameters(**architecture.count_parameters(layers)),
        history=history,
        compile_seconds=2.0,
        test_loss=float(draw.normal(0.35, 0.01)),
        test_correct=pack_bits(correct),
        weights_sha256="0" * 64,
        started_at="2026-01-01T00:00:00+00:00",
        duration_seconds=15.0,
        data=DataSummary(
            sha256="0" * 64,
            rows=(55_000, 5_000, 10_000),
            classes=10,
            test_rows_by_class=(1000,) * 10,
            test_correct_by_class=tuple(by_class.tolist()),
            feature_scales=(0.95, 1.0),
        ),
        environment=Environment(**synthetic),
    )
