"""Text to records: what is no record, or contradicts itself, is refused with the reason."""

import base64
import errno
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from bnbench.evidence.records import RunRecord
from bnbench.files import open_regular
from bnbench.text import visible

LARGEST_RECORD_BYTES = 64 * 2**20

_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?\+00:00")
_IMPLIED = ("experiment", "experiment_id", "protocol_id", "swept", "status", "test_accuracy")
_IMPLIED_PARAMETERS = ("total", "trainable", "non_trainable")


class DamagedRecord(Exception):
    """What is in the place of a record and is none; the message names it and says why."""

    def __init__(self, where: object, reason: str) -> None:
        super().__init__(f"{visible(where)}: skipped: {reason}")


def read_record(path: Path | str) -> RunRecord:
    """Return the record in the file ``path``; raises `DamagedRecord`."""
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_RECORD_BYTES + 1)
    except OSError as error:
        kind = "not a run record" if error.errno in _NO_FILE else "cannot be read"
        raise DamagedRecord(path, f"{kind}: {error.strerror}") from error
    if len(content) > LARGEST_RECORD_BYTES:
        raise DamagedRecord(path, "not a run record: it is too large")
    return parse_record(content, path)


_NO_FILE = (errno.ENOENT, errno.EINVAL, errno.EISDIR)  # a link to nothing, a pipe, a folder


def parse_record(content: bytes, where: object) -> RunRecord:
    """Return the record that is ``content``; ``where`` names its place if `DamagedRecord`.

    Records of schema version 2 also state what their other fields imply. Where a record states such
    a value it must be the implied one.
    """
    try:
        stated = from_json(content)
    except ValueError as error:
        raise DamagedRecord(where, "not a run record: it is not whole JSON") from error
    if not isinstance(stated, dict) or "schema_version" not in stated:
        raise DamagedRecord(where, "not a run record: it has no schema_version")
    if (version := stated["schema_version"]) not in (2, 3):
        cure = ": make the run again" if version == 1 else ""
        reason = f"schema_version {version!r:.20}; this bnbench reads 2 and 3{cure}"
        raise DamagedRecord(where, reason)
    try:
        record = RunRecord.model_validate(stated | {"schema_version": 3})
    except ValidationError as error:
        raise DamagedRecord(where, _reason(error)) from error
    if contradiction := _contradiction(record, stated):
        raise DamagedRecord(where, contradiction)
    return record


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"not a run record: {where[:80]}: {first['msg'].lower()}"


def _contradiction(record: RunRecord, stated: dict[str, Any]) -> str | None:
    return (
        _time_fault(record)
        or _history_fault(record)
        or _data_fault(record)
        or _results_fault(record)
        or _difference(record, stated, _IMPLIED)
        or _difference(record.parameters, stated["parameters"], _IMPLIED_PARAMETERS)
    )


def _difference(known: object, stated: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """Name a stated value that is not the one that other fields imply."""
    for name in names:
        if name in stated and stated[name] != getattr(known, name):
            return f"its {name} contradicts its other fields"
    return None


def _time_fault(record: RunRecord) -> str | None:
    """Name a start whose time is unknown, or that does not sort as text among other starts."""
    with suppress(ValueError):
        if _UTC.fullmatch(record.started_at) and datetime.fromisoformat(record.started_at):
            return None
    return "its started_at is no time in UTC"


def _history_fault(record: RunRecord) -> str | None:
    lengths = set(map(len, vars(record.history).values()))
    epochs = record.config.training.epochs
    if len(lengths) > 1:
        return "the lists of its history differ in length"
    if max(lengths) > epochs or (record.completed and lengths != {epochs}):
        return f"its history is of {max(lengths)} epochs, its config asks for {epochs}"
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


def _results_fault(record: RunRecord) -> str | None:
    by_class, packed = record.data.test_correct_by_class, record.test_correct
    missing = [result is None for result in (by_class, packed, record.test_loss)]
    if any(missing) and not all(missing):
        return "it has some results on the test rows, but not all"
    if packed is None or by_class is None:
        return None
    rows = record.data.rows[2]
    correct = _count_bits(packed, rows)
    if correct is None:
        return f"its test_correct is not one bit for each of {rows} test rows"
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
