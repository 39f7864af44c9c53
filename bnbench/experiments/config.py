"""A config: what it may say, how it is checked, and its ids."""

from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from bnbench.errors import InputError
from bnbench.experiments import document, fields
from bnbench.experiments.document import Document, Place, Setting, Settings
from bnbench.experiments.fields import TABLES, TRAINING_ROWS, Number, Section, digest, expect
from bnbench.experiments.messages import faults_of, with_ranges_in_words

_HELD_OUT = 5000  # where there are ten times as many training rows or more


def _held_out(training_rows: int) -> int:
    return min(_HELD_OUT, max(1, training_rows // 10))


class DataConfig(Section):
    """The data set and how it is split."""

    dataset: Annotated[str, AfterValidator(fields.check_dataset)] = Field(
        default="fashion_mnist",
        description="Data set by name, or the path of an .npz or .csv file",
        max_length=1000,
        json_schema_extra={"examples": [*TRAINING_ROWS, "path/to/data.npz", "path/to/data.csv"]},
    )
    validation_size: Literal["auto"] | Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        default="auto",
        validate_default=True,
        description="Number of the training set's last rows that are held out to validate; auto "
        "makes it 5000, or a tenth of fewer than 50000",
    )
    standardize: bool = Field(
        default=False,
        description="Whether every feature gets mean 0 and deviation 1 over the training rows",
    )
    label: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        default=None, validate_default=True, description="Column that holds the class, of a .csv"
    )
    test_size: Number = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the rows that test, of a .csv; the same of every class",
    )

    @field_validator("validation_size")
    @classmethod
    def _resolved_where_the_rows_are_known(cls, value: Any, info: ValidationInfo) -> Any:
        rows = TRAINING_ROWS.get(info.data.get("dataset", ""))
        return _held_out(rows) if value == "auto" and rows else value

    @field_validator("label", "test_size")
    @classmethod
    def _fits_the_data(cls, value: Any, info: ValidationInfo) -> Any:
        table = info.data.get("dataset", TABLES[0]).endswith(TABLES)
        stated = value not in (None, cls.model_fields["test_size"].default)
        expect(table or not stated, "no value, as the data set is no .csv")
        missing = value is None and "dataset" in info.data and table
        expect(not missing, "the column of the .csv that holds the class")
        return value

    @property
    def is_table(self) -> bool:
        """Whether the data set is a .csv, whose columns have names and whose rows are split."""
        return self.dataset.endswith(TABLES)

    def validation_rows(self, training_rows: int) -> int:
        """Return how many of so many rows of the training set are held out to validate."""
        return _held_out(training_rows) if self.validation_size == "auto" else self.validation_size

    def differing(self) -> dict[str, Any]:
        """Return what ids are made of: size 5000 is left out, the default before auto was."""
        settings = super().differing() | {"validation_size": self.validation_size}
        return {k: v for k, v in settings.items() if (k, v) != ("validation_size", _HELD_OUT)}


class BatchNormConfig(Section):
    """Where Batch Normalization is placed, and its two settings."""

    placement: fields.Placement = Field(
        default="none", description="Where Batch Normalization is placed in each hidden layer"
    )
    input: bool = Field(default=False, description="Whether it is also on the flattened input")
    momentum: Number = Field(
        default=0.99,
        ge=0,
        lt=1,
        description="Share of the moving statistics that is kept at each step",
    )
    epsilon: Number = Field(
        default=0.001, gt=0, le=1, description="Added to the variance, against division by zero"
    )


class ModelConfig(Section):
    """The network between the flattened input and the softmax output."""

    hidden_units: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65536)], ...], Field(strict=False)
    ] = Field(
        default=(300, 100),
        min_length=1,
        max_length=1000,
        description="Units of the hidden layers, in order",
    )
    activation: (
        fields.Activation | Annotated[tuple[fields.Activation, ...], Field(strict=False)]
    ) = Field(default="elu", description="Keras activation of all hidden layers, or of each")
    kernel_initializer: fields.Initializer = Field(
        default="he_normal", description="Keras initializer of the hidden kernels"
    )
    use_bias: Literal["auto"] | bool = Field(
        default="auto",
        description="Whether hidden layers have biases; auto drops them where BN follows directly",
    )
    batch_norm: BatchNormConfig = Field(
        default=BatchNormConfig(), description="Batch Normalization: where, and how"
    )

    @field_validator("activation")
    @classmethod
    def _one_for_each_layer(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) or "hidden_units" not in info.data:
            return value
        layers = len(info.data["hidden_units"])
        expect(len(value) == layers, f"one name or a list of {layers}, one for each hidden layer")
        return value[0] if len(set(value)) == 1 else value

    @property
    def uses_batch_norm(self) -> bool:
        """Whether the network has BN anywhere, which needs at least two rows in a batch."""
        return self.batch_norm.input or self.batch_norm.placement != "none"

    @property
    def activations(self) -> tuple[str, ...]:
        """The activation of each hidden layer, in order."""
        if isinstance(self.activation, str):
            return (self.activation,) * len(self.hidden_units)
        return self.activation


class TrainingConfig(Section):
    """The optimizer and the training budget."""

    optimizer: fields.Optimizer = Field(default="sgd", description="Keras optimizer")
    learning_rate: Number = Field(
        default=0.01, gt=0, le=1e38, description="Learning rate, the same in every step"
    )
    momentum: Number = Field(
        default=0.0,
        ge=0,
        lt=1,
        description=f"Momentum of the optimizer, with {fields.WITH_MOMENTUM} only",
    )
    epochs: int = Field(default=10, ge=1, le=100_000, description="Passes over the training rows")
    batch_size: int = Field(default=32, ge=1, le=2**20, description="Rows of one training step")

    @field_validator("momentum")
    @classmethod
    def _has_momentum(cls, value: float, info: ValidationInfo) -> float:
        optimizer = info.data.get("optimizer", "sgd")
        fits = value == 0 or fields.OPTIMIZERS[optimizer].takes_momentum
        expect(fits, f"0 with the optimizer {optimizer} (momentum is for {fields.WITH_MOMENTUM})")
        return value


Seeds = Annotated[int, Field(ge=1, le=10_000)]


class PlanConfig(Section):
    """When one may look at the seeds, and what difference matters; stated before the first run."""

    first: Seeds = Field(default=10, ge=2, description="Seeds at which verdicts begin")
    step: Seeds = Field(default=5, description="Seeds from one look to the next")
    most: Seeds = Field(
        default=40, description="Seeds at which the plan ends; later ones are shown, not used"
    )
    margin: Number = Field(
        default=0.3, ge=0, le=100, description="Percentage points that do not matter"
    )
    tuning: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0,
        description="Seeds that come first, choose among swept values and have no part in "
        "verdicts; with 0 those of the first look choose",
    )

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which there is a look, the last at the plan's end."""
        return (*range(self.first, self.most, self.step), self.most)


class Config(Section):
    """One experiment of bnbench: a network, the data it is trained on, and how it is trained."""

    name: Annotated[str, AfterValidator(fields.check_name)] = Field(
        description="Name in tables and of the records' folder: 1 to 64 of A-Z a-z 0-9 . _ -",
        json_schema_extra={"pattern": f"^{fields.NAME_PATTERN}$"},
    )
    description: str = Field(default="", max_length=1000, description="What the experiment is for")
    data: DataConfig = Field(default=DataConfig(), description="Data set and split")
    model: ModelConfig = Field(default=ModelConfig(), description="The network's layers")
    training: TrainingConfig = Field(default=TrainingConfig(), description="Optimizer and budget")
    seeds: (
        Seeds
        | Annotated[tuple[fields.Seed, ...], Field(strict=False, min_length=1, max_length=10_000)]
    ) = Field(default=10, description="A count n for the seeds 0 to n-1, or the seeds themselves")
    plan: PlanConfig = Field(
        default=PlanConfig(), description="After how many seeds there are verdicts"
    )
    swept: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        min_length=0,
        max_length=100,
        description="Settings that a sweep set, by dotted keys such as training.learning_rate",
    )

    @field_validator("training")
    @classmethod
    def _batch_has_variance(cls, value: TrainingConfig, info: ValidationInfo) -> TrainingConfig:
        model = info.data.get("model", ModelConfig())
        enough = value.batch_size > 1 or not model.uses_batch_norm
        expect(enough, "at least 2 rows where Batch Normalization is used", key="batch_size")
        return value

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        expect(isinstance(value, int) or len(set(value)) == len(value), "every seed only once")
        return value

    @field_validator("plan")
    @classmethod
    def _has_looks(cls, value: PlanConfig) -> PlanConfig:
        reached = value.first <= value.most
        expect(reached, f"at least {value.first} seeds, as the first look has", key="most")
        expect(len(value.looks) <= 100, "a step that makes at most 100 looks", key="step")
        return value

    @field_validator("swept")
    @classmethod
    def _known_settings(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = set(value) <= set(setting_keys()) and len(set(value)) == len(value)
        expect(known, "dotted keys of settings in data, model or training, each only once")
        return value

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds of the experiment's runs, in order."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    def __hash__(self) -> int:
        """Hash name and id: thousands of records share a few configs, and equal ones have both."""
        return hash((self.name, self.experiment_id))

    @cached_property
    def experiment_id(self) -> str:
        """8 hex digits that identify data, model and training; see `digest`."""
        return digest(data=self.data, model=self.model, training=self.training)

    @cached_property
    def protocol_id(self) -> str:
        """8 hex digits that identify data and training: what comparable experiments share."""
        return digest(data=self.data, training=self.training)

    def resolved(self) -> dict[str, Any]:
        """Return every setting as plain data that JSON can hold, defaults included."""
        return self.model_dump(mode="json")

    def settings(self) -> dict[str, Any]:
        """Return the settings that make the experiment id, by dotted key (``model.use_bias``)."""
        return _flat(self.model_dump(mode="json", include={"data", "model", "training"}))


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        inner = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return flat


@cache
def setting_keys() -> tuple[str, ...]:
    """Return the dotted keys of all settings that an experiment's id is made of."""
    return tuple(Config(name="any").settings())


def check_same_settings(configs: Iterable["Config"]) -> None:
    """Raise `InputError` where two of the configs share an id though their settings differ."""
    known: dict[tuple[str, str], Config] = {}
    for config in configs:
        for kind, own in ("experiment", config.experiment_id), ("protocol", config.protocol_id):
            first = known.setdefault((kind, own), config)
            same = first.data == config.data and first.training == config.training
            if not same or (kind == "experiment" and first.model != config.model):
                one, other = first.settings(), config.settings()
                key = next(key for key in one if one[key] != other[key])
                raise InputError(
                    f"{first.name} ({key} {one[key]}) and {config.name} ({key} {other[key]}) share "
                    f"the {kind} id {own} by chance; change one of them slightly"
                )


def load_config(path: Path, overrides: Settings = ()) -> Config:
    """Read a config file and override settings; raise `InputError` with a line for each fault."""
    return parse_config(document.read_text(path), str(path), overrides)


def parse_config(text: str, source: str, overrides: Settings = ()) -> Config:
    """Like `load_config`, from YAML text; messages name ``source`` in place of a file."""
    settings = [one for (one,) in document.alternatives(overrides)]
    return validated(document.read(text, Place(source)), settings)


def validated(source: Document, settings: Iterable[Setting] = ()) -> Config:
    """Return the config of a document and overrides; raise `InputError` with all their faults."""
    for path, value in settings:
        source = source.merged(path, value)
    try:
        config = Config.model_validate(source.data)
    except ValidationError as error:
        source.faults.extend(faults_of(error, source, Config.model_json_schema()))
    if source.faults:
        raise source.error()
    return config


def stated(config: Config, *, defaults: bool = True) -> dict[str, Any]:
    """Return the settings as a file states them, with or without those that are defaults."""
    # A size that auto gives is stated as auto, which fits other data too.
    unsized = config.data.model_copy(update={"validation_size": "auto"})
    if DataConfig.model_validate(unsized.model_dump()) == config.data:
        config = config.model_copy(update={"data": unsized})
    exclude = None if config.swept else {"swept"}
    settings = config.model_dump(mode="json", exclude_defaults=not defaults, exclude=exclude)
    return {key: value for key, value in settings.items() if value != {}}


def dump_yaml(config: Config, *, defaults: bool = True) -> str:
    """Return what the config states, as YAML that reads well."""
    return "".join(f"{line}\n" for line in document.dump_lines(stated(config, defaults=defaults)))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config file, values allowed in words too."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema = with_ranges_in_words(Config.model_json_schema())
    return head | schema | {"title": "bnbench config"}
