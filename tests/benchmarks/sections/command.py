"""The whole command, from process start to last record, and where its time goes."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.figures import Figure, Section, times
from tests.benchmarks.processes import ROOT, environment, hired
from tests.benchmarks.settings import Settings

NETWORK, FIT = "pre_act", "model.fit"
PARTS = ("import", "data", "compile", "training", "validation")


def measure(settings: Settings) -> Section:
    """Run the command once between two epochs of `model.fit`."""
    with hired() as hire, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = settings.config(NETWORK)
        task = settings.task(folder, config, settings.rows)
        hire().ask("prepare", peer="bnbench", task=task, options={})  # writes the start weights
        fit = hire()
        fit.ask("prepare", peer=FIT, task=task, options={})
        epochs = [fit.ask("epoch", peer=FIT)]
        spans = _run(settings, folder)
        epochs.append(fit.ask("epoch", peer=FIT))
    count = settings.command_seeds * settings.command_epochs
    section = Section(
        "command",
        f"bnbench run configs/{NETWORK}.yaml, {settings.command_seeds} seeds × "
        f"{settings.command_epochs} epochs",
    )
    whole = spans["last_record"]
    parts = {part: spans.get(part, 0.0) for part in PARTS}
    parts["rest"] = whole - sum(parts.values())
    fit_seconds = count * sum(epochs) / len(epochs)
    section.figures.append(
        _figure("whole command", whole, f"model.fit: {count} epochs, training alone", fit_seconds)
    )
    section.figures += [
        _figure(part, seconds, f"{seconds / whole:.1%}") for part, seconds in parts.items()
    ]
    section.notes.append(
        f"Validation includes the test set. From the last record to the end of the process: "
        f"{spans['end'] - whole:.2f} s. Spans of runs side by side are divided by their number."
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


def _run(settings: Settings, folder: Path) -> dict[str, float]:
    """Run the command with a clock around its parts; return their seconds."""
    overrides = [*settings.overrides, f"training.epochs={settings.command_epochs}"]
    command = ["run", f"configs/{NETWORK}.yaml", f"--seeds={settings.command_seeds}"]
    command += [f"--set={override}" for override in overrides]
    command += ["--device=cpu", f"--jobs={len(settings.cores)}", f"--runs-dir={folder / 'runs'}"]
    spans = folder / "spans.json"
    timed = {"BNBENCH_SPANS": str(spans), "BNBENCH_STARTED": repr(time.time())}
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.timed_command", *command],
        cwd=ROOT,
        env=environment(timed),
        capture_output=True,
        check=True,
    )
    content: dict[str, float] = json.loads(spans.read_text())
    return content
