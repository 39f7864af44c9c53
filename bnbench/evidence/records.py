"""What a run leaves behind."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bnbench.experiments.config import Config

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
EpochSeconds = Annotated[float, Field(ge=1e-9, le=1e9)]  # ratios are made of these
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class Parameters(_Part):
    """Number of parameters in total and by role."""

    total: int
    trainable: int
    non_trainable: int
    kernel: int
    bias: int
    gamma: int
    beta: int
    moving_mean: int
    moving_variance: int


class History(_Part):
    """One value per finished epoch; losses in nats, accuracies as shares of 1."""

    loss: tuple[Finite, ...] = ()
    accuracy: tuple[Share, ...] = ()
    val_loss: tuple[Finite, ...] = ()
    val_accuracy: tuple[Share, ...] = ()
    epoch_seconds: tuple[EpochSeconds, ...] = ()


class Environment(_Part):
    """Where the run took place, as far as it can bear on numbers or times."""

    bnbench: str
    tensorflow: str
    keras: str
    python: str
    platform: str
    processor: str
    device: str
    jobs: int
    data_sha256: str


class RunRecord(_Part):
    """One run: one experiment trained with one seed."""

    schema_version: Literal[1] = 1
    experiment: str
    experiment_id: str
    protocol_id: str
    seed: int
    status: Literal["completed", "diverged"]
    config: Config
    parameters: Parameters
    history: History
    compile_seconds: Seconds
    test_loss: Finite | None
    test_accuracy: Share | None
    weights_sha256: str
    started_at: str
    duration_seconds: Seconds
    environment: Environment

    @property
    def completed(self) -> bool:
        """Whether the run reached its last epoch with finite losses."""
        return self.status == "completed"

    def to_json(self) -> str:
        """Return the record as strict JSON, a key to a line."""
        content = self.model_dump(mode="json", exclude={"config"}) | {
            "config": self.config.resolved()
        }
        ordered = {key: content[key] for key in RunRecord.model_fields}
        return json.dumps(ordered, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
