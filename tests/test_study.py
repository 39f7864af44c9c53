"""The published study: its records can be made again, and the README says what they say."""

from pathlib import Path

import pytest

import bnbench
from bnbench.datasets import dataset
from tests.conftest import ROOT

STUDY = ROOT / "runs" / "reference"
SWEEP = {
    "model.batch_norm.placement": ("none", "before_activation"),
    "training.learning_rate": 0.03,
}


@pytest.mark.data
@pytest.mark.skipif(
    not dataset.status()[0].folders, reason="the full Fashion-MNIST data set is not installed"
)
def test_runs_made_again_are_those_of_the_study(tmp_path: Path) -> None:
    """Bit for bit on the same kind of processor, else to within two test rows."""
    config = ROOT / "configs" / "study" / "shallow_relu.yaml"
    made = bnbench.run(config, seeds=1, settings=SWEEP, runs_dir=tmp_path, progress=False).records
    kept = {record.key: record for record in bnbench.load_records(STUDY)}
    assert {record.config.model.batch_norm.placement for record in made} == {
        "none",
        "before_activation",
    }
    for again in made:
        first = kept[again.key]
        here, there = (
            (r.environment.tensorflow, r.environment.instruction_set) for r in (again, first)
        )
        if here == there:
            assert again.weights_sha256 == first.weights_sha256
            assert again.test_accuracy == first.test_accuracy
        else:
            assert again.test_accuracy == pytest.approx(first.test_accuracy, abs=2 / 10_000)
