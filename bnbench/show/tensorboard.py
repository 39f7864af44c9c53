"""Runs for TensorBoard: one event file for each record, written in one step."""

import io
from datetime import datetime
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any

from bnbench.errors import EnvironmentFault
from bnbench.evidence.records import RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.files import write_atomically

# TensorBoard reads every file with "tfevents" in its name. The name of a temporary file ends in
# the last 50 characters of this one at most, so that no leftover of a killed process is read.
_FILE_NAME = f"events.out.tfevents.{'0' * 42}.bnbench"


def check() -> None:
    """Raise `EnvironmentFault` unless the package that writes event files is installed."""
    try:
        import_module("tensorboard.plugins.hparams.summary_v2")
    except ImportError as error:
        raise EnvironmentFault(
            "runs for TensorBoard need the extra tensorboard: pip install 'bnbench[tensorboard]'"
        ) from error


def write_run(folder: Path, record: RunRecord) -> None:
    """Write a run's scalars and hyperparameters to ``<name>-<experiment id>/seed-<NNNN>/``.

    The scalars have the record's own names; their steps count epochs from 0, as in Keras's
    callback, and their wall times are when each epoch would have ended without validation. An
    earlier file of the run is replaced. Raises `EnvironmentFault`.
    """
    check()
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb  # its api imports TensorFlow
    from tensorboard.summary.writer.record_writer import RecordWriter

    start = datetime.fromisoformat(record.started_at).timestamp()
    settings = hparams_pb(_hyperparameters(record), start_time_secs=start)
    events = [
        Event(wall_time=start, file_version="brain.Event:2"),
        Event(wall_time=start, summary=settings),
    ]
    ends = accumulate(record.history.epoch_seconds, initial=start)
    next(ends)
    for epoch, (end, scalars) in enumerate(zip(ends, _scalars(record), strict=True)):
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        events.append(Event(wall_time=end, step=epoch, summary=Summary(value=values)))
    content = io.BytesIO()
    writer = RecordWriter(content)
    for event in events:
        writer.write(event.SerializeToString())
    run = RecordStore(folder).path(record.config, record.seed).with_suffix("")
    write_atomically(run / _FILE_NAME, content.getvalue())


def _scalars(record: RunRecord) -> list[dict[str, float]]:
    """Return the values of each epoch by tag; those on the test rows are of the last epoch."""
    history = vars(record.history)
    epochs = [dict(zip(history, row, strict=True)) for row in zip(*history.values(), strict=True)]
    test = {"test_loss": record.test_loss, "test_accuracy": record.test_accuracy}
    if epochs:
        epochs[-1] |= {tag: value for tag, value in test.items() if value is not None}
    return epochs


def _hyperparameters(record: RunRecord) -> dict[str, Any]:
    """Return every setting that has a value by its dotted key, with name, seed and status."""
    run = {"experiment": record.experiment, "seed": record.seed, "status": record.status}
    return run | {
        key: ", ".join(map(str, value)) if isinstance(value, list) else value
        for key, value in record.config.settings().items()
        if value is not None
    }
