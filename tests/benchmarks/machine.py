"""The machine and the versions that the figures belong to."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bnbench.training.device import processor
from tests.benchmarks.processes import cores

PACKAGES = ("bnbench", "tensorflow", "keras", "numpy", "jax", "torch", "typer")


def describe() -> dict[str, Any]:
    """Return processor, cores, memory, system, and the versions of what takes part."""
    return {
        "processor": processor(),
        "cores": len(cores()),
        "load_average_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "memory_gib": _memory_gib(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def in_words(machine: dict[str, Any]) -> str:
    """Return the same as one paragraph."""
    versions = ", ".join(f"{k} {v or 'not installed'}" for k, v in machine["versions"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:.0f} GiB, "
        f"{machine['platform']}, Python {machine['python']}; {versions}."
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _memory_gib() -> float:
    import psutil

    return float(psutil.virtual_memory().total / 2**30)
