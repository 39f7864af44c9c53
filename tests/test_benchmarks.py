"""The benchmark runs and says what it should; how long anything takes is not tested here."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.benchmarks import report, targets
from tests.benchmarks.figures import Figure, Section, Spread, times
from tests.conftest import ROOT

needs_psutil = pytest.mark.skipif(not find_spec("psutil"), reason="needs the extra bench")


def benchmark(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.endurance
@needs_psutil
@pytest.mark.slow
def test_quick_measurement_of_bnbench_model_fit_and_the_floor(tmp_path: Path) -> None:
    """One round on the shipped sample gives a row and figures for every program and form."""
    ran = benchmark(
        "tests.benchmarks", "--quick", "--only", "floor", "--json", tmp_path / "figures.json"
    )

    assert ran.returncode == 0, ran.stderr
    content = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert list(content) == ["schema_version", "machine", "settings", "sections", "targets"]
    assert content["machine"]["versions"]["bnbench"]
    section = content["sections"]["epoch"]
    assert {(f["program"], f["form"], f["quantity"]) for f in section["figures"]} == {
        ("bnbench", "one run on one core", "epoch"),
        ("bnbench", "one process per core", "epoch"),
        ("bnbench", "one process per core", "all cores"),
        ("model.fit", "one process, all cores", "epoch"),
        ("model.fit", "one process, all cores", "all cores"),
        ("model.fit", "one process per core", "epoch"),
        ("model.fit", "one process per core", "all cores"),
        ("matrix products", "one run on one core", "epoch"),
        ("matrix products", "one process per core", "epoch"),
        ("matrix products", "one process per core", "all cores"),
    }
    for figure in section["figures"]:
        assert figure["subject"] == "pre_act"
        assert len(figure["values"]) == 1
        assert figure["values"][0] > 0
        assert set(figure["ratios"]) == {"model.fit", "matrix products"}
    assert "after the same 50 steps all programs have a loss of" in section["notes"][0]
    for text in ("One epoch, batch size 32", "× model.fit", "of the floor", "bnbench"):
        assert text in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PyTorch eager", "JAX scan"])
def test_other_libraries_compute_what_bnbench_computes(name: str, tmp_path: Path) -> None:
    """From the same weights, in the same order, the losses over and after 50 steps agree."""
    from tests.benchmarks import peers
    from tests.benchmarks.processes import hired
    from tests.benchmarks.sections.epoch import CHECKED_ROWS, TOLERANCE
    from tests.benchmarks.settings import QUICK

    if not peers.installed(name):
        pytest.skip("not installed")
    with hired() as hire:
        ours, theirs = hire(), hire()
        task = QUICK.task(tmp_path, QUICK.config("post_act"), CHECKED_ROWS)
        expected = ours.ask("check", peer="bnbench", task=task)
        found = theirs.ask("check", peer=name, task=task)
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down for a whole round changes no ratio."""
    assert times([1.0, 2.0, 4.0], [3.0, 6.0, 12.0]) == Spread(3.0, (3.0, 3.0))
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3.0, (2.0, 4.0))


def test_a_library_that_is_not_installed_has_a_row_that_says_so() -> None:
    """Its numbers are blank, and no target is judged from it."""
    absent = Figure(
        subject="pre_act",
        program="JAX scan",
        quantity="epoch",
        unit="s",
        values=(),
        note="not installed",
    )
    section = Section("epoch", "One epoch", [absent])
    cells = [cell for column in report.table(section).columns for cell in column.cells]
    assert cells == ["pre_act", "JAX scan", "", "–", "", "", "", "not installed"]
    assert targets.judge([section]) == []


def test_targets_say_on_which_side_of_the_wanted_number_they_lie() -> None:
    """At least for speed, at most for cost; equal is met."""
    assert targets.Target("speed", 6, 6.0).met
    assert not targets.Target("speed", 6, 5.9).met
    assert targets.Target("memory", 1.1, 1.1, at_least=False).met
    assert not targets.Target("memory", 1.1, 1.2, at_least=False).met
