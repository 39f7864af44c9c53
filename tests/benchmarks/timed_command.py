"""The program ``bnbench`` with a clock around its parts, for the benchmark of the whole command.

``BNBENCH_STARTED`` is when the process was started, ``BNBENCH_SPANS`` the JSON file for the
seconds of each part.
"""

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bnbench.cli.commands import app

STARTED = float(os.environ["BNBENCH_STARTED"])


class Clock:
    """Seconds by part: those of the main thread whole, those of workers by their number."""

    def __init__(self) -> None:
        self._main: dict[str, float] = defaultdict(float)
        self._workers: dict[str, float] = defaultdict(float)
        self._threads: set[int] = set()
        self._lock = threading.Lock()
        self.last_record = 0.0

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Replace a function by one that counts its time as ``part``."""
        function = getattr(owner, name)
        setattr(owner, name, self.around(function, part))

    def around(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        """Return the function with its time counted as ``part``."""

        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.time()
            try:
                return function(*arguments, **options)
            finally:
                self.add(part, time.time() - start)

        return timed

    def add(self, part: str, seconds: float) -> None:
        """Count seconds of the current thread as ``part``."""
        with self._lock:
            if threading.current_thread() is threading.main_thread():
                self._main[part] += seconds
            else:
                self._threads.add(threading.get_ident())
                self._workers[part] += seconds

    def spans(self) -> dict[str, float]:
        """Return the share of the wall time that each part took."""
        jobs = max(len(self._threads), 1)
        parts = {*self._main, *self._workers}
        return {part: self._main[part] + self._workers[part] / jobs for part in parts}


def measure() -> None:
    """Run the command line and write what the clock shows."""
    clock = Clock()
    clock.add("import", time.time() - STARTED)
    _watch(clock)
    try:
        app(prog_name="bnbench")
    finally:
        spans = clock.spans() | {
            "last_record": clock.last_record - STARTED,
            "end": time.time() - STARTED,
        }
        Path(os.environ["BNBENCH_SPANS"]).write_text(json.dumps(spans))


def _watch(clock: Clock) -> None:
    from bnbench.datasets import dataset
    from bnbench.evidence.store import RecordStore
    from bnbench.training import device

    clock.wrap(dataset, "load", "data")
    start, keep = device.start, RecordStore.keep

    def start_and_import(*arguments: Any) -> str:
        device_name = start(*arguments)
        from bnbench.training.program import DeviceData, TrainingProgram

        clock.wrap(DeviceData, "place", "data")
        clock.wrap(TrainingProgram, "__init__", "compile")
        clock.wrap(TrainingProgram, "train_epoch", "training")
        clock.wrap(TrainingProgram, "evaluate_rows", "validation")
        return device_name

    def keep_and_note(*arguments: Any) -> Path:
        path = keep(*arguments)
        clock.last_record = time.time()
        return path

    device.start = clock.around(start_and_import, "import")
    RecordStore.keep = keep_and_note  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.argv[0] = "bnbench"
    measure()
