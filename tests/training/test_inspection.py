"""What is said of own data before anything is trained, and the config that is made for it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench.datasets import dataset
from bnbench.datasets.dataset import Dataset
from bnbench.experiments.config import dump_yaml, parse_config
from bnbench.text import visible
from bnbench.training.inspection import (
    Inspection,
    data_warnings,
    equal_by_chance,
    inspect_data,
    name_for,
    row_keys,
    small_uint8,
)

RANDOM = np.random.default_rng(0)


def inspected(path: Path, rows: int = 500, **columns: object) -> Inspection:
    """Inspect a table of two classes; ``columns`` replace its columns."""
    random = np.random.default_rng(0)
    made = {"small": random.normal(size=rows), "large": random.normal(size=rows)}
    made |= {"kind": np.arange(rows) % 2} | columns
    lines = [",".join(made), *(",".join(map(str, row)) for row in zip(*made.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return inspect_data(str(path), "kind")


def test_rows_classes_and_scales(tmp_path: Path) -> None:
    """What is said is what a run's record would say, with the classes of every part."""
    found = inspected(tmp_path / "own.csv", kind=["cat"] * 300 + ["dog"] * 200)
    assert found.summary.rows == (360, 40, 100)
    assert found.summary.class_names == ("cat", "dog")
    assert found.rows_by_class.tolist() == [[216, 24, 60], [144, 16, 40]]
    assert found.features == 2
    low, high = found.summary.feature_scales
    assert 4 < low <= high < 9


def test_data_that_asks_for_something(tmp_path: Path) -> None:
    """Scales far apart, few test rows and a class that prevails; the config mends the first."""
    large = np.random.default_rng(1).normal(size=500) * 1000
    found = inspected(tmp_path / "own.csv", large=large, kind=[0] * 450 + [1] * 50)
    assert [finding.kind for finding in found.findings] == [
        "feature_scales",
        "coarse_test_rows",
        "one_class_prevails",
    ]
    assert found.config.data.standardize
    assert found.reasons[0] == "standardize: the features' ranges lie far apart"


def test_data_that_asks_for_nothing(tmp_path: Path) -> None:
    """Rows enough, two classes alike and one scale: the config says name and data alone."""
    found = inspected(tmp_path / "own.csv", rows=8000)
    assert (found.findings, found.warnings, found.reasons) == ((), (), ())
    assert dump_yaml(found.config, defaults=False) == (
        f'name: own\ndata:\n  dataset: "{tmp_path}/own.csv"\n  label: kind\n'
    )


def test_a_column_that_counts_the_rows(tmp_path: Path) -> None:
    """It is warned of, as a file sorted by class would be learned from it."""
    found = inspected(tmp_path / "own.csv", small=range(500))
    assert found.warnings == (
        "columns with a different whole number in every row: 'small'; drop what only counts the "
        "rows",
    )


def test_uint8_that_is_divided_too_far(tmp_path: Path) -> None:
    """A warning says why features are small, no finding repeats it, and the config mends it."""
    x = np.random.default_rng(0).integers(0, 17, (800, 30)).astype(np.uint8)
    y = np.arange(800) % 2
    path = tmp_path / "digits.npz"
    np.savez(path, x_train=x[:400], y_train=y[:400], x_test=x[400:], y_test=y[400:])
    found = inspect_data(str(path))
    assert found.findings == ()
    assert found.warnings == (
        "the largest value is 16, and uint8 is divided by 255, which leaves features far smaller "
        "than 1: the config has data.standardize: true; or store them as float",
    )
    assert found.config.data.standardize
    assert found.reasons[0] == "standardize: uint8 is divided by 255, and none is above 16"


def test_features_that_are_not_about_1(tmp_path: Path) -> None:
    """They are standardized whatever is wrong with them, as the finding advises."""
    random = np.random.default_rng(0)
    small, large = random.normal(500, 1, (2, 8000))
    found = inspected(tmp_path / "own.csv", rows=8000, small=small, large=large)
    assert [finding.kind for finding in found.findings] == ["feature_values"]
    assert found.config.data.standardize
    assert found.reasons == ("standardize: the features are not about 1 around 0",)


@pytest.mark.parametrize("rows", [9, 41, 46, 92, 500])
def test_the_config_runs_as_it_stands(tmp_path: Path, rows: int) -> None:
    """Few rows or many: every class validates, no batch is of one row, and steps are enough."""
    found = inspected(tmp_path / "own.csv", rows=rows)
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


def split(x: Any, y: Any = None, rows: tuple[int, int] = (600, 100), **other: Any) -> Dataset:
    """Make a data set of the features of 800 rows, of two classes that alternate."""
    y = np.arange(len(x)) % 2 if y is None else y
    parts = [(x[a:b], y[a:b]) for a, b in ((0, rows[0]), (rows[0], sum(rows)), (sum(rows), None))]
    (x_train, y_train), (x_val, y_val), (x_test, y_test) = parts
    scale = 1 / 255 if x.dtype == np.uint8 else 1.0
    shape = other.pop("feature_shape", x.shape[1:])
    classes = int(y.max()) + 1
    return Dataset(
        x_train, y_train, x_val, y_val, x_test, y_test, classes, shape, scale, "0" * 64, **other
    )


def measured(columns: int = 3) -> np.ndarray:
    return RANDOM.normal(size=(800, columns)).astype(np.float32)


def of_table(x: np.ndarray, y: Any = None) -> list[str]:
    return list(data_warnings(split(x, y), [f"c{n}" for n in range(x.shape[1])], margin=0.3))


def of_arrays(x: np.ndarray, **other: Any) -> list[str]:
    return list(data_warnings(split(x, **other), [], margin=0.3))


def test_measurements_have_no_warnings() -> None:
    """Neither as a table nor as arrays."""
    assert of_table(measured()) == of_arrays(measured()) == []


def test_test_rows_of_a_table_that_are_trained_on() -> None:
    """How many there are, and what to do to the file."""
    x = measured()
    x[690:720] = x[:30]
    assert of_table(x) == [
        "20 of the 100 test rows (20.00 %) are also among the training rows: keep each row once, "
        "unless they are different cases with equal values"
    ]


def test_test_rows_of_arrays_that_are_trained_on() -> None:
    """Data that were split elsewhere have the same warning."""
    x = measured()
    x[700:720] = x[:20]
    (found,) = of_arrays(x)
    assert found.startswith("20 of the 100 test rows (20.00 %) are also among the training rows: ")


def test_a_column_that_counts_hides_no_repeats() -> None:
    """Rows are equal that differ in their number alone."""
    x = measured()
    x[700:720] = x[:20]
    x[:, 1] = np.arange(800)
    found, counts = of_table(x)
    assert "are also among the training rows apart from what counts the rows: keep" in found
    assert counts.startswith("columns with a different whole number in every row: 'c1'; ")


def test_nothing_but_a_number_of_the_row() -> None:
    """Where no other column is left, no rows can be equal."""
    assert len(of_table(np.arange(800, dtype=np.float32)[:, None])) == 1


def test_training_rows_that_repeat_each_other() -> None:
    """They are counted where they matter, if no test row is among them."""
    x = measured()
    x[500:520] = x[:20]
    assert of_arrays(x) == []
    x[500:560] = x[:60]
    assert of_arrays(x) == [
        "10.00 % of the training rows repeat another: keep each row once, unless they are "
        "different cases with equal values"
    ]


@pytest.mark.parametrize("values", [2, 3])
def test_few_values_repeat_by_chance(values: int) -> None:
    """Four columns of two or three values cannot but repeat."""
    x = RANDOM.integers(0, values, (800, 4)).astype(np.float32)
    assert of_table(x) == of_arrays(x) == []


def test_one_test_row_is_no_leak() -> None:
    """Two flowers may be equal to the millimetre."""
    x = measured()
    x[700] = x[0]
    assert of_table(x) == []


@pytest.mark.parametrize("codes", [[0, 1, 2], [0.1, 10, 20], [7, 5, 6]])
def test_a_feature_that_is_the_label(codes: list[float]) -> None:
    """Whatever stands for the classes, in whatever order."""
    y, x = np.arange(800) % 3, measured()
    x[:, 2] = np.array(codes)[y]
    assert of_table(x, y) == [
        "columns that alone determine the class: 'c2'; drop what is a copy of the label"
    ]
    x[:, 0] = y + 3 * RANDOM.integers(0, 2, 800)  # two values a class
    assert of_arrays(x, y=y) == [
        "features that alone determine the class: '0' and '2'; drop what is a copy of the label"
    ]


def test_a_feature_that_only_separates_the_classes_is_no_copy() -> None:
    """So does a measurement where classes are far apart, and so may few rows by chance."""
    y, x = np.arange(800) % 2, measured()
    x[:, 1] = 10 * y + RANDOM.normal(size=800).round(1)
    assert of_table(x, y) == []
    few = RANDOM.normal(size=(12, 2)).astype(np.float32)
    few[:, 0] = y[:12]
    assert of_arrays(few, y=y[:12], rows=(8, 2)) == []


def test_rows_sorted_by_class_are_looked_at_too() -> None:
    """A thousand rows of one class say nothing of the others."""
    y = np.repeat([0, 1], 5000)
    x = RANDOM.normal(size=(10_000, 2)).astype(np.float32)
    x[:, 1] = y
    untested, found = of_arrays(x, y=y, rows=(9000, 500))
    assert untested.startswith("classes without a test row, of which nothing is measured: '0'; ")
    assert found.startswith("features that alone determine the class: '1'; ")


def test_constant_columns() -> None:
    """A few are named, the others counted, and of images nothing is said."""
    x = measured(6)
    x[:600, 1] = 3
    assert of_table(x) == ["columns that are constant over the training rows: 'c1'; drop them"]
    x[:, 1:] = 3
    assert of_table(x) == [
        "columns that are constant over the training rows: 'c1', 'c2', 'c3' and 2 more; drop them"
    ]
    assert of_arrays(x) == [
        "features that are constant over the training rows: '1', '2', '3' and 2 more; drop them"
    ]
    assert of_arrays(x, feature_shape=(2, 3)) == []


@pytest.mark.parametrize(
    ("largest", "small"), [(1, 1), (16, 16), (25, 25), (26, None), (255, None)]
)
def test_uint8_that_hardly_leaves_0(largest: int, small: int | None) -> None:
    """The largest value is named where it is a tenth of the scale or less."""
    x = RANDOM.integers(0, largest + 1, (800, 30)).astype(np.uint8)
    assert small_uint8(split(x)) == small
    assert small_uint8(split(x.astype(np.float32))) is None
    assert len(of_arrays(x)) == (small is not None)


def test_uint8_without_any_light() -> None:
    """Where all is 0, no scale mends it."""
    assert small_uint8(split(np.zeros((800, 4), np.uint8))) is None


def test_classes_without_a_test_row() -> None:
    """They are named: arrays that were split elsewhere may lack some."""
    x, y = measured(), np.arange(800) % 3
    y[700:] = 1
    assert of_arrays(x, y=y, class_names=("cat", "cow", "dog")) == [
        "classes without a test row, of which nothing is measured: 'cat' and 'dog'; shuffle the "
        "rows before splitting"
    ]
    y[750:] = 2
    (found,) = of_arrays(x, y=y)
    assert found.startswith("classes without a test row, of which nothing is measured: '0'; ")


@pytest.mark.parametrize("label", ["NULL", "n/a", "#N/A", "NA", "None", "?"])
def test_labels_that_may_mean_a_missing_value(tmp_path: Path, label: str) -> None:
    """They are classes, as a country may be called NA, but with a warning."""
    found = inspected(tmp_path / "own.csv", kind=["cat", label] * 250)
    assert found.summary.class_names == tuple(sorted(["cat", label]))
    assert found.warnings == (
        f"labels that may mean a missing value: '{label}'; drop such rows, unless it is a class",
    )


@pytest.mark.parametrize("unseen", ["\u200b", "\0"])
def test_labels_with_invisible_characters(tmp_path: Path, unseen: str) -> None:
    """They look like another class, and the message shows what people cannot see."""
    found = inspected(tmp_path / "own.csv", kind=["cat", f"ca{unseen}t"] * 250)
    shown = f"'ca{visible(unseen)}t'"
    first, second = found.warnings
    assert first == f"labels with invisible characters: {shown}; remove them from the file"
    assert second.startswith("labels that ")
    assert "'cat'" in second
    assert shown in second
    assert "differ only in case, blanks or the form of their characters" in second


@pytest.mark.parametrize(
    ("one", "other"), [("caf\u00e9", "cafe\u0301"), ("Cat", "cat"), ("sea cat", "seacat")]
)
def test_labels_that_look_alike(tmp_path: Path, one: str, other: str) -> None:
    """Two spellings are two classes, which nobody would see on a page."""
    found = inspected(tmp_path / "own.csv", kind=[one, other] * 250)
    assert found.summary.classes == 2
    (warning,) = found.warnings
    assert warning.endswith("; write them alike if they are one class")


def of_features(x_train: Any, scale: float = 1.0) -> Dataset:
    x = np.array(x_train)
    y = np.zeros(len(x), np.int32)
    return Dataset(x, y, x, y, x, y, 1, x.shape[1:], scale, "")


@pytest.mark.parametrize(
    ("x_train", "scale", "expected"),
    [
        ([[0.0, 5.0], [1.0, 1005.0]], 1.0, (1.0, 1000.0, 1005.0)),
        ([[7.0, -5.0], [7.0, -6.0]], 1.0, (1.0, 1.0, 7.0)),
        ([[-7.0], [-7.0]], 1.0, (0.0, 0.0, 7.0)),
        ([[-3e38, 0.0], [3e38, 1.0]], 1.0, (1.0, 6e38, 3e38)),
    ],
)
def test_feature_scales(x_train: Any, scale: float, expected: tuple[float, float, float]) -> None:
    """The smallest and largest range, constant features left out, and the farthest value."""
    made = of_features(np.array(x_train, np.float32), scale)
    assert made.feature_scales == pytest.approx(expected)


def test_a_few_dark_pixels_do_not_count() -> None:
    """Of many features the low end leaves out one in twenty, as `uint8` images have such."""
    x = np.zeros((2, 100), np.uint8)
    x[1] = 255
    x[1, :4] = 1
    assert of_features(x, 1 / 255).feature_scales == (1.0, 1.0, 1.0)
    x[1, :8] = 1
    assert of_features(x, 1 / 255).feature_scales == (1 / 255, 1.0, 1.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_equal_rows_have_equal_keys(dtype: type) -> None:
    """Rows have equal keys where they are equal, also in another array."""
    rows = np.array([[0, 1], [1, 0], [0, 1], [0, 1]], dtype)
    others = np.array([[1, 0], [1, 1]], dtype)
    keys = row_keys(rows)
    assert len(np.unique(keys)) == 2
    assert np.isin(keys, row_keys(others)).tolist() == [False, True, False, False]


def test_zero_has_one_key() -> None:
    """0 and -0 are equal, so rows of them are."""
    first, second = row_keys(np.array([[0.0], [-0.0]], np.float32))
    assert first == second


def test_rows_that_are_looked_at_in_blocks() -> None:
    """Wide rows, of which few are looked at once, have their keys in order."""
    rows = np.random.default_rng(0).integers(0, 256, (30, 100_000)).astype(np.uint8)
    keys = row_keys(np.concatenate([rows, rows[::-1]]))
    assert keys[:30].tolist() == keys[:29:-1].tolist()
    assert len(np.unique(keys)) == 30


def test_measurements_are_equal_by_no_chance() -> None:
    """Numbers that hardly ever agree are expected never to agree in a whole row."""
    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    assert equal_by_chance(x, np.arange(300) % 3) == 0


def test_few_values_are_equal_by_chance() -> None:
    """Of 20 rows of a class that hold one of 1,000 numbers, each has an equal one in 50."""
    x = np.random.default_rng(0).integers(0, 10, (20_000, 3)).astype(np.float32)
    assert equal_by_chance(x, np.arange(20_000) % 1000) == pytest.approx(0.02, rel=0.1)
    assert equal_by_chance(x, np.arange(20_000) % 2) == 1


def test_a_class_of_one_row_has_none_alike() -> None:
    """Nothing can agree with it."""
    assert equal_by_chance(np.zeros((2, 1), np.uint8), np.array([0, 1])) == 0
