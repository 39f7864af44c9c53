"""What holds for every config and for every text in the place of one."""

import json
import time

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bnbench.errors import InputError
from bnbench.experiments.config import Config, dump_yaml, parse_config
from bnbench.text import visible
from tests.strategies import configs

steady = settings(derandomize=True, deadline=None, database=None, max_examples=200)

WORDS = [
    "name", "model", "training", "data", "seeds", "epochs", "batch_norm", "hidden_units", "null",
    "true", "no", "1e-3", ".nan", "0x1f", "-", "- ", "? ", ": ", ":", ",", "[", "]", "{", "}",
    "&a ", "*a", "!x ", "!!int ", "<<", "|", ">", "'", '"', "#", "%YAML 1.2", "---", "...", "\n",
    "\n  ", "\t", "\r", "\x00", "\x85", "\u2028", "\ufeff", "\ud800", "\x1b", "é", "\\", '"\\U',
    "99999999", "=", "@", "`", "2026-11-23", "name: a\n", "training: {epochs: 3}\n",
]  # fmt: skip
TEXTS = st.text() | st.lists(st.sampled_from(WORDS), max_size=30).map("".join)


def _loads_or_says_why(text: str, overrides: list[str]) -> None:
    start = time.process_time()
    try:
        assert isinstance(parse_config(text, "file.yaml", overrides), Config)
    except InputError as error:
        lines = str(error).splitlines()
        assert lines
        assert all(line.startswith(("file.yaml:", "setting ", "and ")) for line in lines)
        assert all(line == visible(line) for line in lines)
    assert time.process_time() - start < 2


@steady
@given(config=configs())
def test_resolve_dump_load(config: Config) -> None:
    """A config comes back equal, with equal ids, from its YAML and from its JSON."""
    loaded = parse_config(dump_yaml(config), "dump.yaml")
    assert loaded == config
    assert loaded.experiment_id == config.experiment_id
    assert loaded.protocol_id == config.protocol_id
    assert dump_yaml(loaded) == dump_yaml(config)
    assert Config.model_validate(json.loads(json.dumps(config.resolved()))) == config


@steady
@given(text=TEXTS)
@example(text="\ufeffname: a")
@example(text="name: a\r\nseeds: 3\r\n")
def test_any_text(text: str) -> None:
    """Any text gives a config or a clean error, quickly."""
    _loads_or_says_why(text, [])


@steady
@given(overrides=st.lists(TEXTS | st.tuples(TEXTS, TEXTS).map("=".join), max_size=3))
@example(overrides=["training" + ".a" * 10_000 + "=1"])
@example(overrides=["seeds=" + "[" * 10_000])
def test_any_override(overrides: list[str]) -> None:
    """Any override gives a config or a clean error, quickly."""
    _loads_or_says_why("name: a\n", overrides)


@settings(parent=steady, suppress_health_check=[HealthCheck.too_slow])
@given(config=configs(), data=st.data())
def test_mutated_yaml(config: Config, data: st.DataObject) -> None:
    """A valid file with pieces cut out and others put in gives a config or a clean error."""
    text = dump_yaml(config)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        piece = data.draw(st.sampled_from(WORDS) | st.text(max_size=3))
        text = text[:start] + piece + text[start + length :]
    _loads_or_says_why(text, [])
