"""Environment variables that change the bits of a run: cleared before TensorFlow loads, or kept.

TensorFlow, XLA, oneDNN and Keras read dozens of variables, and more with every version. So all with
their prefixes are cleared, except those that are known to leave results alone. What the user names
in ``BNBENCH_KEEP`` is kept, and every record says so, as it does of what nobody can clear any more.
"""

import os
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from bnbench.errors import EnvironmentFault
from bnbench.text import visible

KEEP = "BNBENCH_KEEP"  # names of variables, separated by commas

_CLEARED = re.compile(
    r"(TF|XLA|ONEDNN|DNNL|MKLDNN|KERAS|CUBLAS|CUDNN)_[A-Z0-9_]+|NVIDIA_TF32_OVERRIDE"
)
_HARMLESS = re.compile(
    r"TF_CPP_[A-Z_]+|TF_FORCE_GPU_ALLOW_GROWTH|TF_GPU_ALLOCATOR|TF_USE_LEGACY_KERAS"
    r"|KERAS_(HOME|BACKEND)"  # `device` sets the backend and passes over what is in the folder
    r"|TF_(CLI|DATA_DIR|IN_AUTOMATION|INPUT|LOG|VAR|WORKSPACE)[A-Z0-9_]*"  # Terraform's
)
# Read when Python or NumPy starts, which is before anything of ours runs.
_TOO_LATE = re.compile(r"NPY_(DISABLE|ENABLE)_CPU_FEATURES|GLIBC_TUNABLES")


def _changes_bits(name: str) -> bool:
    return _CLEARED.fullmatch(name) is not None and _HARMLESS.fullmatch(name) is None


def _kept(environment: MutableMapping[str, str]) -> set[str]:
    names = {name.strip() for name in environment.get(KEEP, "").split(",")} - {""}
    for name in sorted(names):
        if not _changes_bits(name):
            raise EnvironmentFault(
                f"{KEEP}: expected names of variables that are cleared otherwise, such as "
                f"XLA_FLAGS, got '{visible(name)[:60]}'; correct it, or unset it"
            )
    return names


def clear(environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove every variable that may change what a run gives, unless ``BNBENCH_KEEP`` names it.

    Raises `EnvironmentFault` if that names one that would not be removed anyway.
    """
    keep = _kept(environment)
    for name in list(environment):
        if _changes_bits(name) and name not in keep:
            del environment[name]


def remaining(environment: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that may have changed bits: those kept, and those read too early."""
    keep = _kept(environment)
    return {
        name: value
        for name, value in sorted(environment.items())
        if name in keep or _TOO_LATE.fullmatch(name)
    }


@contextmanager
def replaced(mapping: MutableMapping[str, Any], key: str, value: Any) -> Iterator[None]:
    """Give a key of ``os.environ`` or a similar mapping another value for a while."""
    before = mapping.get(key)
    mapping[key] = value
    try:
        yield
    finally:
        del mapping[key]
        if before is not None:
            mapping[key] = before
