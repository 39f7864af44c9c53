"""What a run leaves behind, and its reading: what is no record is refused with the reason."""

import base64
import errno
import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
import pydantic
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError, from_json

from bnbench.experiments.config import Config
from bnbench.experiments.fields import Seed
from bnbench.experiments.sweep import swept_values
from bnbench.files import open_regular
from bnbench.text import visible

LARGEST_RECORD_BYTES = 64 * 2**20

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
EpochSeconds = Annotated[float, Field(ge=1e-9, le=1e9)]  # ratios are made of these
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=2**40)]
Rows = Annotated[int, Field(ge=1, le=2**40)]
Scale = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Array = np.ndarray[Any, np.dtype[Any]]
RunKey = tuple[str, str, int]  # name, experiment id, seed

_LIST = Field(strict=False)  # JSON has lists alone
_Value = TypeVar("_Value")
Series = Annotated[tuple[_Value, ...], _LIST]

_IMPLIED = ("experiment", "experiment_id", "protocol_id", "swept", "status", "test_accuracy")
_NO_FILE = (errno.ENOENT, errno.EINVAL, errno.EISDIR)  # a link to nothing, a pipe, a folder
_configs: dict[str, Config] = {}


def _one_of_equal(value: Any, check: pydantic.ValidatorFunctionWrapHandler) -> Config:
    """Check a config once and give one object for all that are equal: they are few, runs many."""
    if isinstance(value, Config):
        return value
    text = repr(value)
    if text not in _configs:
        _configs[text] = check(value)
    return _configs[text]


def _contradiction(reported: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", "{reported}", {"reported": reported})


def _in_utc(moment: str) -> str:
    """Check that the time is known and sorts as text among others."""
    with suppress(ValueError):
        if moment.endswith("+00:00") and datetime.fromisoformat(moment).isoformat() == moment:
            return moment
    raise _contradiction("its started_at is no time in UTC")


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, strict=True)


class Parameters(_Part):
    """Number of parameters by role."""

    kernel: Count
    bias: Count
    gamma: Count
    beta: Count
    moving_mean: Count
    moving_variance: Count

    def counts(self) -> dict[str, int]:
        """Return these numbers and their sums by name, the sums first; gradients train four."""
        trainable = self.kernel + self.bias + self.gamma + self.beta
        fixed = self.moving_mean + self.moving_variance
        sums = {"total": trainable + fixed, "trainable": trainable, "non_trainable": fixed}
        return sums | vars(self)


class History(_Part):
    """One value per finished epoch; losses in nats, accuracies as shares of 1."""

    loss: Series[Finite] = ()
    accuracy: Series[Share] = ()
    val_loss: Series[Finite] = ()
    val_accuracy: Series[Share] = ()
    epoch_seconds: Series[EpochSeconds] = ()

    @model_validator(mode="after")
    def _same_lengths(self) -> Self:
        if len(set(map(len, vars(self).values()))) > 1:
            raise _contradiction("the lists of its history differ in length")
        return self


class DataSummary(_Part):
    """The data of a run: which, how much, and how the test rows of each class were classified.

    ``rows`` counts training, validation and test. ``class_names`` are empty where classes have
    numbers alone; ``test_correct_by_class`` is None where the run diverged. ``feature_scales`` are
    a small and the largest range (maximum minus minimum over the training rows, ``uint8`` divided
    by 255) of features that are not constant: the 5th percentile, rounded down to a range that
    occurs since some pixels are hardly ever lit, and the maximum; both 0 if all are constant.
    ``feature_reach`` is the largest absolute value of all features, None in older records.
    """

    sha256: str
    rows: Annotated[tuple[Rows, Rows, Rows], _LIST]
    classes: Rows
    test_rows_by_class: Series[Count]
    test_correct_by_class: Series[Count] | None
    feature_scales: Annotated[tuple[Scale, Scale], _LIST]
    feature_reach: Scale | None = None
    class_names: Series[str] = ()

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        if len(self.test_rows_by_class) != self.classes:
            raise _contradiction("it does not count the test rows of every class")
        if len(self.class_names) not in (0, self.classes):
            raise _contradiction("it does not name every class")
        if sum(self.test_rows_by_class) != self.rows[2]:
            raise _contradiction("the test rows of its classes are not all its test rows")
        if self.feature_scales[0] > self.feature_scales[1]:
            raise _contradiction("its feature scales are not in order")
        return self


class Environment(_Part):
    """Where the run took place, as far as that can change numbers or times.

    NumPy makes the splits and the order of the batches. ``variables`` are the environment variables
    that can change a run's bits and that bnbench did not override. Schema version 2 has neither.
    """

    bnbench: str
    tensorflow: str
    keras: str
    python: str
    platform: str
    processor: str
    instruction_set: str
    cores: int
    engine: str
    device: str
    jobs: int
    numpy: str = "unknown"
    variables: dict[str, str] = {}

    def __hash__(self) -> int:
        """Hash all values as text, as a dictionary has no hash."""
        return hash(tuple(map(str, vars(self).values())))


class RunRecord(_Part):
    """One run: one experiment trained with one seed.

    ``test_correct`` says of each test row, in the data set's order, whether it was classified
    correctly; see `pack_bits`. It is None where the run diverged. What the fields imply, such as
    ids and accuracy, is computed and not stored. A record whose fields contradict each other cannot
    be made.
    """

    schema_version: Literal[3] = 3
    seed: Seed
    training_version: Annotated[int, Field(ge=1)]
    config: Annotated[Config, pydantic.WrapValidator(_one_of_equal)]
    parameters: Parameters
    history: History
    compile_seconds: Seconds
    test_loss: Finite | None
    test_correct: str | None
    weights_sha256: str
    started_at: Annotated[str, pydantic.AfterValidator(_in_utc)]
    duration_seconds: Seconds
    data: DataSummary
    environment: Environment

    @model_validator(mode="after")
    def _results_fit(self) -> Self:
        epochs, finished = self.config.training.epochs, len(self.history.loss)
        if finished > epochs or (self.completed and finished < epochs):
            raise _contradiction(
                f"its history is of {finished} epochs, its config asks for {epochs}"
            )
        by_class, in_each = self.data.test_correct_by_class, self.data.test_rows_by_class
        missing = [result is None for result in (by_class, self.test_correct, self.test_loss)]
        if any(missing) and not all(missing):
            raise _contradiction("it has some results on the test rows, but not all")
        if by_class is not None and (
            len(by_class) != len(in_each)
            or sum(by_class) != self._correct_rows()
            or any(right > rows for right, rows in zip(by_class, in_each, strict=True))
        ):
            raise _contradiction("the correct test rows of its classes do not fit")
        return self

    def _correct_rows(self) -> int:
        try:
            packed = base64.b64decode(self.test_correct or "", validate=True)
        except ValueError:
            packed = b""  # which is too short
        rows, bits = self.data.rows[2], int.from_bytes(packed, "big")
        padding = 8 * len(packed) - rows
        if padding not in range(8) or bits & ((1 << padding) - 1):
            raise _contradiction(f"its test_correct is not one bit for each of {rows} test rows")
        return bits.bit_count()

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.config.name

    @property
    def experiment_id(self) -> str:
        """See `Config.experiment_id`."""
        return self.config.experiment_id

    @property
    def protocol_id(self) -> str:
        """See `Config.protocol_id`."""
        return self.config.protocol_id

    @property
    def key(self) -> RunKey:
        """What identifies the run: the experiment's name and id, and the seed."""
        return self.config.name, self.config.experiment_id, self.seed

    @property
    def swept(self) -> dict[str, Any]:
        """The values of the settings that a sweep set, by their dotted keys."""
        return swept_values(self.config)

    @property
    def completed(self) -> bool:
        """Whether the run reached its last epoch with finite losses."""
        return self.test_correct is not None

    @property
    def status(self) -> Literal["completed", "diverged"]:
        """The same in a word."""
        return "completed" if self.completed else "diverged"

    @property
    def test_accuracy(self) -> float | None:
        """Share of the test rows that were classified correctly; None where the run diverged."""
        return self._correct_rows() / self.data.rows[2] if self.completed else None

    def correct(self) -> Array | None:
        """Return bool (test rows,): which were classified correctly; None where it diverged."""
        if self.test_correct is None:
            return None
        packed = np.frombuffer(base64.b64decode(self.test_correct), np.uint8)
        return np.unpackbits(packed, count=self.data.rows[2]).astype(bool)

    def to_json(self, *, line: bool = False) -> str:
        """Return the record as strict JSON: a key to a line, or all in one line without its end."""
        layout: dict[str, Any] = {"separators": (",", ":")} if line else {"indent": 1}
        content = self.model_dump(mode="json")
        text = json.dumps(content, allow_nan=False, ensure_ascii=False, **layout)
        return text if line else text + "\n"


def pack_bits(correct: Array) -> str:
    """Return bool (rows,) as base64 of `numpy.packbits`: the first row is the highest bit."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


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
    return parse_record(content, path)


def parse_record(content: bytes, where: object) -> RunRecord:
    """Return the record that is ``content``; ``where`` names its place if `DamagedRecord`.

    Records of schema version 2 also state what their other fields imply. A stated value must be the
    implied one.
    """
    if len(content) > LARGEST_RECORD_BYTES:
        raise DamagedRecord(where, "not a run record: it is too large")
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
    except pydantic.ValidationError as error:
        raise DamagedRecord(where, _first_fault(error)) from error
    implied = {name: getattr(record, name) for name in _IMPLIED if name in stated}
    for known, given in ((implied, stated), (record.parameters.counts(), stated["parameters"])):
        for name, value in known.items():
            if given.get(name, value) != value:
                raise DamagedRecord(where, f"its {name} contradicts its other fields")
    return record


def _first_fault(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "contradiction":
        return first["msg"]
    where = ".".join(map(str, first["loc"]))[:80]
    return f"not a run record: {where}: {first['msg'].lower()}"
