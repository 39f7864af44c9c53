"""Compares where Batch Normalization stands in an MLP: many paired seeds, intervals, a verdict."""

from typing import TYPE_CHECKING, Any

from bnbench.errors import BnbenchError

if TYPE_CHECKING:
    from bnbench.api import Study, compare, load_config, load_records, run
    from bnbench.experiments.config import Config

__version__ = "0.1.0"
__all__ = ["BnbenchError", "Config", "Study", "compare", "load_config", "load_records", "run"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command line starts without it."""
    if name not in __all__:
        raise AttributeError(f"module 'bnbench' has no attribute {name!r}")
    if name == "Config":
        from bnbench.experiments.config import Config

        return Config
    from bnbench import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
