"""Runs made by threads of this process, one to a core."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bnbench import interruption
from bnbench.datasets.dataset import Dataset
from bnbench.experiments.config import Config
from bnbench.training import device
from bnbench.training.engines.engine import EpochEnded, Event, RunEnded, RunFailed
from bnbench.training.plan import Trial


@dataclass
class Threads:
    """Threads that make runs, one run to a core, each with programs of its own."""

    request: device.Request
    jobs: int
    _events: "queue.SimpleQueue[Event | None]" = field(default_factory=queue.SimpleQueue)
    _stop: threading.Event = field(default_factory=threading.Event)

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Iterator[Event]:
        with interruption.held_back():  # TensorFlow aborts when one comes into an import
            chosen = device.start(self.request, self.jobs)
            from bnbench.training.program import DeviceData
        placed = {d: DeviceData.place(d, chosen) for d in set(data.values())}
        on_device = {config: placed[dataset] for config, dataset in data.items()}
        waiting: queue.SimpleQueue[Trial] = queue.SimpleQueue()
        for trial in trials:
            waiting.put(trial)
        workers = min(1 if chosen.startswith("GPU") else self.jobs, len(trials))
        for _ in range(workers):
            arguments = (waiting, on_device, models)
            threading.Thread(target=self._work, args=arguments, daemon=True).start()
        try:
            while workers:
                event = _next(self._events)
                if event is None:
                    workers -= 1
                else:
                    yield event
        finally:
            self._stop.set()
            while workers:
                workers -= _next(self._events) is None

    def _work(self, waiting: Any, data: Any, models: bool) -> None:
        programs: dict[Config, Any] = {}
        try:
            while not self._stop.is_set():
                trial = waiting.get_nowait()
                try:
                    self._run(trial, programs, data, models)
                except Exception as failure:
                    programs.pop(trial.config, None)
                    line = (str(failure).strip().splitlines() or [""])[0]
                    reason = f"{type(failure).__name__}: {line}".removesuffix(": ")
                    self._events.put(RunFailed(trial, reason))
        except queue.Empty:
            pass
        finally:
            self._events.put(None)

    def _run(self, trial: Trial, programs: dict[Config, Any], data: Any, models: bool) -> None:
        from bnbench.training.program import TrainingProgram

        if trial.config not in programs:
            programs[trial.config] = TrainingProgram(trial.config, data[trial.config], self.jobs)
        program = programs[trial.config]
        record = program.run(
            trial.seed,
            self._stop.is_set,
            lambda epoch: self._events.put(EpochEnded(trial, epoch + 1)),
        )
        if record:
            self._events.put(RunEnded(trial, record, _saved(program.model) if models else None))


def _saved(model: Any) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _next(events: Any) -> Event | None:
    while True:
        try:
            event: Event | None = events.get(timeout=0.2)  # so that signals are seen
            return event
        except queue.Empty:
            pass
