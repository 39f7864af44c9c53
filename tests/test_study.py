"""The published study: its records can be made again, and its texts say what they say."""

import re
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


def kind(record: RunRecord) -> tuple[str, str]:
    return record.environment.tensorflow, record.environment.instruction_set


@pytest.mark.data
@pytest.mark.endurance
@pytest.mark.skipif(
    not dataset.status()["fashion_mnist"][0].path,
    reason="the full Fashion-MNIST data set is not installed",
)
def test_runs_made_again_are_those_of_the_study(tmp_path: Path) -> None:
    """Bit for bit on the same kind of processor, else to within two test rows.

    With tanh at a small rate: with ReLU they may lie 90 rows apart, with 20 layers 195.
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


def layers(config: Config) -> str:
    units = config.model.hidden_units
    return f"{len(units)} × {units[0]}" if len(set(units)) == 1 else ", ".join(map(str, units))


def test_the_tables_of_the_study_are_what_compare_says() -> None:
    """In README and study: numbers, the verdict within each network, then among all."""
    readme, study = (folder.joinpath("README.md").read_text() for folder in (ROOT, STUDY))
    records = bnbench.load_records(STUDY)
    together = tuned(records)
    numbers = cells(together, ["learning_rate", "difference", "new images", "seeds", "verdict"])
    for contrast in together.placement_contrasts:
        config, name = contrast.experiment.config, network(contrast)
        chosen, difference, new, seeds, among_all = numbers[name]
        verdict, holds = cells(tuned(records, config.name), ["verdict", "on new images"])[name]
        if holds != grids.NOTHING:
            new += f", {holds}"
        on_input = ", BN on the input" * config.model.batch_norm.input
        found = [difference, new, seeds, verdict, among_all]
        short = [layers(config), f"{config.model.activation}{on_input}", *found]
        long = [f"`{config.name}`{on_input}", chosen, *found]
        assert f"| {' | '.join(short)} |" in readme
        assert f"| {' | '.join(long)} |" in study


def test_every_interval_of_the_study_is_one_of_compare() -> None:
    """Within one network or among all, in one of its folders."""
    printed = {
        cell.lstrip("+-")
        for folder in (STUDY, STUDY / "adam", STUDY / "epochs_30", STUDY / "fixed_rate")
        for comparison in each_way(bnbench.load_records(folder))
        for grid in (grids.placements, grids.results, grids.contrasts)
        for row in grid(comparison).rows
        for cell in row
    }
    for text in (ROOT / "README.md", STUDY / "README.md"):
        reported = set(re.findall(r"\d+\.\d+ ± \d+\.\d+", text.read_text()))
        assert len(reported) > 10
        assert reported <= printed


def each_way(records: Sequence[RunRecord]) -> list[Comparison]:
    names = sorted({record.experiment for record in records})
    return [c for each in [(), *((name,) for name in names)] for c in compare(records, names=each)]


def test_the_study_counts_what_trains_on_its_map() -> None:
    """With half of the test images right or more."""
    runs = bnbench.load_records(STUDY / "map")
    none, after, before = (
        sum(
            run.config.model.batch_norm.placement == where and (run.test_accuracy or 0) >= 0.5
            for run in runs
        )
        for where in ("none", "after_activation", "before_activation")
    )
    assert (
        f"Of the {len(runs) // 3} networks without BN {none} get half of the test images right, of "
        f"those with BN after the activations {after}, of those with BN before all {before}."
    ) in " ".join((STUDY / "README.md").read_text().split())
