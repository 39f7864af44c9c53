"""What is said of own data before anything is trained, and the config that is made for it."""

from pathlib import Path

import numpy as np
import pytest

from bnbench.datasets import dataset
from bnbench.evidence.health import CoarseRows, FeatureValues, OneClassPrevails, ScalesApart
from bnbench.experiments.config import dump_yaml, parse_config
from bnbench.training.survey import Survey, name_for, survey


def surveyed(path: Path, rows: int = 500, **columns: object) -> Survey:
    """Survey a table of two classes; ``columns`` replace its columns."""
    random = np.random.default_rng(0)
    made = {"small": random.normal(size=rows), "large": random.normal(size=rows)}
    made |= {"kind": np.arange(rows) % 2} | columns
    lines = [",".join(made), *(",".join(map(str, row)) for row in zip(*made.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return survey(str(path), "kind")


def test_rows_classes_and_scales(tmp_path: Path) -> None:
    """What is said is what a run's record would say, with the classes of every part."""
    found = surveyed(tmp_path / "own.csv", kind=["cat"] * 300 + ["dog"] * 200)
    assert found.summary.rows == (360, 40, 100)
    assert found.summary.class_names == ("cat", "dog")
    assert found.rows_by_class.tolist() == [[216, 24, 60], [144, 16, 40]]
    assert found.features == 2
    low, high = found.summary.feature_scales
    assert 4 < low <= high < 9


def test_data_that_asks_for_something(tmp_path: Path) -> None:
    """Scales far apart, few test rows and a class that prevails; the config mends the first."""
    large = np.random.default_rng(1).normal(size=500) * 1000
    found = surveyed(tmp_path / "own.csv", large=large, kind=[0] * 450 + [1] * 50)
    assert [type(finding) for finding in found.findings] == [
        ScalesApart,
        CoarseRows,
        OneClassPrevails,
    ]
    assert found.config.data.standardize
    assert found.why[0] == "standardize: the features' ranges lie far apart"


def test_data_that_asks_for_nothing(tmp_path: Path) -> None:
    """Rows enough, two classes alike and one scale: the config says name and data alone."""
    found = surveyed(tmp_path / "own.csv", rows=8000)
    assert (found.findings, found.doubts, found.why) == ((), (), ())
    assert dump_yaml(found.config, defaults=False) == (
        f'name: own\ndata:\n  dataset: "{tmp_path}/own.csv"\n  label: kind\n'
    )


def test_a_column_that_counts_the_rows(tmp_path: Path) -> None:
    """It is doubted, as a file sorted by class would be learned from it."""
    found = surveyed(tmp_path / "own.csv", small=range(500))
    assert found.doubts == (
        "column small holds another whole number in every row: drop it if it only names or counts "
        "them",
    )


def test_uint8_that_is_divided_too_far(tmp_path: Path) -> None:
    """The doubt says why the features are small, no finding repeats it, and the config mends it."""
    x = np.random.default_rng(0).integers(0, 17, (800, 30)).astype(np.uint8)
    y = np.arange(800) % 2
    path = tmp_path / "digits.npz"
    np.savez(path, x_train=x[:400], y_train=y[:400], x_test=x[400:], y_test=y[400:])
    found = survey(str(path))
    assert found.findings == ()
    assert found.doubts == (
        "the largest value is 16, and uint8 is divided by 255, which leaves features far smaller "
        "than 1: the config has data.standardize: true; or store them as float",
    )
    assert found.config.data.standardize
    assert found.why[0] == "standardize: uint8 is divided by 255, and the largest value is 16"


def test_features_that_are_not_about_1(tmp_path: Path) -> None:
    """They are standardized whatever is wrong with them, as the finding advises."""
    random = np.random.default_rng(0)
    small, large = random.normal(500, 1, (2, 8000))
    found = surveyed(tmp_path / "own.csv", rows=8000, small=small, large=large)
    assert [type(finding) for finding in found.findings] == [FeatureValues]
    assert found.config.data.standardize
    assert found.why == ("standardize: the features are not about 1 around 0",)


@pytest.mark.parametrize("rows", [9, 41, 46, 92, 500])
def test_the_config_runs_as_it_stands(tmp_path: Path, rows: int) -> None:
    """Few rows or many: every class validates, no batch is of one row, and steps are enough."""
    found = surveyed(tmp_path / "own.csv", rows=rows)
    placed = ["model.batch_norm.placement=before_activation"]
    config = parse_config(dump_yaml(found.config, defaults=False), "own.yaml", placed)
    described = dataset.describe(config.data)
    assert dataset.batch_faults(config, described.training_rows) == []
    assert dataset.load(config.data).classes == 2
    steps = -(-found.summary.rows[0] // config.training.batch_size) * config.training.epochs
    assert 1000 <= steps < 2500


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/My flowers (2).csv.gz", "My_flowers_2"),
        ("wine.csv", "wine"),
        ("../.hidden.npz", "hidden"),
        ("数据.csv", "data"),
        ("con.npz", "data_con"),
        (f"{'x' * 100}.npz", "x" * 64),
    ],
)
def test_a_name_from_the_files(path: str, name: str) -> None:
    """Letters, digits and little else, and no device of Windows."""
    assert name_for(path) == name
