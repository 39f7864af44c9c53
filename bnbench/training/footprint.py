"""How much memory runs take, estimated before TensorFlow starts, and how many fit side by side.

The numbers below were fitted to what processes took at most, with networks of 1 to 77 million
parameters and of 3 to 200 layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from bnbench import memory
from bnbench.datasets.dataset import Dataset
from bnbench.errors import EnvironmentFault
from bnbench.experiments import architecture
from bnbench.experiments.config import Config, TrainingConfig

_FLOAT = 4  # bytes of a float32
_TENSORFLOW = 500_000_000  # of a worker process, its first small program included
_LIBRARIES = 250_000_000  # shared by all worker processes, counted once
_PROGRAM = 25_000_000  # of every further compiled program, however small
_LAYER = 1_500_000  # of the program for each of its layers
_KEPT = 2  # parameters and optimizer variables are there twice: now, and as they start
_PASSING = 3  # gradients, new values before they replace the old, and a copy to hash
_EVALUATION_ROWS = 1000


@dataclass(frozen=True)
class Footprint:
    """Bytes that one worker process takes for all experiments it may be given."""

    tensorflow: int
    data: int
    networks: int

    @property
    def total(self) -> int:
        """The sum of the parts."""
        return self.tensorflow + self.data + self.networks


def of_worker(datasets: Mapping[Config, Dataset]) -> Footprint:
    """Return what a worker takes that holds every data set, and a program for every experiment."""
    return Footprint(
        tensorflow=_TENSORFLOW,
        data=sum(map(_data_bytes, set(datasets.values()))),
        networks=sum(_program_bytes(config, dataset) for config, dataset in datasets.items()),
    )


def affordable_jobs(datasets: Mapping[Config, Dataset], jobs: int) -> int:
    """Return how many of ``jobs`` runs at once fit into the memory there is.

    ``datasets`` has the experiments with their data, already loaded into this process. Raises
    `EnvironmentFault` with the figures where not even one run fits.
    """
    worker = of_worker(datasets)
    shared, own = memory.shared(), memory.available()
    fitting = (shared - _LIBRARIES) // worker.total if worker.total <= own else 0
    if fitting < 1:
        raise EnvironmentFault(_refusal(datasets, worker, min(shared, own)))
    return min(jobs, fitting)


def optimizer_slots(training: TrainingConfig) -> int:
    """Return how many numbers the optimizer keeps for each trained parameter."""
    match training.optimizer:
        case "sgd":
            return int(training.momentum > 0)
        case "rmsprop":
            return 1 + int(training.momentum > 0)
        case "adam" | "adamw":
            return 2
        case other:
            assert_never(other)


def _data_bytes(dataset: Dataset) -> int:
    parts = (dataset.x_train, dataset.x_val, dataset.x_test)
    labels = (dataset.y_train, dataset.y_val, dataset.y_test)
    return sum(array.nbytes for array in (*parts, *labels))


def _program_bytes(config: Config, dataset: Dataset) -> int:
    layers = architecture.build(config.model, dataset.feature_shape, dataset.classes)
    count = architecture.count_parameters(layers)
    state = count["total"] + optimizer_slots(config.training) * count["trainable"]
    outputs = sum(layer.output_shape[-1] for layer in layers)
    rows = max(config.training.batch_size, _EVALUATION_ROWS)
    numbers = _KEPT * state + _PASSING * count["total"] + rows * outputs
    return _PROGRAM + _LAYER * len(layers) + _FLOAT * numbers


def _refusal(datasets: Mapping[Config, Dataset], worker: Footprint, left: int) -> str:
    largest = max(datasets, key=lambda config: _program_bytes(config, datasets[config]))
    parts = (
        f"TensorFlow {_gigabytes(worker.tensorflow)}, data {_gigabytes(worker.data)}, "
        f"networks with gradients, optimizer and a batch {_gigabytes(worker.networks)}"
    )
    return (
        f"memory: one run at a time needs about {_gigabytes(worker.total + _LIBRARIES)} ({parts}; "
        f"the largest is {largest.name}), but only {_gigabytes(left)} is left here; "
        "take fewer experiments at once, fewer hidden units or smaller batches"
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
