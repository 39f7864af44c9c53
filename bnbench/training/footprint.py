"""How much memory runs take, estimated before TensorFlow starts, and how many fit side by side.

The numbers below were fitted to what processes took at most on Linux, with networks of 1 to 77
million parameters and of 3 to 200 layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bnbench import memory
from bnbench.datasets.dataset import Dataset
from bnbench.errors import EnvironmentFault
from bnbench.experiments import architecture
from bnbench.experiments.config import Config, TrainingConfig

_FLOAT = 4  # bytes of a float32
_SHARED = 400_000_000  # TensorFlow in the process that workers are forked from
_WORKER = 150_000_000  # of each worker, what its first compiling takes included
_PROGRAM = 5_000_000  # of each compiled program, however small
_LAYER = 1_500_000  # of the program for each of its layers
_KEPT = 2  # parameters and optimizer variables are there twice: now, and as they start
# Gradients, new values before they replace the old, a copy to hash, and up to two where TensorFlow
# has oneDNN's operations, which depends on the processor.
_PASSING = 5
_EVALUATION_ROWS = 1000


@dataclass(frozen=True)
class Footprint:
    """Bytes that so many workers take together, and of them those of one."""

    tensorflow: int
    data: int
    networks: int
    worker: int

    @property
    def total(self) -> int:
        """The sum of the parts."""
        return self.tensorflow + self.data + self.networks


def of_workers(datasets: Mapping[Config, Dataset], jobs: int) -> Footprint:
    """Return what ``jobs`` workers take that make runs of the experiments, each with its data.

    They share the data. They keep the program of every experiment they meet, and divide the
    experiments among them, until each meets one more at the end: here the largest ones.
    """
    programs = sorted((program_bytes(*item) for item in datasets.items()), reverse=True)
    met = sum(programs[: -(-len(programs) // jobs) + (jobs > 1)])
    return Footprint(
        tensorflow=_SHARED + jobs * _WORKER,
        data=sum(map(_data_bytes, set(datasets.values()))),
        networks=jobs * met,
        worker=_WORKER + met,
    )


def affordable_jobs(datasets: Mapping[Config, Dataset], jobs: int) -> int:
    """Return how many of ``jobs`` runs at once fit into the memory there is.

    ``datasets`` has the experiments with their data, already loaded into this process. Raises
    `EnvironmentFault` with the figures where not even one run fits.
    """
    shared, own = memory.shared(), memory.available()
    for fewer in range(jobs, 0, -1):
        taken = of_workers(datasets, fewer)
        if taken.total <= shared and taken.worker <= own:
            return fewer
    raise EnvironmentFault(_refusal(datasets, min(shared, own)))


def optimizer_slots(training: TrainingConfig) -> int:
    """Return how many numbers the optimizer keeps for each trained parameter."""
    match training.optimizer:
        case "sgd":
            return int(training.momentum > 0)
        case "rmsprop":
            return 1 + int(training.momentum > 0)
    return 2


def program_bytes(config: Config, dataset: Dataset) -> int:
    """Return what one experiment's network takes while it trains."""
    layers = architecture.build(config.model, dataset.feature_shape, dataset.classes)
    count = architecture.count_parameters(layers)
    state = count["total"] + optimizer_slots(config.training) * count["trainable"]
    outputs = sum(layer.output_shape[-1] for layer in layers)
    rows = max(config.training.batch_size, _EVALUATION_ROWS)
    numbers = _KEPT * state + _PASSING * count["total"] + rows * outputs
    return _PROGRAM + _LAYER * len(layers) + _FLOAT * numbers


def _data_bytes(dataset: Dataset) -> int:
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    labels = (dataset.y_train, dataset.y_val, dataset.y_test)
    return sum(array.nbytes for array in (*parts, *labels))


def _refusal(datasets: Mapping[Config, Dataset], left: int) -> str:
    needed = of_workers(datasets, 1)
    largest = max(datasets, key=lambda config: program_bytes(config, datasets[config]))
    return (
        f"memory: one run at a time needs about {_gigabytes(needed.total)} (TensorFlow "
        f"{_gigabytes(needed.tensorflow)}, data {_gigabytes(needed.data)}, networks with "
        f"gradients, optimizer and a batch {_gigabytes(needed.networks)}; the largest is "
        f"{largest.name}), but only {_gigabytes(left)} is left here; take fewer experiments at "
        "once, fewer hidden units or smaller batches"
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
