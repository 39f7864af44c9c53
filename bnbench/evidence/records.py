"""What a run leaves behind."""

import base64
import json
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator

from bnbench.experiments.config import Config
from bnbench.experiments.fields import Seed

SCHEMA_VERSION: Final = 2

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
EpochSeconds = Annotated[float, Field(ge=1e-9, le=1e9)]  # ratios are made of these
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=2**40)]
Rows = Annotated[int, Field(ge=1, le=2**40)]
Scale = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Array = np.ndarray[Any, np.dtype[Any]]
RunKey = tuple[str, str, int]

_MOST_CONFIGS = 1024
_configs: dict[str, Config] = {}


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


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Parameters(_Part):
    """Number of parameters in total and by role."""

    total: Count
    trainable: Count
    non_trainable: Count
    kernel: Count
    bias: Count
    gamma: Count
    beta: Count
    moving_mean: Count
    moving_variance: Count


class History(_Part):
    """One value per finished epoch; losses in nats, accuracies as shares of 1."""

    loss: tuple[Finite, ...] = ()
    accuracy: tuple[Share, ...] = ()
    val_loss: tuple[Finite, ...] = ()
    val_accuracy: tuple[Share, ...] = ()
    epoch_seconds: tuple[EpochSeconds, ...] = ()


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
    rows: tuple[Rows, Rows, Rows]
    classes: Rows
    test_rows_by_class: tuple[Count, ...]
    test_correct_by_class: tuple[Count, ...] | None
    feature_scales: tuple[Scale, Scale]
    feature_reach: Scale | None = None
    class_names: tuple[str, ...] = ()


class Environment(_Part):
    """Where the run took place, as far as it can bear on numbers or times."""

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


class RunRecord(_Part):
    """One run: one experiment trained with one seed.

    ``swept`` has the values of the settings that a sweep set. ``test_correct`` tells of each test
    row, in the data set's order, whether it was classified correctly; see `pack_bits`.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    experiment: str
    experiment_id: str
    protocol_id: str
    seed: Seed
    swept: dict[str, Any]
    status: Literal["completed", "diverged"]
    training_version: Annotated[int, Field(ge=1)]
    config: Annotated[Config, WrapValidator(_one_of_equal)]
    parameters: Parameters
    history: History
    compile_seconds: Seconds
    test_loss: Finite | None
    test_accuracy: Share | None
    test_correct: str | None
    weights_sha256: str
    started_at: str
    duration_seconds: Seconds
    data: DataSummary
    environment: Environment

    @property
    def completed(self) -> bool:
        """Whether the run reached its last epoch with finite losses."""
        return self.status == "completed"

    @property
    def key(self) -> RunKey:
        """What the run is known by: the experiment's name and id, and the seed."""
        return self.experiment, self.experiment_id, self.seed

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
