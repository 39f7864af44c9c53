"""Environment variables that change the bits of a run: cleared before TensorFlow loads, or kept.

TensorFlow, XLA, oneDNN and Keras read dozens of variables, and more with every version. So all with
their prefixes are cleared, except those that are known to leave results alone. What the user names
in ``BNBENCH_KEEP`` is kept, and every record says so, as it does of what nobody can clear any more.
"""

import os
import re
from collections.abc import MutableMapping

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


def changes_bits(name: str) -> bool:
    """Whether a variable of this name may change what a run gives, and can be cleared in time."""
    return _CLEARED.fullmatch(name) is not None and _HARMLESS.fullmatch(name) is None


def kept(environment: MutableMapping[str, str] = os.environ) -> frozenset[str]:
    """Return the names that ``BNBENCH_KEEP`` lists.

    Raises `EnvironmentFault` for a name that would not be cleared anyway.
    """
    names = [name.strip() for name in environment.get(KEEP, "").split(",")]
    for name in filter(None, names):
        if not changes_bits(name):
            raise EnvironmentFault(
                f"{KEEP}: expected names of variables that are cleared otherwise, such as "
                f"XLA_FLAGS, got '{visible(name)[:60]}'; correct it, or unset it"
            )
    return frozenset(filter(None, names))


def cleared(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Return the names of the variables that are set and that `clear` removes, sorted."""
    keep = kept(environment)
    return sorted(name for name in environment if changes_bits(name) and name not in keep)


def clear(environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove every variable that changes bits and is not kept; raises as `kept` does."""
    for name in cleared(environment):
        del environment[name]


def remaining(environment: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that may have changed bits: those kept, and those read too early."""
    keep = kept(environment)
    return {
        name: value
        for name, value in sorted(environment.items())
        if name in keep or _TOO_LATE.fullmatch(name)
    }
