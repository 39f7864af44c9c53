"""Compares placements of Batch Normalization in an MLP: many paired seeds, intervals, a verdict."""

from typing import TYPE_CHECKING, Any

from bnbench.errors import BnbenchError
from bnbench.version import __version__

if TYPE_CHECKING:
    from bnbench.api import Study, compare, load_config, load_configs, load_records, run
    from bnbench.experiments.config import Config

__all__ = [
    "BnbenchError",
    "Config",
    "Study",
    "__version__",
    "compare",
    "load_config",
    "load_configs",
    "load_records",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command line starts without it."""
    if name not in __all__:
        raise AttributeError(f"module 'bnbench' has no attribute {name!r}")
    from bnbench import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
