"""Own data from the file to the verdict, as a user goes there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import load_config
from tests.conftest import bnbench, on_terminal
from tests.evidence.test_identity import made
from tests.forge import Forge


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """A table of two kinds of flowers, 90 each, whose columns lie a thousandfold apart."""
    random, path = np.random.default_rng(0), tmp_path / "my flowers.csv"
    kinds = [("iris", "rose")[row % 2] for row in range(180)]
    rows = (
        f"{random.normal() + 3 * (kind == 'rose'):.3f},{1000 * random.normal():.1f},{kind}"
        for kind in kinds
    )
    path.write_text("\n".join(["petal,field,kind", *rows]) + "\n")
    return path


def test_without_a_label_the_columns_are_named(flowers: Path) -> None:
    """What might be the label is listed, with what to type; which it is only the user knows."""
    done = bnbench("data", flowers.name, cwd=flowers.parent)
    assert re.search(r"kind +text +2 *\n", done.stdout)
    assert "petal" not in done.stdout
    assert (done.returncode, done.stderr) == (
        0,
        "If the label is kind: bnbench data 'my flowers.csv' --label kind\n",
    )


def test_of_many_columns_the_likely_are_named(tmp_path: Path) -> None:
    """Eight, that which is called like a label first; the others are counted."""
    path = tmp_path / "own.csv"
    header = ",".join(["a", "target", *(f"c{n}" for n in range(20))])
    path.write_text("\n".join([header, *(",".join([str(n % 3)] * 22) for n in range(30))]) + "\n")
    done = bnbench("data", path.name, cwd=tmp_path)
    assert re.findall(r"^ (\w+) +whole numbers", done.stdout, re.MULTILINE) == [
        *("target", "c19", "a", "c0", "c1", "c2", "c3", "c4"),
    ]
    assert done.stdout.endswith("\n14 other columns might be the label too.\n\n")
    assert done.stderr == "If the label is target: bnbench data own.csv --label target\n"


def test_without_a_label_no_config_is_written(flowers: Path) -> None:
    """With --output, as a script has it, that is an error."""
    done = bnbench("data", flowers.name, "--output", "own.yaml", cwd=flowers.parent)
    assert "kind" in done.stdout
    assert (done.returncode, done.stderr) == (
        2,
        "bnbench: --label: expected the column of my flowers.csv that holds the class\n",
    )
    assert not (flowers.parent / "own.yaml").exists()


def test_a_terminal_gets_lines_that_fit(flowers: Path) -> None:
    """Remarks go on below their first word; a command to be copied is left in one piece."""
    shown = on_terminal("data", flowers.name, "--label", "kind", columns=60, cwd=flowers.parent)
    assert "\n! one of the 36 test rows is worth 2.8 points, more than the\n  margin" in shown
    assert shown.endswith(
        "\nSave it, then: bnbench run my_flowers.yaml --set "
        "model.batch_norm.placement=none,after_activation,before_activation\n"
    )


def test_a_file_is_described_and_gets_a_config(flowers: Path) -> None:
    """Rows, classes, what to beware of, and last YAML that says how it is run."""
    done = bnbench("data", flowers.name, "--label", "kind", cwd=flowers.parent)
    assert done.returncode == 0
    assert re.search(
        r"training rows +130 *\n validation rows +14 *\n test rows +36 *\n", done.stdout
    )
    assert re.search(r"iris +90 +50.00 +65 +7 +18 *\n", done.stdout)
    assert "! the features' ranges differ " in done.stdout
    assert "repairs just that: the config has data.standardize: true." in done.stdout
    assert "--set data.standardize" not in done.stdout
    assert "! one of the 36 test rows is worth 2.8 points" in done.stdout
    assert done.stdout.endswith(
        "\n\n# bnbench run my_flowers.yaml --set "
        "model.batch_norm.placement=none,after_activation,before_activation\n"
        "# standardize: the features' ranges lie far apart\n"
        "# epochs: in 10 of them there would be 50 steps, too few for Batch Normalization's moving "
        "statistics\n"
        "name: my_flowers\n"
        "data:\n"
        "  dataset: my flowers.csv\n"
        "  standardize: true\n"
        "  label: kind\n"
        "training:\n"
        "  epochs: 200\n"
    )


def test_an_npz_is_described_too(data_path: Path) -> None:
    """Its classes have numbers, and nothing needs a label."""
    done = bnbench("data", data_path)
    assert done.returncode == 0
    assert re.search(r"features +20 *\n classes +3 *\n", done.stdout)
    assert f'  dataset: "{data_path}"\n' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.npz"], "data.dataset: none.npz: no such file; expected fashion_mnist"),
        (["own.txt"], "path that ends in .npz, .csv or .csv.gz, got 'own.txt' (text)"),
        (["numbers.csv"], "numbers.csv: no column might hold the class, as none has text or whole"),
        (["own.npz", "--label", "kind"], "data.label: expected no value, as the data set is no"),
        (["my flowers.csv", "--label", "knid"], "has no column knid (did you mean kind?); it has"),
        (["--label", "kind"], "--label, --output: expected FILE, too"),
    ],
)
def test_files_that_cannot_be_described(flowers: Path, arguments: list[str], message: str) -> None:
    """One line that says which, and exit 2."""
    (flowers.parent / "numbers.csv").write_text("a,b\n0.5,0.25\n1.5,1.25\n")
    done = bnbench("data", *arguments, cwd=flowers.parent)
    assert (done.returncode, message in done.stderr, done.stderr.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(
    "held",
    [None, "my notes\n", "{config}# seeds: 9\n", "{first line}name: mine\n"],
    ids=["the data", "another file", "more", "edited"],
)
def test_a_config_never_replaces_another_file(flowers: Path, held: str | None) -> None:
    """The file is named and keeps what it holds, be it the data or a config that was edited."""
    describe = ("data", flowers.name, "--label", "kind", "--output")
    output = flowers
    if held is not None:
        output = flowers.parent / "own.yaml"
        assert bnbench(*describe, output.name, cwd=flowers.parent).returncode == 0
        config = output.read_text()
        first = config.splitlines(keepends=True)[0]
        output.write_text(held.replace("{config}", config).replace("{first line}", first))
    before = output.read_bytes()
    done = bnbench(*describe, output.name, cwd=flowers.parent)
    assert (done.returncode, done.stderr) == (
        2,
        f"bnbench: {output.name}: is there already, and this command did not make it; move it "
        "away, or choose another name\n",
    )
    assert output.read_bytes() == before


def test_a_file_that_cannot_be_a_config_is_refused_before_the_data_are_read(flowers: Path) -> None:
    """Nothing is said of the data, which may take long to read."""
    done = bnbench("data", flowers.name, "--label", "kind", "--output", flowers, cwd=flowers.parent)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_config_that_is_there_already_is_no_fault(flowers: Path) -> None:
    """The same command may be given twice."""
    command = ("data", flowers.name, "--label", "kind", "--output", "own.yaml")
    first, again = (bnbench(*command, cwd=flowers.parent) for _ in range(2))
    assert (first.returncode, first.stdout) == (again.returncode, again.stdout) == (0, first.stdout)


def test_from_a_table_to_an_answer(forge: Forge, flowers: Path) -> None:
    """The config that is written runs by the command written in it, and the runs compare."""
    folder = flowers.parent
    written = forge.run("data", flowers, "--label", "kind", "--output", "own.yaml", cwd=folder)
    assert written.returncode == 0, written.stderr
    assert "own.yaml: bnbench run own.yaml --set model.batch_norm.placement=" in written.stderr
    first = (folder / "own.yaml").read_text().splitlines()[0]
    command = shlex.split(first.removeprefix("# bnbench "))
    quick = ("--set", "training.epochs=2", "--set", "model.hidden_units=[4]", "--seeds", 2)
    done = forge.run(*command, *quick, "--runs-dir", "runs", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "6 runs of 3 experiments, 0 recorded, 6 to make." in done.stderr
    again = forge.run(*command, *quick, "--runs-dir", "runs", cwd=folder)
    assert "6 recorded, 0 to make" in again.stderr
    compared = forge.run("compare", "--runs-dir", "runs", "--format", "json", cwd=folder)
    assert compared.returncode == 0
    assert '"standardize": true' in compared.stdout
    assert '"label": "kind"' in compared.stdout
    (record, *_) = sorted((folder / "runs").rglob("seed-0000.json"))
    assert '"class_names": [\n   "iris",\n   "rose"\n  ]' in record.read_text()


def test_a_smoke_run_of_a_table_is_one_of_the_sample(flowers: Path, forge: Forge) -> None:
    """It tests the program, so the config's label and split do not matter."""
    path = flowers.parent / "own.yaml"
    path.write_text("name: own\ndata: {dataset: my flowers.csv, label: kind, test_size: 0.3}\n")
    done = forge.run("run", path, "--smoke", "--runs-dir", "runs", cwd=flowers.parent)
    assert done.returncode == 0, done.stderr


def test_records_of_the_old_default_are_read(runs, tmp_path: Path) -> None:
    """A record whose config states 5,000 rows and knows no other setting of data keeps its id."""
    config = tmp_path / "own.yaml"
    config.write_text("name: own\ndata: {dataset: own.npz, validation_size: 5000}\n")
    folder = runs(*made(load_config(config), [0.8, 0.9]))
    for path in folder.rglob("*.json"):
        text, times = re.subn(
            r',\s*"standardize": false,\s*"label": null,\s*"test_size": 0.2', "", path.read_text()
        )
        assert times == 1
        path.write_text(text)
    records, _ = RecordStore(folder).read_all()
    assert [record.config.experiment_id for record in records] == ["1787f990"] * 2
    done = bnbench("compare", "--runs-dir", folder, "--strict")
    assert (done.returncode, done.stderr) == (0, "")
