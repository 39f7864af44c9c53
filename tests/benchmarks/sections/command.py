"""The whole command, from process start to last record, and where its time goes.

The parts are taken from the records; what the workers wait and what the start takes is the rest.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bnbench.evidence.store import RecordStore
from tests.benchmarks.figures import Figure, Section, times
from tests.benchmarks.processes import ROOT, environment, hired
from tests.benchmarks.settings import Settings

NETWORK, FIT = "pre_act", "model.fit"


def measure(settings: Settings) -> Section:
    """Run the command once between two epochs of `model.fit`."""
    with hired() as hire, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = settings.config(NETWORK)
        task = settings.task(folder, config, settings.rows)
        hire().ask("prepare", peer="bnbench", task=task)  # writes the start weights
        fit = hire()
        fit.ask("prepare", peer=FIT, task=task)
        epochs = [fit.ask("epoch", peer=FIT)]
        whole, end, parts = _run(settings, folder)
        epochs.append(fit.ask("epoch", peer=FIT))
    count = settings.command_seeds * settings.command_epochs
    section = Section(
        "command",
        f"bnbench run configs/{NETWORK}.yaml, {settings.command_seeds} seeds × "
        f"{settings.command_epochs} epochs",
    )
    fit_seconds = count * sum(epochs) / len(epochs)
    section.figures.append(
        _figure("whole command", whole, f"model.fit: {count} epochs, training alone", fit_seconds)
    )
    section.figures += [
        _figure(part, seconds, f"{seconds / whole:.1%}") for part, seconds in parts.items()
    ]
    section.notes.append(
        f"Validation includes the test set. From the last record to the end of the process: "
        f"{end - whole:.2f} s. Spans of runs side by side are divided by their number."
    )
    return section


def _figure(quantity: str, seconds: float, note: str, fit: float | None = None) -> Figure:
    return Figure(
        subject=f"run {NETWORK}",
        program="bnbench",
        form="one run per core",
        quantity=quantity,
        unit="s",
        values=(seconds,),
        ratios={} if fit is None else {FIT: times([seconds], [fit])},
        note=note,
    )


def _run(settings: Settings, folder: Path) -> tuple[float, float, dict[str, float]]:
    """Run the command; return seconds to the last record, to its end, and those of its parts."""
    overrides = [*settings.overrides, f"training.epochs={settings.command_epochs}"]
    command = ["run", f"configs/{NETWORK}.yaml", f"--seeds={settings.command_seeds}"]
    command += [f"--set={override}" for override in overrides]
    jobs = len(settings.cores)
    command += ["--device=cpu", f"--jobs={jobs}", f"--runs-dir={folder / 'runs'}"]
    start = time.time()
    subprocess.run(
        [sys.executable, "-m", "bnbench", *command],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        check=True,
    )
    end = time.time() - start
    whole = max(path.stat().st_mtime for path in folder.glob("runs/*/*.json")) - start
    records = RecordStore(folder / "runs").read_all()[0]
    training = sum(sum(record.history.epoch_seconds) for record in records) / jobs
    parts = {
        "compile": sum(record.compile_seconds for record in records) / jobs,
        "training": training,
        "validation": sum(record.duration_seconds for record in records) / jobs - training,
    }
    return whole, end, parts | {"rest": whole - sum(parts.values())}
