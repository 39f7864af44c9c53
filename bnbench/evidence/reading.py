"""Text to records: what is no record, or contradicts itself, is refused with the reason."""

import base64
import os
import re
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from bnbench.evidence.records import SCHEMA_VERSION, RunRecord
from bnbench.experiments.sweep import swept_values
from bnbench.text import visible

LARGEST_RECORD_BYTES = 64 * 2**20

_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?\+00:00")


class DamagedRecord(Exception):
    """What stands where a record should and is none; the message names it and says why."""

    def __init__(self, where: object, reason: str) -> None:
        super().__init__(f"{visible(where)}: skipped: {reason}")


def read_record(path: Path | str) -> RunRecord:
    """Return the record in the file ``path``; raises `DamagedRecord`."""
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST_RECORD_BYTES:
            raise DamagedRecord(path, "not a run record")
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError as error:  # a link to nothing
        raise DamagedRecord(path, "not a run record: it is not there") from error
    except OSError as error:
        raise DamagedRecord(path, f"cannot be read: {error.strerror}") from error
    return parse_record(content, path)


def parse_record(content: bytes, where: object) -> RunRecord:
    """Return the record that is ``content``; ``where`` names its place if `DamagedRecord`."""
    try:
        record = RunRecord.model_validate_json(content)
    except ValidationError as error:
        raise DamagedRecord(where, _reason(error)) from error
    if contradiction := _contradiction(record):
        raise DamagedRecord(where, contradiction)
    return record


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return "not a run record: it is not whole JSON"
    where = ".".join(str(part) for part in first["loc"])
    if where == "schema_version" and first["type"] != "missing":
        cure = ": make the run again" if first["input"] == 1 else ""
        return f"schema_version {first['input']!r:.20}; this bnbench reads {SCHEMA_VERSION}{cure}"
    return f"not a run record: {where[:80] or 'top level'}: {first['msg'].lower()}"


def _contradiction(record: RunRecord) -> str | None:
    checks = (
        *(_identity_fault, _time_fault, _parameters_fault, _history_fault, _results_fault),
        *(_data_fault, _correctness_fault),
    )
    return next(filter(None, (check(record) for check in checks)), None)


def _identity_fault(record: RunRecord) -> str | None:
    config = record.config
    stated = (record.experiment, record.experiment_id, record.protocol_id)
    if stated != (config.name, config.experiment_id, config.protocol_id):
        return "its name or ids do not belong to its config"
    if record.swept != swept_values(config):
        return "its swept values are not those of its config"
    return None


def _time_fault(record: RunRecord) -> str | None:
    """Say where its start cannot be told, or be put in order with that of other runs as text."""
    with suppress(ValueError):
        if _UTC.fullmatch(record.started_at) and datetime.fromisoformat(record.started_at):
            return None
    return "its started_at is no time in UTC"


def _parameters_fault(record: RunRecord) -> str | None:
    p = record.parameters
    trainable = p.kernel + p.bias + p.gamma + p.beta
    non_trainable = p.moving_mean + p.moving_variance
    sums = (trainable + non_trainable, trainable, non_trainable)
    if sums != (p.total, p.trainable, p.non_trainable):
        return "its parameters do not add up"
    return None


def _history_fault(record: RunRecord) -> str | None:
    lengths = set(map(len, vars(record.history).values()))
    epochs = record.config.training.epochs
    if len(lengths) > 1:
        return "the lists of its history differ in length"
    if record.completed and lengths != {epochs}:
        return f"it is completed, but has no results of {epochs} epochs"
    if max(lengths) > epochs:
        return f"its history is longer than its {epochs} epochs"
    return None


def _results_fault(record: RunRecord) -> str | None:
    results = (
        *(record.test_loss, record.test_accuracy, record.test_correct),
        record.data.test_correct_by_class,
    )
    if record.completed and None in results:
        return "it is completed, but has no results on the test rows"
    if not record.completed and any(result is not None for result in results):
        return "it diverged, but has results on the test rows"
    return None


def _data_fault(record: RunRecord) -> str | None:
    data = record.data
    if len(data.test_rows_by_class) != data.classes:
        return "it does not count the test rows of every class"
    if len(data.class_names) not in (0, data.classes):
        return "it does not name every class"
    if sum(data.test_rows_by_class) != data.rows[2]:
        return "the test rows of its classes are not all its test rows"
    if data.feature_scales[0] > data.feature_scales[1]:
        return "its feature scales are not in order"
    return None


def _correctness_fault(record: RunRecord) -> str | None:
    if record.test_correct is None or record.data.test_correct_by_class is None:
        return None
    rows, by_class = record.data.rows[2], record.data.test_correct_by_class
    correct = _count_bits(record.test_correct, rows)
    if correct is None:
        return f"its test_correct is not one bit for each of {rows} test rows"
    if correct / rows != record.test_accuracy:
        return "its test accuracy is not the share of correct test rows"
    within = zip(by_class, record.data.test_rows_by_class, strict=False)
    whole = len(by_class) == record.data.classes and sum(by_class) == correct
    if not whole or any(hits > count for hits, count in within):
        return "the correct test rows of its classes do not fit"
    return None


def _count_bits(packed: str, rows: int) -> int | None:
    """Return how many of the first ``rows`` bits are set; None unless there are just so many."""
    try:
        content = base64.b64decode(packed, validate=True)
    except ValueError:
        return None
    bits = int.from_bytes(content, "big")
    padding = -rows % 8
    if 8 * len(content) != rows + padding or bits & ((1 << padding) - 1):
        return None
    return bits.bit_count()
