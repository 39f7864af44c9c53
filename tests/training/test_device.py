"""Which device is chosen, given the devices that are there."""

import subprocess
import sys

import pytest

from bnbench.errors import EnvironmentFault
from bnbench.training.device import Request, select
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("request_", "gpus", "chosen"),
    [
        ("auto", [], "CPU:0"),
        ("auto", ["/physical_device:GPU:0"], "GPU:0"),
        ("cpu", ["/physical_device:GPU:0"], "CPU:0"),
        ("gpu", ["/physical_device:GPU:0", "/physical_device:GPU:1"], "GPU:0"),
    ],
)
def test_device_for_a_request(request_: Request, gpus: list[str], chosen: str) -> None:
    """`auto` takes a GPU where there is one; a request is followed."""
    assert select(request_, gpus) == chosen


def test_an_absent_gpu_is_refused_by_name() -> None:
    """Asking for a GPU where there is none says what is there and what to do."""
    with pytest.raises(EnvironmentFault, match=r"device gpu: .* only the CPU; take the device cpu"):
        select("gpu", [])


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
    """Whatever an import ends in is a fault of the surroundings, told with its reason."""
    command = [sys.executable, "-c", BROKEN]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.startswith("TensorFlow cannot be imported: ModuleNotFoundError: ")
    assert ran.stdout.endswith("; it needs all its parts installed, and memory\n")
