"""The memory that runs are expected to take, and how many of them fit side by side."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_args

import pytest

from bnbench import memory
from bnbench.errors import EnvironmentFault
from bnbench.experiments.config import Config, TrainingConfig
from bnbench.experiments.fields import Optimizer
from bnbench.training import footprint
from tests.conftest import ROOT, dataset_of

GB = 1_000_000_000
Tiny = Callable[..., Config]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set what memory is left for all processes, and for this one where it is less."""

    def leave(shared: int, own: int | None = None) -> None:
        monkeypatch.setattr(memory, "shared", lambda: shared)
        monkeypatch.setattr(memory, "available", lambda: shared if own is None else own)

    return leave


def affordable(config: Config, jobs: int) -> int:
    return footprint.affordable_jobs({config: dataset_of(config)}, jobs)


def test_as_many_jobs_as_fit(tiny: Tiny, room: Callable[..., None]) -> None:
    """TensorFlow takes 0.4 GB once and 0.15 GB a worker; never more jobs than are asked for."""
    for left, jobs in ((0.6, 1), (1, 3), (1.5, 6), (64, 8)):
        room(int(left * GB))
        assert affordable(tiny(), jobs=8) == jobs


def test_not_even_one(tiny: Tiny, room: Callable[..., None]) -> None:
    """Three layers of 16,384 under 3 GB are refused with the figures, before anything trains."""
    room(3 * GB)
    with pytest.raises(EnvironmentFault) as caught:
        affordable(tiny("model.hidden_units=[16384, 16384, 16384]", name="huge"), jobs=8)
    assert str(caught.value) == (
        "memory: one run at a time needs about 15.8 GB (TensorFlow 0.6 GB, data 0.0 GB, networks "
        "with gradients, optimizer and a batch 15.3 GB; the largest is huge), but only 3.0 GB is "
        "left here; take fewer experiments at once, fewer hidden units or smaller batches"
    )


def test_a_limit_of_the_process_binds_every_worker(tiny: Tiny, room: Callable[..., None]) -> None:
    """A worker inherits it, so what one may take counts once, however much the machine has."""
    room(64 * GB, own=GB // 4)
    assert affordable(tiny(), jobs=8) == 8
    room(64 * GB, own=GB // 10)
    with pytest.raises(EnvironmentFault, match=r"only 0\.1 GB is left here"):
        affordable(tiny(), jobs=8)


def test_every_experiment_and_every_data_set_counts(tiny: Tiny) -> None:
    """One worker keeps the programs of all experiments, and data that several share once."""
    one, other = tiny("model.hidden_units=[500]"), tiny("model.hidden_units=[600]")
    data, again = dataset_of(one), dataset_of(one)
    alone, both = (footprint.of_workers(dict.fromkeys(c, data), 1) for c in ([one], [one, other]))
    assert both.data == alone.data == 110 * (20 + 4) + 30 * (20 + 4)
    programs = [footprint.program_bytes(config, data) for config in (one, other)]
    assert (alone.networks, both.networks) == (programs[0], sum(programs))
    assert footprint.of_workers({one: data, other: again}, 1).data == 2 * alone.data


def test_standardized_images_count_as_float32(tiny: Tiny) -> None:
    """Four bytes a feature instead of one, and apart from the same images as they are."""
    plain, standardized = tiny(), tiny("data.standardize=true")
    datasets = {config: dataset_of(config) for config in (plain, standardized)}
    rows = 110 + 30
    expected = rows * (20 + 4) + rows * (4 * 20 + 4)
    assert footprint.of_workers(datasets, 1).data == expected


def test_workers_divide_the_experiments(tiny: Tiny) -> None:
    """Four that make forty experiments keep eleven each, and eight with one keep that one."""
    config = tiny()
    data = dataset_of(config)
    program = footprint.program_bytes(config, data)
    forty = {tiny(f"training.epochs={n}"): data for n in range(1, 41)}
    assert footprint.of_workers(forty, 4).networks == 4 * 11 * program
    assert footprint.of_workers({config: data}, 8).networks == 8 * program


def test_a_batch_and_an_optimizer_count(tiny: Tiny) -> None:
    """Batches of many rows and optimizers with a memory of their own take more."""
    plain, rows, adam = (
        footprint.program_bytes(config, dataset_of(config))
        for config in (
            tiny("model.hidden_units=[9000]"),
            tiny("model.hidden_units=[9000]", "training.batch_size=10000"),
            tiny("model.hidden_units=[9000]", "training.optimizer=adam"),
        )
    )
    assert rows - plain == 4 * (10_000 - 1000) * (20 + 9000 + 3)
    assert adam - plain == 4 * 2 * 2 * (20 * 9000 + 9000 + 9000 * 3 + 3)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", get_args(Optimizer))
def test_slots_are_those_of_keras(keras: Any, optimizer: Optimizer, momentum: float) -> None:
    """For each optimizer a config can name, as many variables as Keras makes."""
    if momentum and optimizer.startswith("adam"):
        pytest.skip("no such config")
    training = TrainingConfig(optimizer=optimizer, momentum=momentum)
    settings = {"momentum": momentum} if momentum else {}
    made = keras.optimizers.get({"class_name": optimizer, "config": settings})
    made.build([keras.Variable([0.0])])
    iterations_and_rate = 2
    assert len(made.variables) - iterations_and_rate == footprint.optimizer_slots(training)


def test_no_tensorflow_is_imported() -> None:
    """The estimate comes before the seconds that TensorFlow takes to start."""
    code = "import sys, bnbench.training.footprint\nprint({'keras', 'tensorflow'} & {*sys.modules})"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout == "set()\n"


MEASURE = """
import re, sys
from pathlib import Path
from bnbench.datasets.dataset import load
from bnbench.experiments.config import parse_config
from bnbench.training import device, footprint

def resident(peak):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(f"{'VmHWM' if peak else 'VmRSS'}:\\\\s+(\\\\d+)", text)[1])

config = parse_config("name: measured", "measured", sys.argv[1:])
data = load(config.data)
device.start("cpu")
from bnbench.training.program import DeviceData, TrainingProgram
before = resident(peak=False)
TrainingProgram(config, DeviceData.place(data, "CPU:0"), 1).run(0)
print((resident(peak=True) - before) / footprint.program_bytes(config, data))
"""


@pytest.mark.endurance
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_estimate_against_a_real_run(optimizer: str) -> None:
    """What a run of 20 million parameters takes on top of TensorFlow is near the estimate."""
    settings = [
        "data.dataset=fashion_mnist_sample",
        "data.validation_size=500",
        "model.hidden_units=[3000, 3000, 3000]",
        f"training.optimizer={optimizer}",
        "training.batch_size=500",
        "training.epochs=1",
    ]
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, *settings],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert 0.7 < float(ran.stdout) < 1.3
