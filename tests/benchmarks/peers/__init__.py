"""Programs that train one network: bnbench, the libraries it is compared with, and the floor.

Each module turns the layers of `bnbench.experiments.architecture` into its library's terms. They
are imported in worker processes only, after the number of threads has been set.
"""

import importlib
from importlib.util import find_spec

from tests.benchmarks.peers.task import Program, Task

MODULES = {
    "bnbench": "bnbench_program",
    "model.fit": "keras_fit",
    "model.fit, 50 steps per execution": "keras_fit",
    "PyTorch eager": "pytorch",
    "PyTorch compiled": "pytorch",
    "JAX scan": "jax_scan",
    "matrix products": "matrix_products",
}
REQUIRED = {"pytorch": "torch", "jax_scan": "jax"}


def installed(name: str) -> bool:
    """Whether the library that the program is written with is there."""
    library = REQUIRED.get(MODULES[name])
    return library is None or find_spec(library) is not None


def make(name: str, task: Task) -> Program:
    """Build the program with the task's initial weights."""
    maker = importlib.import_module(f"tests.benchmarks.peers.{MODULES[name]}")
    program: Program = maker.make(name, task)
    return program
