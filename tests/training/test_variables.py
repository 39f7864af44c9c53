"""Environment variables that change bits: which are cleared, which kept, and what is recorded."""

import pytest

from bnbench.errors import EnvironmentFault
from bnbench.training.variables import clear, remaining

CHANGE_BITS = {
    "TF_DETERMINISTIC_OPS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "TF_NUM_INTRAOP_THREADS": "2",
    "TF_SOMETHING_OF_THE_NEXT_VERSION": "1",
    "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "KERAS_NNX_ENABLED": "true",
    "NVIDIA_TF32_OVERRIDE": "1",
}
HARMLESS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_CPP_VMODULE": "x=1",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "KERAS_HOME": "/keras",
    "CUDA_VISIBLE_DEVICES": "0",
    "PATH": "/bin",
    "TF_CLI_CONFIG_FILE": "/terraformrc",
    "TFX": "1",
}


def test_what_changes_bits_is_cleared_and_nothing_else() -> None:
    """Variables of later versions too, by their prefix; log levels and folders stay."""
    environment = CHANGE_BITS | HARMLESS
    clear(environment)
    assert environment == HARMLESS
    assert remaining(environment) == {}


def test_what_is_kept_stays_and_is_recorded() -> None:
    """The names that BNBENCH_KEEP lists, with their values; spaces and a last comma do no harm."""
    keep = {"BNBENCH_KEEP": "XLA_FLAGS, ONEDNN_MAX_CPU_ISA,"}
    environment = CHANGE_BITS | keep
    clear(environment)
    left = {name: CHANGE_BITS[name] for name in ("ONEDNN_MAX_CPU_ISA", "XLA_FLAGS")}
    assert environment == left | keep
    assert remaining(environment) == left


def test_what_was_read_before_we_began_is_recorded() -> None:
    """NumPy and the C library look at theirs when they start."""
    early = {"GLIBC_TUNABLES": "glibc.cpu.x86_hwcaps=-AVX2", "NPY_DISABLE_CPU_FEATURES": "AVX512F"}
    environment = early | HARMLESS
    clear(environment)
    assert remaining(environment) == early


@pytest.mark.parametrize("names", ["PATH", "XLA_FLAGS,NONSENSE", "TF_CPP_MIN_LOG_LEVEL", "\x1b"])
def test_a_name_that_would_not_be_cleared_is_refused(names: str) -> None:
    """It is a typing error, or would promise what is not done."""
    with pytest.raises(EnvironmentFault, match=r"^BNBENCH_KEEP: expected names of variables"):
        clear({"BNBENCH_KEEP": names} | CHANGE_BITS)
