"""Sweeps: a setting with several values makes an experiment of every combination of them.

The experiments of a sweep bear the name of their config and say which settings were swept.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import yaml

from bnbench.errors import InputError
from bnbench.experiments.config import Config, check_same_settings, parse_config, setting_keys
from bnbench.experiments.yaml_source import Faults, compose, read_text, shorten
from bnbench.text import visible

MOST_EXPERIMENTS = 1000
_BETWEEN = " · "  # the parts of a label


def load_experiments(path: Path, overrides: Sequence[str] = ()) -> list[Config]:
    """Read a config file, once for every combination of the values that ``overrides`` list.

    ``training.learning_rate=0.001,0.01`` lists two; quotes keep a comma. Raises `InputError` as
    `load_config` does, and for more than ``MOST_EXPERIMENTS`` combinations.
    """
    return parse_experiments(read_text(path), str(path), overrides)


def parse_experiments(text: str, source: str, overrides: Sequence[str] = ()) -> list[Config]:
    """Like `load_experiments`, from YAML text; ``source`` stands for the file in messages."""
    alternatives = [_alternatives(setting) for setting in overrides]
    if (many := prod(map(len, alternatives))) > MOST_EXPERIMENTS:
        raise InputError(f"settings: {many:,} experiments; expected at most {MOST_EXPERIMENTS:,}")
    swept = [values[0].partition("=")[0] for values in alternatives if len(values) > 1]
    mark = [f"swept=[{', '.join(dict.fromkeys(swept))}]"] if swept else []
    configs: dict[str, Config] = {}
    faults: dict[str, None] = {}
    for chosen in product(*alternatives):
        try:
            config = parse_config(text, source, [*chosen, *mark])
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
    """Return what tables call the network: its name and what was swept of it, ``a · relu``.

    What was swept of its training stands in a column of its own. It is made to be read: two
    experiments may have the same.
    """
    values = swept_values(config)
    of_network = [(key, value) for key, value in values.items() if key.startswith("model.")]
    return _BETWEEN.join([config.name, *(_read(key, value) for key, value in of_network)])


def without_placement(label: str, config: Config) -> str:
    """Return what a network's label has beside the placement, where that was swept."""
    name, *values = label.split(_BETWEEN)
    return _BETWEEN.join([name, *(v for v in values if v != config.model.batch_norm.placement)])


def typed_name(config: Config) -> str:
    """Return what the experiment is called where names are typed, ``a+activation=relu+epochs=3``.

    It has all that was swept.
    """
    values = swept_values(config).items()
    return config.name + "".join(f"+{short_key(key)}={_shown(value)}" for key, value in values)


def _read(key: str, value: Any) -> str:
    return _shown(value) if isinstance(value, str) else f"{short_key(key)}={_shown(value)}"


def order_of_values(config: Config, keys: Iterable[str]) -> list[tuple[float, str]]:
    """Return what sorts configs by their values of these settings, numbers as numbers."""
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


def _alternatives(setting: str) -> list[str]:
    """Return a ``KEY=VALUE`` for each of the values; one as it is where it is no list of them."""
    key, _, text = setting.partition("=")
    values = list(_values(text)) if key in setting_keys() else []
    if len(values) < 2:
        return [setting]
    if _takes_lists(key) and not any(value.startswith("[") for value in values):
        raise InputError(
            f"setting {shorten(setting)}: {key}: expected lists, got {len(values)} values without "
            f"brackets; did you mean [{shorten(text)}]?"
        )
    return [f"{key}={value}" for value in values]


def _takes_lists(key: str) -> bool:
    return isinstance(Config(name="any").settings()[key], list)


def _values(text: str) -> Iterator[str]:
    root = compose(f"[{text}]", "setting", Faults())
    if isinstance(root, yaml.SequenceNode) and root.end_mark.index == len(text) + 2:
        for node in root.value:
            yield text[node.start_mark.index - 1 : node.end_mark.index - 1]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else visible(value)
