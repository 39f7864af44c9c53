"""The published study: its records can be made again, and the README says what they say."""

from collections.abc import Sequence
from pathlib import Path

import pytest

import bnbench
from bnbench.datasets import dataset
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.show import grids
from bnbench.show.remarks import network
from tests.conftest import ROOT, compare

STUDY = ROOT / "runs" / "reference"
SWEEP = {
    "model.batch_norm.placement": ("none", "before_activation"),
    "training.learning_rate": 0.01,
}


def kind(record: RunRecord) -> tuple[str, str, str]:
    made = record.environment
    return made.tensorflow, made.processor, made.instruction_set


@pytest.mark.data
@pytest.mark.skipif(
    not dataset.status()[0].folders, reason="the full Fashion-MNIST data set is not installed"
)
def test_runs_made_again_are_those_of_the_study(tmp_path: Path) -> None:
    """Bit for bit on the same kind of processor, else to within two test rows.

    With tanh, as the kinks of ReLU make 21 rows of the last bits that processors round apart.
    """
    config = ROOT / "configs" / "study" / "shallow_tanh.yaml"
    made = bnbench.run(config, seeds=1, settings=SWEEP, runs_dir=tmp_path, progress=False).records
    kept = {record.key: record for record in bnbench.load_records(STUDY)}
    assert {record.config.model.batch_norm.placement for record in made} == {
        "none",
        "before_activation",
    }
    for again in made:
        first = kept[again.key]
        if kind(again) == kind(first):
            assert again.weights_sha256 == first.weights_sha256
            assert again.test_accuracy == first.test_accuracy
        else:
            assert again.test_accuracy == pytest.approx(first.test_accuracy, abs=2 / 10_000)


def tuned(records: Sequence[RunRecord], *names: str) -> Comparison:
    (found,) = [c for c in compare(records, names=names) if c.tuning]
    return found


def cells(comparison: Comparison, columns: Sequence[str]) -> dict[str, list[str]]:
    """Return these cells of the table of placements, by its network."""
    grid = grids.placements(comparison)
    places = [[column.heading for column in grid.columns].index(name) for name in columns]
    return {row[0]: [row[place] for place in places] for row in grid.rows}


def described(config: Config) -> list[str]:
    units = config.model.hidden_units
    layers = f"{len(units)} × {units[0]}" if len(set(units)) == 1 else ", ".join(map(str, units))
    on_input = ", BN on the input" * config.model.batch_norm.input
    return [layers, f"{config.model.activation}{on_input}"]


def test_the_readme_has_the_table_of_the_study() -> None:
    """Numbers as `compare` has them; the verdict of each network by itself, then among all."""
    readme, records = (ROOT / "README.md").read_text(), bnbench.load_records(STUDY)
    together = tuned(records)
    numbers = cells(together, ["difference", "new images", "seeds", "verdict"])
    for contrast in together.placements:
        config, name = contrast.experiment.config, network(contrast)
        difference, new, seeds, among_all = numbers[name]
        verdict, holds = cells(tuned(records, config.name), ["verdict", "on new images"])[name]
        if holds != grids.NOTHING:
            new += f", {holds}"
        row = [*described(config), difference, new, seeds, verdict, among_all]
        assert f"| {' | '.join(row)} |" in readme
