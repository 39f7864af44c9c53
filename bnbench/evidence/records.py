"""What a run leaves behind."""

import base64
import json
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator

from bnbench.experiments.config import Config
from bnbench.experiments.fields import Seed
from bnbench.experiments.sweep import swept_values

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
EpochSeconds = Annotated[float, Field(ge=1e-9, le=1e9)]  # ratios are made of these
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=2**40)]
Rows = Annotated[int, Field(ge=1, le=2**40)]
Scale = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Array = np.ndarray[Any, np.dtype[Any]]
RunKey = tuple[str, str, int]  # name, experiment id, seed

_MOST_CONFIGS = 1024
_configs: dict[str, Config] = {}
_swept_values = lru_cache(_MOST_CONFIGS)(swept_values)


def _one_of_equal(value: Any, check: ValidatorFunctionWrapHandler) -> Config:
    """Check a config once and give one object for all that are equal: they are few, runs many."""
    if isinstance(value, Config):
        return value
    text = repr(value)
    if text not in _configs:
        config: Config = check(value)
        if len(_configs) >= _MOST_CONFIGS:
            _configs.clear()
        _configs[text] = config
    return _configs[text]


_LIST = Field(strict=False)  # JSON has lists alone
_Value = TypeVar("_Value")
Series = Annotated[tuple[_Value, ...], _LIST]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Parameters(_Part):
    """Number of parameters by role."""

    kernel: Count
    bias: Count
    gamma: Count
    beta: Count
    moving_mean: Count
    moving_variance: Count

    @property
    def trainable(self) -> int:
        """Number of parameters that training changes by their gradients."""
        return self.kernel + self.bias + self.gamma + self.beta

    @property
    def non_trainable(self) -> int:
        """Number of moving statistics."""
        return self.moving_mean + self.moving_variance

    @property
    def total(self) -> int:
        """Number of all parameters."""
        return self.trainable + self.non_trainable

    def counts(self) -> dict[str, int]:
        """Return all these numbers by name, the total first."""
        totals = ("total", "trainable", "non_trainable")
        return {name: getattr(self, name) for name in (*totals, *type(self).model_fields)}


class History(_Part):
    """One value per finished epoch; losses in nats, accuracies as shares of 1."""

    loss: Series[Finite] = ()
    accuracy: Series[Share] = ()
    val_loss: Series[Finite] = ()
    val_accuracy: Series[Share] = ()
    epoch_seconds: Series[EpochSeconds] = ()


class DataSummary(_Part):
    """The data of a run: which, how much, and how the test rows of each class were classified.

    ``rows`` counts those of training, validation and test. ``class_names`` are empty where classes
    are known by their numbers alone; ``test_correct_by_class`` is None where the run diverged.
    ``feature_scales`` is the low and the high end of the features' ranges; the range of a feature
    is its largest minus its smallest value over the training rows, ``uint8`` divided by 255.
    Constant features do not count; the high end is the largest range, the low end the 5th
    percentile, rounded down to one that occurs, as images have a few pixels that are hardly ever
    lit. Both are 0 where all features are constant. ``feature_reach`` is the value that is farthest
    from 0, without its sign, over all features; None in records from before it was noted.
    """

    sha256: str
    rows: Annotated[tuple[Rows, Rows, Rows], _LIST]
    classes: Rows
    test_rows_by_class: Series[Count]
    test_correct_by_class: Series[Count] | None
    feature_scales: Annotated[tuple[Scale, Scale], _LIST]
    feature_reach: Scale | None = None
    class_names: Series[str] = ()


class Environment(_Part):
    """Where the run took place, as far as it can bear on numbers or times.

    ``numpy`` is its version: the splits and the order of the batches come from it. ``variables``
    are the environment variables that can change a run's bits and that bnbench did not override.
    Records of schema version 2 say neither.
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
        """Hash all values, also those that cannot be hashed themselves."""
        return hash(tuple(map(str, vars(self).values())))


class RunRecord(_Part):
    """One run: one experiment trained with one seed.

    ``test_correct`` says of each test row, in the data set's order, whether it was classified
    correctly; see `pack_bits`. It is None where the run diverged. What the fields imply, such as
    ids and accuracy, is worked out from them and not stored.
    """

    schema_version: Literal[3] = 3
    seed: Seed
    training_version: Annotated[int, Field(ge=1)]
    config: Annotated[Config, WrapValidator(_one_of_equal)]
    parameters: Parameters
    history: History
    compile_seconds: Seconds
    test_loss: Finite | None
    test_correct: str | None
    weights_sha256: str
    started_at: str
    duration_seconds: Seconds
    data: DataSummary
    environment: Environment

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
        return dict(_swept_values(self.config))

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
        if self.test_correct is None:
            return None
        correct = int.from_bytes(base64.b64decode(self.test_correct), "big").bit_count()
        return correct / self.data.rows[2]

    def correct(self) -> Array | None:
        """Return bool (test rows,): which were classified correctly; None where it diverged."""
        if self.test_correct is None:
            return None
        packed = np.frombuffer(base64.b64decode(self.test_correct), np.uint8)
        return np.unpackbits(packed, count=self.data.rows[2]).astype(bool)

    def to_json(self) -> str:
        """Return the record as strict JSON, a key to a line."""
        content = self.model_dump(mode="json")
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def to_line(self) -> str:
        """Return the record as strict JSON in one line, without its end."""
        content = self.model_dump(mode="json")
        return json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def pack_bits(correct: Array) -> str:
    """Return bool (rows,) as base64 of `numpy.packbits`: the first row is the highest bit."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")
