"""Makes runs inside a worker process, whichever engine the process belongs to."""

import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bnbench.datasets.dataset import Dataset
from bnbench.errors import EnvironmentFault
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config, DataConfig
from bnbench.files import faults_named
from bnbench.memory import CURE
from bnbench.training.device import Request, load, start
from bnbench.training.engines.engine import EpochEnded, Event, RunEnded, RunFailed
from bnbench.training.trial import Trial

if TYPE_CHECKING:
    from bnbench.training.program import DeviceData, TrainingProgram


@dataclass
class TrialRunner:
    """Makes one run after another; keeps placed data and compiled programs for the next."""

    device: str
    engine: str
    jobs: int
    _placed: dict[tuple[DataConfig, str], "DeviceData"] = field(default_factory=dict)
    _programs: dict[Config, "TrainingProgram"] = field(default_factory=dict)

    preload = staticmethod(load)  # called before the workers are forked

    @classmethod
    def open(cls, request: Request, jobs: int) -> "TrialRunner":
        """Start TensorFlow in this process; on a GPU there is one run at a time."""
        chosen = start(request)
        return cls(chosen, "processes", 1 if chosen.startswith("GPU") else jobs)

    def make(self, trial: Trial, dataset: Dataset, models: bool) -> Iterator[Event]:
        """Yield the events of one run; an exception in it is the failure of this run alone."""
        try:
            yield from self._make(trial, dataset, models)
        except Exception as failure:
            self._programs.pop(trial.config, None)
            yield RunFailed(trial, reason(failure), traceback.format_exc())

    def _make(self, trial: Trial, dataset: Dataset, models: bool) -> Iterator[Event]:
        program = self._program(trial.config, dataset)
        for step in program.steps(trial.seed):
            if isinstance(step, RunRecord):
                yield _with_model(trial, step, program) if models else RunEnded(trial, step)
            else:
                yield EpochEnded(trial, step)

    def _program(self, config: Config, dataset: Dataset) -> "TrainingProgram":
        from bnbench.training.program import DeviceData, TrainingProgram

        if config not in self._programs:
            data = (config.data, dataset.sha256)
            if data not in self._placed:
                self._placed[data] = DeviceData.place(dataset, self.device)
            self._programs[config] = TrainingProgram(
                config, self._placed[data], self.jobs, self.engine
            )
        return self._programs[config]


def reason(failure: Exception) -> str:
    """Return an exception's type and the first line of its text; the cure if memory ran out."""
    first_line = (str(failure).strip().splitlines() or [""])[0]
    described = f"{type(failure).__name__}: {first_line}".removesuffix(": ")
    if described.startswith(("MemoryError", "ResourceExhausted")) or "RESOURCE_EXH" in described:
        return f"out of memory: {CURE} ({described})"
    return described


def _with_model(trial: Trial, record: RunRecord, program: "TrainingProgram") -> RunEnded:
    try:
        with (  # Keras writes a model to a file alone
            faults_named(Path("temporary folder"), "used"),
            tempfile.TemporaryDirectory(prefix="bnbench-") as folder,
        ):
            path = Path(folder) / "model.keras"
            with faults_named(path, "written"):
                program.model.save(path)
            return RunEnded(trial, record, path.read_bytes())
    except EnvironmentFault as fault:
        return RunEnded(trial, record, fault=fault)
