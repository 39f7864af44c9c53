"""Which device is chosen, given the devices that are there."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.errors import EnvironmentFault
from bnbench.training import device
from bnbench.training.device import Request, select
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("request_", "gpus", "chosen"),
    [
        ("auto", [], []),
        ("auto", ["GPU:0"], ["GPU:0"]),
        ("cpu", ["GPU:0"], []),
        ("gpu", ["GPU:0", "GPU:1"], ["GPU:0", "GPU:1"]),
    ],
)
def test_gpus_for_a_request(request_: Request, gpus: list[str], chosen: list[str]) -> None:
    """`auto` takes a GPU where there is one; a request is followed."""
    assert select(request_, gpus) == chosen


def test_an_absent_gpu_is_refused_by_name() -> None:
    """Asking for a GPU where there is none says what is there and what to do."""
    with pytest.raises(EnvironmentFault, match=r"device gpu: .* only the CPU; take the device cpu"):
        select("gpu", [])


@pytest.fixture
def cpuinfo(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set what the kernel says about the processor."""

    def set_text(text: str) -> None:
        monkeypatch.setattr(Path, "read_text", lambda *given, **options: text)
        device._cpuinfo.cache_clear()

    return set_text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("flags\t\t: fpu sse4_2 avx avx2 avx512f avx512bw\n", "avx512"),
        ("flags\t\t: fpu sse4_2 avx avx2\nflags\t\t: avx512f\n", "avx2"),
        ("flags\t\t: fpu sse4_2 avx f16c\n", "avx"),
        ("flags\t\t: fpu sse4_2\n", "sse4.2"),
        ("Features\t: fp asimd sve\n", "sve"),
        ("Features\t: fp asimd\n", "neon"),
        ("", platform.machine()),
    ],
)
def test_the_instruction_set_is_the_widest(
    text: str, name: str, cpuinfo: Callable[[str], None]
) -> None:
    """It is read from the first core's flags, and is the machine's type where there are none."""
    cpuinfo(text)
    assert device.instruction_set() == name
    device._cpuinfo.cache_clear()


def test_the_processor_has_a_name_and_cores() -> None:
    """The cores are those that this process may use."""
    assert device.processor()
    assert device.cores() == len(os.sched_getaffinity(0))


BROKEN = """
import sys
from bnbench.errors import EnvironmentFault
from bnbench.training import device
sys.modules["tensorflow"] = None  # as where it is not installed
try:
    device.start("cpu")
except EnvironmentFault as fault:
    print(fault)
"""


def test_a_tensorflow_that_cannot_be_imported() -> None:
    """Any exception of an import is a fault of the environment, reported with its reason."""
    command = [sys.executable, "-c", BROKEN]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.startswith("TensorFlow cannot be imported: ModuleNotFoundError: ")
    assert ran.stdout.endswith("; it needs all its parts installed, and memory\n")
