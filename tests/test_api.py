"""The public Python API, as a notebook uses it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bnbench
from bnbench.errors import EnvironmentFault, InputError
from bnbench.experiments.config import Config
from tests.conftest import CONFIGS, ROOT, record, records

TEN = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882, 0.881, 0.880, 0.882]

Runs = Callable[..., Path]


@pytest.fixture
def folder(runs: Runs) -> Path:
    better = [TEN[0] + 0.0101, TEN[1] + 0.0099, *(value + 0.01 for value in TEN[2:])]
    return runs(*records(no_bn=TEN, pre_act=better))


def test_a_study_is_what_compare_prints(folder: Path) -> None:
    """As text it is the command's output to the letter, and its repr is one line."""
    study = bnbench.compare(folder)
    command = [sys.executable, "-m", "bnbench", "compare", "--runs-dir", folder]
    assert str(study) == subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout
    assert repr(study) == "Study of 20 runs; print it for its tables"


def test_the_question_is_that_of_the_command(folder: Path) -> None:
    """Names, baseline, metric, margin and all pairs; what is none of them is an `InputError`."""
    (comparison,) = bnbench.compare(folder, baseline="pre_act", margin=2.0).comparisons
    assert comparison.baseline.label == "pre_act"
    assert comparison.contrasts[0].result.below_margin
    (alone,) = bnbench.compare(folder, names=["pre_act"], metric="val_accuracy").comparisons
    assert (alone.contrasts, alone.baseline.mean) == ((), pytest.approx(0.85))
    for wrong in ({"metric": "accurracy"}, {"margin": -1}, {"margin": float("nan")}):
        with pytest.raises(InputError):
            bnbench.compare(folder, **wrong)
    with pytest.raises(bnbench.BnbenchError, match="no records here"):
        bnbench.compare(folder / "nothing")


def test_a_frame_has_a_row_to_a_run(folder: Path) -> None:
    """Under the CSV's headings, with numbers as numbers and times as times."""
    frame = bnbench.compare(folder).to_frame()
    assert len(frame) == 20
    means = frame.groupby("placement")["test_accuracy"].mean()
    assert means["before_activation"] - means["none"] == pytest.approx(0.01)
    assert str(frame["started_at"].dtype) == "datetime64[us, UTC]"
    assert frame["seed"].dtype.kind == "i"


def test_plots_and_report(folder: Path, tmp_path: Path) -> None:
    """A figure of one comparison, and the page that the command writes."""
    study = bnbench.compare(folder)
    assert "pre_act against no_bn" in study.plot("differences").get_label()
    with pytest.raises(InputError, match="no plot named bars"):
        study.plot("bars")
    with pytest.raises(InputError, match="no comparison 1; there are 1"):
        study.plot("curves", comparison=1)
    page = study.report(tmp_path / "page.html")
    assert "Where should Batch Normalization go in" in page.read_text()
    with pytest.raises(EnvironmentFault):
        study.report(tmp_path / "no" / "page.html")


def test_html_for_a_notebook_loads_and_runs_nothing(runs: Runs) -> None:
    """The answer and the tables, escaped, with nothing of the folder acting in the page."""
    folder = runs(*records(no_bn=TEN[:2], pre_act=TEN[:2]))
    (folder / "<script>alert(1).json").write_text("{}")
    page = bnbench.compare(folder)._repr_html_() or ""
    assert "2 paired seeds; verdicts begin at 10 seeds: bnbench.run(…, until_settled=True)" in page
    assert page.count("<table") == 3
    assert "<script" not in page
    assert "&lt;script" in page
    assert not {"src=", "href=", "@import", "url("} & {w for w in page.split() if "=" in w}


def test_configs_are_files_or_objects_and_settings_a_mapping() -> None:
    """Both with the checks of the command; a tuple is a sweep, which is more than one config."""
    config = bnbench.load_config(CONFIGS / "pre_act.yaml", {"training.epochs": 3})
    assert isinstance(config, Config)
    again = bnbench.load_config(config, {"model.hidden_units": [64, 32]})
    assert (again.training.epochs, again.model.hidden_units) == (3, (64, 32))
    with pytest.raises(InputError, match="got a sweep of 2"):
        bnbench.load_config(config, {"training.learning_rate": (0.01, 0.1)})
    with pytest.raises(InputError, match="unknown key"):
        bnbench.load_config(config, {"training.epoch": 3})


def test_records_can_be_loaded(folder: Path) -> None:
    """All of them, as objects."""
    assert {made.experiment for made in bnbench.load_records(folder)} == {"no_bn", "pre_act"}


def test_nothing_heavy_is_imported_before_it_is_used(runs: Runs) -> None:
    """`import bnbench` and `compare` need no TensorFlow, pandas, Matplotlib or progress bars."""
    program = (
        "import sys, bnbench; dir(bnbench); bnbench.compare(sys.argv[1])\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'matplotlib', 'ray', 'rich.progress'}\n"
        "print(heavy & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, runs(record())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "set()\n"


def test_a_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas a frame is an error that says what to install; tables need none."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    study = bnbench.compare(folder)
    with pytest.raises(EnvironmentFault, match=r"pip install 'bnbench\[notebook\]'"):
        study.to_frame()


def test_unknown_attributes_are_attribute_errors() -> None:
    """What the package does not offer is said in Python's own way."""
    with pytest.raises(AttributeError, match="no attribute 'compair'"):
        bnbench.compair  # noqa: B018
    assert {"run", "compare", "load_config", "load_records", "Study"} <= set(dir(bnbench))
