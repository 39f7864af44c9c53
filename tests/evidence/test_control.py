"""An experiment against itself on real training: nothing may be found, and nothing may grow."""

import resource
from collections.abc import Callable

import pytest

from bnbench.experiments.config import Config, parse_config
from tests.conftest import compare, dataset_of

SAMPLE = [
    "data.dataset=fashion_mnist_sample",
    "data.validation_size=500",
    "model.hidden_units=[50]",
    "model.batch_norm.placement=before_activation",
    "training.epochs=2",
]


@pytest.mark.slow
def test_a_config_against_itself_is_no_better_and_no_worse(keras: object) -> None:
    """One config under two names, disjoint seeds paired in order: equivalent or undecided."""
    from bnbench.training.program import DeviceData, TrainingProgram

    records = []
    for name, seeds in (("first", range(10)), ("second", range(10, 20))):
        config = parse_config(f"name: {name}", "aa.yaml", SAMPLE)
        program = TrainingProgram(config, DeviceData.place(dataset_of(config), "CPU:0"), jobs=1)
        records += [
            program.run(seed).model_copy(update={"seed": place}) for place, seed in enumerate(seeds)
        ]
    (found,) = compare(records)
    (contrast,) = found.contrasts
    assert contrast.result.sample.pairs == 10
    assert contrast.result.sample.std > 0
    assert contrast.differs_in == ()
    assert contrast.result.verdict in {"equivalent", "undecided"}


@pytest.mark.endurance
@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_runs(
    tiny: Callable[..., Config], keras: object
) -> None:
    """After a few runs, a hundred more of the same experiment leave the peak memory where it is."""
    from bnbench.training.program import DeviceData, TrainingProgram

    config = tiny("model.batch_norm.placement=before_activation", "model.hidden_units=[300, 100]")
    program = TrainingProgram(config, DeviceData.place(dataset_of(config), "CPU:0"), jobs=1)
    for seed in range(10):
        program.run(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(100):
        program.run(seed)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 20 * 1024  # a new model for each run would have leaked about 2,500 MB
