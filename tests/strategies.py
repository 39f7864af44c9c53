"""Hypothesis strategies that other tests share."""

from typing import Any, get_args

from hypothesis import strategies as st

from bnbench.experiments.config import Config, setting_keys
from bnbench.experiments.fields import OPTIMIZERS, Activation, Initializer, Placement

_FIRST = "abcXYZ019"
_FORBIDDEN = ("con", "prn", "aux", "nul", "com", "lpt")


def _names() -> st.SearchStrategy[str]:
    texts = st.from_regex(rf"[{_FIRST}][A-Za-z0-9._-]{{0,63}}", fullmatch=True)
    return texts.filter(lambda t: not t.endswith(".") and not t.lower().startswith(_FORBIDDEN))


def _positive(largest: float) -> st.SearchStrategy[float]:
    below_one = st.floats(2.0**-126, 1 - 2.0**-24)  # what lies beyond is no number in float32
    return below_one | st.floats(1, largest)


def _shares() -> st.SearchStrategy[float]:
    return st.just(0.0) | st.floats(2.0**-126, 1 - 2.0**-24)


@st.composite
def _data(draw: st.DrawFn) -> dict[str, Any]:
    path = draw(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20))
    endings = [f"{path}.npz", f"{path}.csv", f"{path}.csv.gz"]
    dataset = draw(st.sampled_from(["fashion_mnist", "fashion_mnist_sample", *endings]))
    column = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
    table = {"label": draw(column), "test_size": draw(_positive(1).filter(lambda share: share < 1))}
    return {
        "dataset": dataset,
        "validation_size": draw(st.just("auto") | st.integers(1, 2**31 - 1)),
        "standardize": draw(st.booleans()),
        **(table if dataset in endings[1:] else {}),
    }


@st.composite
def _models(draw: st.DrawFn, most_layers: int, most_units: int) -> dict[str, Any]:
    units = draw(st.lists(st.integers(1, most_units), min_size=1, max_size=most_layers))
    activation = st.sampled_from(get_args(Activation))
    several = st.lists(activation, min_size=len(units), max_size=len(units))
    return {
        "hidden_units": units,
        "activation": draw(activation | several),
        "kernel_initializer": draw(st.sampled_from(get_args(Initializer))),
        "use_bias": draw(st.sampled_from(["auto", True, False])),
        "batch_norm": {
            "placement": draw(st.sampled_from(get_args(Placement))),
            "input": draw(st.booleans()),
            "momentum": draw(_shares()),
            "epsilon": draw(_positive(1)),
        },
    }


@st.composite
def _trainings(draw: st.DrawFn) -> dict[str, Any]:
    optimizer = draw(st.sampled_from(list(OPTIMIZERS)))
    momentum = _shares() if OPTIMIZERS[optimizer].takes_momentum else st.just(0)
    return {
        "optimizer": optimizer,
        "learning_rate": draw(_positive(1e38) | st.integers(1, 1000)),
        "momentum": draw(momentum),
        "epochs": draw(st.integers(1, 100_000)),
        "batch_size": draw(st.integers(2, 2**20)),
    }


@st.composite
def configs(draw: st.DrawFn, most_layers: int = 6, most_units: int = 65536) -> Config:
    """Draw any valid config, with at most so many hidden layers and units in each."""
    seed = st.integers(0, 2**31 - 1)
    return Config.model_validate(
        {
            "name": draw(_names()),
            "description": draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=80)),
            "data": draw(_data()),
            "model": draw(_models(most_layers, most_units)),
            "training": draw(_trainings()),
            "seeds": draw(
                st.integers(1, 10_000) | st.lists(seed, min_size=1, max_size=9, unique=True)
            ),
            "swept": draw(st.lists(st.sampled_from(setting_keys()), max_size=3, unique=True)),
        }
    )
