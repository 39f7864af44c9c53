"""What a config is made of: sections that have an id, and names and numbers with their checks."""

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bnbench.text import listed, visible


class OptimizerKind(NamedTuple):
    """An optimizer: its class in ``keras.optimizers``, and whether it takes a momentum."""

    keras_class: str
    takes_momentum: bool


OPTIMIZERS = {
    "sgd": OptimizerKind("SGD", takes_momentum=True),
    "adam": OptimizerKind("Adam", takes_momentum=False),
    "rmsprop": OptimizerKind("RMSprop", takes_momentum=True),
    "adamw": OptimizerKind("AdamW", takes_momentum=False),
}
WITH_MOMENTUM = listed([name for name, kind in OPTIMIZERS.items() if kind.takes_momentum])
if TYPE_CHECKING:
    Optimizer = str
else:
    Optimizer = Literal[tuple(OPTIMIZERS)]

Activation = Literal[
    "relu", "elu", "selu", "gelu", "silu", "leaky_relu", "tanh", "sigmoid", "softplus",
    "softsign", "mish", "hard_sigmoid", "linear",
]  # fmt: skip
Initializer = Literal[
    "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "lecun_uniform"
]
Placement = Literal["none", "after_activation", "before_activation"]

TRAINING_ROWS = {"fashion_mnist": 60_000, "fashion_mnist_sample": 2_000}
TABLES = (".csv", ".csv.gz")
_OWN = (".npz", *TABLES)
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_LEAST_FLOAT32 = 2.0**-126  # smaller ones are taken for 0
_LARGEST_BELOW_ONE = 1 - 2.0**-24  # in float32; what lies between is rounded
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{p}{n}" for p in ("COM", "LPT") for n in range(10))}


def expect(condition: bool, expected: str, **context: Any) -> None:
    """Refuse a value, saying what was expected; ``key`` in the context names the one at fault."""
    if not condition:
        raise PydanticCustomError(
            "expected", "expected {expected}", {"expected": expected} | context
        )


def check_name(name: str) -> str:
    """Return the name of an experiment, which begins a folder's name on every system."""
    fits = re.fullmatch(NAME_PATTERN, name) is not None
    expect(fits, "1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit")
    portable = not name.endswith(".") and name.split(".")[0].upper() not in _DEVICES
    expect(portable, "a name without a dot at its end, not a device of Windows (CON, NUL, COM1, …)")
    return name


def check_dataset(dataset: str) -> str:
    """Return the name of a data set, or the path of one's own."""
    known = dataset in TRAINING_ROWS or (dataset.endswith(_OWN) and visible(dataset) == dataset)
    endings = f"{', '.join(_OWN[:-1])} or {_OWN[-1]}"
    expect(known, f"{', '.join(TRAINING_ROWS)} or a printable path that ends in {endings}")
    return dataset


def _check_float32(value: float) -> float:
    least, most = _LEAST_FLOAT32, _LARGEST_BELOW_ONE
    nonzero = value == 0 or abs(value) >= least
    expect(nonzero, f"a number that float32 can distinguish from 0, so {least:.3g} or more")
    expect(not most < value < 1, f"at most {most}, as float32 takes it for 1")
    return value + 0.0  # which makes 0.0 of -0.0, so that both have one id


Number = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_check_float32)]
LARGEST_SEED = 2**31 - 1
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class Section(BaseModel):
    """A part of a config: frozen, strict, and without keys beside its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def differing(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, of which ids are made."""
        return self.model_dump(mode="json", exclude_defaults=True)


def digest(**sections: Section) -> str:
    """Return the first 8 hex digits of SHA-256 over the JSON of what differs from the defaults.

    Keys are sorted, and sections without such a setting left out: a new setting changes no id.
    """
    differing = {name: section.differing() for name, section in sections.items()}
    values = {name: settings for name, settings in differing.items() if settings}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:8]
