"""Sweeps: a setting with several values makes an experiment of every combination of them."""

from collections.abc import Iterable
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from bnbench.errors import InputError
from bnbench.experiments.config import Config, check_same_settings, setting_keys, stated, validated
from bnbench.experiments.document import Document, Place, Settings, alternatives, read, read_text
from bnbench.text import visible

MOST_EXPERIMENTS = 1000
_BETWEEN = " · "  # the parts of a label


def load_experiments(source: str | Path | Config, settings: Settings = ()) -> list[Config]:
    """Return a config once for every combination of the values that the settings list.

    ``training.learning_rate=0.001,0.01`` and a tuple of Python list two; quotes keep a comma.
    """
    if isinstance(source, Config):
        document = Document(stated(source), {(): Place(source.name, 1)})
    else:
        document = read(read_text(Path(source)), Place(str(source)))
    choices = alternatives(settings, setting_keys())
    if (many := prod(map(len, choices))) > MOST_EXPERIMENTS:
        raise InputError(f"settings: {many:,} experiments; expected at most {MOST_EXPERIMENTS:,}")
    if swept := [".".join(values[0][0]) for values in choices if len(values) > 1]:
        choices += alternatives({"swept": list(dict.fromkeys(swept))})
    configs: dict[str, Config] = {}
    faults: dict[str, None] = {}
    for chosen in product(*choices):
        try:
            config = validated(document, chosen)
            check_same_settings([configs.setdefault(config.experiment_id, config), config])
        except InputError as error:
            faults |= dict.fromkeys(str(error).splitlines())
    if faults:
        raise InputError("\n".join(faults))
    return list(configs.values())


def swept_values(config: Config) -> dict[str, Any]:
    """Return the values of the settings that were swept, by their dotted keys."""
    settings = config.settings() if config.swept else {}
    return {key: settings[key] for key in config.swept}


def label(config: Config) -> str:
    """Return what tables call the network: its name and what was swept of it, ``a · relu``."""
    parts = [config.name]
    for key, value in swept_values(config).items():
        if key.startswith("model."):
            parts.append(("" if isinstance(value, str) else f"{short_key(key)}=") + _shown(value))
    return _BETWEEN.join(parts)


def without_placement(label: str, config: Config) -> str:
    """Return a network's label without the placement, which it has where that was swept."""
    name, *values = label.split(_BETWEEN)
    return _BETWEEN.join([name, *(v for v in values if v != config.model.batch_norm.placement)])


def typed_name(config: Config) -> str:
    """Return the name to type for an experiment, with all that was swept: ``a+epochs=3``."""
    values = swept_values(config).items()
    return config.name + "".join(f"+{short_key(key)}={_shown(value)}" for key, value in values)


def order_of_values(config: Config, keys: Iterable[str]) -> list[tuple[float, str]]:
    """Return a key that sorts configs by their values of these settings, numbers as numbers."""
    settings = config.settings()
    values = (settings[key] for key in keys)
    return [(value, "") if is_number(value) else (0.0, str(value)) for value in values]


def is_number(value: Any) -> bool:
    """Whether a setting's value is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@cache
def short_key(key: str) -> str:
    """Return the shortest ending of a setting's dotted key that no other setting's key has."""
    parts = key.split(".")
    endings = (".".join(parts[start:]) for start in reversed(range(len(parts))))
    return next(e for e in endings if sum(f".{k}".endswith(f".{e}") for k in setting_keys()) == 1)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else visible(value)
