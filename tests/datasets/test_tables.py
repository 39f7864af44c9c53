"""Tables of one's own: read, split once for all, and refused where they cannot be trained on."""

import gzip
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench import memory
from bnbench.datasets import csv, dataset, tables
from bnbench.datasets.sources import fingerprint
from bnbench.errors import BnbenchError, EnvironmentFault, InputError
from bnbench.experiments.config import DataConfig

WORDS = ("cat", "cow", "dog")


def table(labels: Sequence[object], *more: str) -> str:
    """A table whose columns tell each row: its number, its half, and the label between them."""
    rows = [f"{row},{label},{row / 2}" for row, label in enumerate(labels)]
    return "\n".join(["number,kind,half", *rows, *more]) + "\n"


def taking_turns(rows: int = 60, words: Sequence[object] = WORDS) -> list[object]:
    return [words[row % len(words)] for row in range(rows)]


def write(path: Path, text: str | bytes) -> Path:
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content)
    return path


def settings(path: Path, **changes: Any) -> DataConfig:
    return DataConfig(**{"dataset": str(path), "label": "kind"} | changes)


def load(path: Path, **changes: Any) -> dataset.Dataset:
    return dataset.load(settings(path, **changes))


def numbers(x: Any) -> list[int]:
    """Return which rows of the file these are."""
    return [int(number) for number in x[:, 0]]


@pytest.mark.parametrize("name", ["own.csv", "own.csv.gz"])
def test_every_row_goes_to_one_part_with_its_label(tmp_path: Path, name: str) -> None:
    """Features are the other columns in their order, as float32; no row is lost or doubled."""
    labels = taking_turns()
    own = load(write(tmp_path / name, table(labels)))
    seen = []
    for x, y in ((own.x_train, own.y_train), (own.x_val, own.y_val), (own.x_test, own.y_test)):
        assert x.dtype == np.float32
        assert y.dtype == np.int32
        assert (x[:, 1] == x[:, 0] / 2).all()
        assert [WORDS[label] for label in y] == [labels[row] for row in numbers(x)]
        seen += numbers(x)
    assert sorted(seen) == list(range(60))
    assert (own.classes, own.class_names, own.feature_shape, own.scale) == (3, WORDS, (2,), 1.0)


def test_packed_or_not_it_is_the_same_data(tmp_path: Path) -> None:
    """The fingerprint covers the arrays after the split, whatever the file was packed in."""
    plain, packed = (
        load(write(tmp_path / name, table(taking_turns()))) for name in ("own.csv", "own.csv.gz")
    )
    assert plain.sha256 == packed.sha256
    x_train, y_train = (
        np.concatenate(parts)
        for parts in ((plain.x_train, plain.x_val), (plain.y_train, plain.y_val))
    )
    assert plain.sha256 == fingerprint((x_train, y_train, plain.x_test, plain.y_test))


def test_the_split_is_drawn_once(tmp_path: Path) -> None:
    """The same rows test on every load, and however many of the others validate."""
    path = write(tmp_path / "own.csv", table(taking_turns()))
    first, again, wider = load(path), load(path), load(path, validation_size=12)
    assert numbers(first.x_train) == numbers(again.x_train) != sorted(numbers(first.x_train))
    assert numbers(first.x_test) == numbers(wider.x_test)
    assert first.sha256 == wider.sha256
    assert numbers(first.x_test) == [1, 5, 6, 12, 17, 18, 22, 31, 34, 38, 53, 57]  # for ever
    assert load(path, test_size=0.25).sha256 != first.sha256


@pytest.mark.parametrize("test_size", [0.01, 0.2, 0.5, 0.99])
def test_the_same_share_of_every_class_tests(tmp_path: Path, test_size: float) -> None:
    """Of each class at least one row, and two are left, one of them to validate."""
    labels = ["a"] * 100 + ["b"] * 20 + ["c"] * 3
    own = load(write(tmp_path / "own.csv", table(labels)), test_size=test_size, validation_size=3)
    for label, rows in enumerate((100, 20, 3)):
        tested = int((own.y_test == label).sum())
        assert tested == min(max(1, round(rows * test_size)), rows - 2)
        assert (own.y_val == label).sum() >= 1
        assert (own.y_train == label).sum() >= 1


@pytest.mark.parametrize("size", [3, 10, 40, 96])
def test_any_validation_part_has_its_share_of_every_class(tmp_path: Path, size: int) -> None:
    """However the file is sorted, each class has within a row or two what is its due."""
    labels = ["a"] * 60 + ["b"] * 40 + ["c"] * 24
    own = load(write(tmp_path / "own.csv", table(labels)), validation_size=size)
    rows = np.bincount(np.concatenate([own.y_train, own.y_val]))
    share = np.bincount(own.y_val, minlength=3) - size * rows / rows.sum()
    assert np.abs(share).max() <= 2
    assert np.bincount(own.y_train, minlength=3).min() >= 1


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("10", "9", "-1"), ("-1", "9", "10")),
        (("1.0", "1", "2e0"), ("1", "2")),
        ((f"{10**28 + 1}", f"{10**28}", "1e28"), (f"{10**28}", f"{10**28 + 1}")),
        (("9" * 40, "8" * 40 + ".0"), ("8" * 40, "9" * 40)),
        (("True", "False"), ("False", "True")),
        (("b", "10", "9"), ("10", "9", "b")),
        (("NA", "None", " DE "), ("DE", "NA", "None")),
        (('"a, b"', "Käse"), ("Käse", "a, b")),
    ],
)
def test_classes_in_order(tmp_path: Path, labels: Sequence[str], names: Sequence[str]) -> None:
    """Numbers are sorted as numbers and are one class if equal; words such as NA are words."""
    own = load(write(tmp_path / "own.csv", table(taking_turns(words=labels))), validation_size=6)
    assert own.class_names == names
    assert np.bincount(own.y_test, minlength=len(names)).min() >= 1


def test_what_is_described_is_what_is_loaded(tmp_path: Path) -> None:
    """`show` knows shape, classes and rows without the features being read."""
    path = write(tmp_path / "own.csv", table(taking_turns(61), "61,cat,no number"))
    assert dataset.describe(settings(path)) == ((2,), 3, 50)
    own = load(write(path, table(taking_turns(62))))
    described = dataset.describe(settings(path))
    assert described == (own.feature_shape, own.classes, len(own.y_train) + len(own.y_val))


def test_blocks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is read in many pieces gives the arrays of one that is read in one."""
    path = write(tmp_path / "own.csv", table(taking_turns()))
    whole = load(path)
    monkeypatch.setattr(csv, "_ROWS", 7)
    assert load(path).sha256 == whole.sha256
    bad = write(tmp_path / "bad.csv", table(taking_turns(), "60,cat,"))
    with pytest.raises(InputError, match="column half, row 61: the value is missing"):
        load(bad)


def test_headers_as_other_programs_write_them(tmp_path: Path) -> None:
    """A byte order mark, quotes, spaces, Windows line ends, blank lines and columns 0 to n."""
    text = '\ufeff\r\n"number", kind ,half\r\n' + "".join(
        f"{row}, {label} ,{row / 2}\r\n" for row, label in enumerate(taking_turns())
    )
    own = load(write(tmp_path / "own.csv", text.encode()))
    assert own.sha256 == load(write(tmp_path / "plain.csv", table(taking_turns()))).sha256
    counted = table(taking_turns()).replace("number,kind,half", "0,1,2")
    assert load(write(tmp_path / "own.csv", counted), label="1").sha256 == own.sha256


GOOD = table(taking_turns())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header and rows, but the file is empty"),
        ("\n\n", "expected a header and rows, but the file is empty"),
        ("number,kind,half\n", "expected rows below the header, found none"),
        ("1,cat,3.5\n".replace("cat", "2") * 9, "but the first line is numbers; add one"),
        (GOOD.replace(",", ";"), "commas between them, found only 'number;kind;half'"),
        (GOOD.replace(",", "\t"), "commas between them, found only 'number"),
        ("kind\ncat\ndog\n", "expected columns with commas between them, found only 'kind'"),
        (GOOD.replace("number", "", 1), "column 1 has no name; name it, or drop it where it only"),
        (GOOD.replace("number", "half", 1), "two columns are called half; rename one"),
        (
            GOOD.replace("kind", "knid", 1),
            "has no column kind (did you mean knid?); it has number,",
        ),
        (GOOD + "1,cat,2,3\n", "Expected 3 fields in line 62, saw 4"),
        (
            GOOD.replace(".0\n", ".0,1\n", 1),
            "as many fields in each row as in the header: Length of header",
        ),
        (
            GOOD + '1,"cat,2\n',
            "as in the header: Error tokenizing data. C error: EOF inside string",
        ),
        (
            GOOD.replace("cat", "Kätzchen").encode("latin-1"),
            "expected UTF-8 text, got the byte 0xe4",
        ),
        (GOOD.encode("utf-16"), "expected UTF-8 text, got the byte 0xff; save it as UTF-8"),
        ("x" * 200_000 + ",kind\n", "no header can be read: field larger than field limit"),
        (GOOD + "60,cat,\n", "column half, row 61: the value is missing; fill it in, or drop row"),
        (GOOD + "60,cat\n", "column half, row 61: the value is missing"),
        (GOOD + ",cat,\n" * 3, "column number, row 61: the value is missing; fill"),
        (GOOD + "60,,1\n", "column kind, row 61: no class; fill it in or drop the row"),
        (GOOD + "60,nan,1\n", "column kind, row 61: no class"),
        (
            GOOD + "60,cat,?\n",
            "found others in half ('?' in row 61); encode them as numbers",
        ),
        (
            GOOD + "x,cat,2026-11-23\n",
            "in number ('x' in row 61), half ('2026-11-23' in row 6",
        ),
        (
            re.sub(r",[\d.]+\n", ",True\n", GOOD),
            "found others in half (true and false); encode them",
        ),
        (GOOD + f"{10**30},cat,1\n", "found others in number (numbers too large to be read)"),
        (GOOD + "60,cat,inf\n", "column half, row 61: holds an infinite number"),
        (GOOD + "60,cat,1e300\n", "column half, row 61: holds a number too large for float32"),
        (
            GOOD + "16777217,cat,1\n",
            "column number: holds whole numbers that float32 cannot distinguish",
        ),
        (table(["a"] * 20), "column kind: expected two or more classes, found only a"),
        (table(taking_turns(), "60,pig,1"), "3 rows or more of each class, to train, to validate"),
        (
            table([n / 8 for n in range(60)]),
            "numbers that are not whole, such as 0.125; if it is a",
        ),
        (
            table([f"{10**30 + n}.5" for n in range(60)]),
            "not whole, such as 1000000000000000000000",
        ),
        (table(range(60)), "found 60 different values; if it is a quantity (regression), make a"),
        (table([f"w{n}" for n in range(60)]), "found 60 different values"),
        (table([n // 4 for n in range(4004)]), "found more than 1,000 different values"),
    ],
)
def test_tables_that_cannot_be_trained_on(tmp_path: Path, text: str | bytes, message: str) -> None:
    """One line each, with the file, the column and the row where there are any, and what to do."""
    path = write(tmp_path / "own.csv", text)
    with pytest.raises(InputError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "flipped", "not packed"])
def test_a_damaged_gzip_file(tmp_path: Path, damage: str) -> None:
    """It is refused as such, wherever the damage lies."""
    packed = bytearray(gzip.compress(table(taking_turns(9000)).encode()))
    packed[-9] ^= 1 if damage == "flipped" else 0
    path = tmp_path / "own.csv.gz"
    path.write_bytes({"cut": packed[:-2000], "flipped": packed, "not packed": b"a,kind\n"}[damage])
    with pytest.raises(InputError, match="damaged, or no gzip file: "):
        load(path)


@pytest.mark.parametrize("head", ["", "number,kind,half\n", GOOD], ids=["none", "names", "rows"])
@pytest.mark.parametrize(
    "endless", ["x", ",", "\n", '"x\n', '60,"x\n'], ids=["line", "row", "blank", "first", "field"]
)
@pytest.mark.parametrize("name", ["own.csv", "own.csv.gz"])
def test_reading_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, head: str, endless: str
) -> None:
    """Neither a line, a quoted text nor blank lines without end fill the memory or take minutes."""
    monkeypatch.setattr(csv, "_HEADER_BYTES", 1_000_000)
    monkeypatch.setattr(csv, "_BLOCK_BYTES", 1_000_000)
    monkeypatch.setattr(csv, "_ROWS", 100)
    path = write(tmp_path / name, head + endless + endless[-2:] * 2_000_000)
    for read in (load, lambda path: dataset.describe(settings(path))):
        with pytest.raises(InputError, match=r"more than 1,000,000 bytes of blank lines, or|limit"):
            read(path)


def test_a_long_table_is_not_taken_for_one_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound holds for a block of rows, not for the file."""
    path = write(tmp_path / "own.csv", table(taking_turns(30_000)))
    whole = load(path)
    monkeypatch.setattr(csv, "_BLOCK_BYTES", 100_000)
    monkeypatch.setattr(csv, "_NUMBER_BYTES", 1)
    monkeypatch.setattr(csv, "_READ_AT_ONCE", 10_000)
    monkeypatch.setattr(csv, "_ROWS", 1000)
    monkeypatch.setattr(csv, "_BLOCK_BYTES", 400_000)
    assert path.stat().st_size > 400_000
    assert load(path).sha256 == whole.sha256


def test_a_table_of_very_many_columns_is_refused_at_once(tmp_path: Path) -> None:
    """Reading it would take minutes; the message says how many columns are read, and the cure."""
    header = ",".join([*(f"c{n}" for n in range(100_000)), "kind"])
    with pytest.raises(InputError, match="at most 25,000 columns, found 100,001; keep those"):
        load(write(tmp_path / "own.csv", header + "\n"))


@pytest.mark.parametrize("name", ["own.csv", "own.csv.gz"])
def test_a_table_that_is_rewritten_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Labels of the old file are not paired with features of the new one, of as many rows."""
    path = write(tmp_path / name, table(taking_turns()))
    features = tables._features

    def rewritten(*arguments: Any) -> Any:
        write(path, table(taking_turns()[::-1]))
        return features(*arguments)

    monkeypatch.setattr(tables, "_features", rewritten)
    with pytest.raises(InputError, match=rf"{name}: changed while it was read"):
        load(path)


def test_a_table_too_large_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused with what it would take, before the features are read."""
    path = write(tmp_path / "own.csv", table(taking_turns()))
    monkeypatch.setattr(memory, "available", lambda: 400)
    with pytest.raises(EnvironmentFault, match="needs 480 bytes of memory; 400 are left here"):
        load(path)


def test_fractions_that_are_whole_are_rounded_with_a_word(tmp_path: Path) -> None:
    """One line for a column of float64, as for an .npz, however many rows it concerns."""
    path = write(tmp_path / "own.csv", table(taking_turns(), *["60,cat,16777217"] * 9))
    said: list[str] = []
    dataset.load(settings(path), report=said.append)
    assert said == [
        f"{path}: column half: holds whole numbers that float32 cannot distinguish from their "
        "neighbours, such as 16,777,217: they were rounded"
    ]


def test_candidates_for_the_label(tmp_path: Path) -> None:
    """Words come before whole numbers; fractions and columns of too many values are none."""
    rows = (f"{n},{n / 3},{n % 4},{n % 2 == 0},{'ab'[n % 2]}{n % 3}" for n in range(60))
    path = write(tmp_path / "own.csv", "\n".join(["id,size,grade,sold,word", *rows]))
    assert dataset.candidates(str(path)) == [
        ("word", "text", 6),
        ("sold", "true or false", 2),
        ("grade", "whole numbers", 4),
    ]


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("a,b,c,d", "dabc"),  # the last, the first, then by their values
        ("a,b,Class,d", ["Class", "d", "a", "b"]),
        ("a,y,petal label,d", ["y", "petal label", "d", "a"]),
        ("pclass,yes,a,b", ["b", "pclass", "yes", "a"]),
    ],
)
def test_the_likely_label_comes_first(tmp_path: Path, header: str, order: list[str]) -> None:
    """What is called so, then the last column, then the first, then few values."""
    rows = (f"{n % 5},{n % 2},{n % 3},{n % 4}" for n in range(60))
    path = write(tmp_path / "own.csv", "\n".join([header, *rows]))
    assert [one.name for one in dataset.candidates(str(path))] == list(order)


def test_pandas_is_imported_for_tables_alone(tmp_path: Path) -> None:
    """Nothing else waits for it, and where it is missing the cure is named."""
    path = write(tmp_path / "own.csv", table(taking_turns()))
    code = (
        "import sys\nfrom bnbench.datasets import dataset\n"
        "from bnbench.experiments.config import DataConfig\n"
        "dataset.load(DataConfig(dataset='fashion_mnist_sample'))\n"
        "assert 'pandas' not in sys.modules\nsys.modules['pandas'] = None\n"
        "dataset.describe(DataConfig(dataset=sys.argv[1], label='kind'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        f"{BnbenchError.__module__}.EnvironmentFault: {path}: a .csv takes pandas; install it "
        "with: pip install 'bnbench[csv]'"
    )
