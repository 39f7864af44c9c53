"""Sweeps: a setting with several values makes an experiment of every combination of them.

A swept experiment is named after its config and its values: ``pre_act+learning_rate=0.01``.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import yaml

from bnbench.errors import InputError
from bnbench.experiments.config import Config, parse_config
from bnbench.experiments.yaml_source import Faults, compose, read_text
from bnbench.text import visible

MOST_EXPERIMENTS = 1000


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
        raise InputError(f"--set: {many:,} experiments; expected at most {MOST_EXPERIMENTS:,}")
    swept = [found[0].partition("=")[0] for found in alternatives if len(found) > 1]
    configs: dict[str, Config] = {}
    faults: dict[str, None] = {}
    for chosen in product(*alternatives):
        try:
            config = parse_config(text, source, chosen)
            if swept:
                config = parse_config(text, source, [*chosen, f"name={_name(config, swept)}"])
            configs[config.name] = config
        except InputError as error:
            faults |= dict.fromkeys(str(error).splitlines())
    if faults:
        raise InputError("\n".join(faults))
    return list(configs.values())


def base_name(config: Config) -> str:
    """Return the experiment's name without its swept values."""
    return config.name.partition("+")[0]


def swept_values(config: Config) -> dict[str, Any]:
    """Return the values of the settings that the name says were swept, by their dotted keys."""
    shorts = [part.partition("=")[0] for part in config.name.split("+")[1:]]
    if not shorts:
        return {}
    settings = config.settings()
    return {key: settings[key] for short in shorts for key in settings if short_key(key) == short}


@cache
def short_key(key: str) -> str:
    """Return the shortest ending of a setting's dotted key that no other setting's key has."""
    parts = key.split(".")
    endings = (".".join(parts[start:]) for start in reversed(range(len(parts))))
    return next(e for e in endings if sum(f".{k}".endswith(f".{e}") for k in _keys()) == 1)


@cache
def _keys() -> tuple[str, ...]:
    return tuple(Config(name="any").settings())


def _alternatives(setting: str) -> list[str]:
    """Return a ``KEY=VALUE`` for each of the values; one as it is where it is no list of them."""
    key, _, text = setting.partition("=")
    values = list(_values(text)) if key in _keys() else []
    return [f"{key}={value}" for value in values] if len(values) > 1 else [setting]


def _values(text: str) -> Iterator[str]:
    root = compose(f"[{text}]", "--set", Faults())
    if isinstance(root, yaml.SequenceNode) and root.end_mark.index == len(text) + 2:
        for node in root.value:
            yield text[node.start_mark.index - 1 : node.end_mark.index - 1]


def _name(config: Config, swept: Sequence[str]) -> str:
    settings = config.settings()
    values = (f"+{short_key(key)}={_shown(settings[key])}" for key in dict.fromkeys(swept))
    return config.name + "".join(values)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_shown, value))
    text = str(value).lower() if isinstance(value, bool) else visible(value)
    return re.sub("[^A-Za-z0-9._-]+", "_", text.replace("+", ""))
