"""Each recipe of the guide for contributors: planted in a copy of the package, it reaches the page.

A test writes the change into the files that the recipe names, and into no other. Then a process
that imports the copy runs one of the functions `follow_...`, which use the program as a user does.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.campaign import Campaign
from bnbench.evidence.records import RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config, load_config, parse_config
from bnbench.experiments.sweep import load_experiments
from bnbench.show.progress import ProgressReporter
from tests.conftest import CONFIGS, ROOT, bnbench, compare, dataset_of, record, tiny_settings
from tests.forge import FAST

FORMATS = ("table", "json", "csv", "markdown", "latex")
SEEDS = range(10)


class Plant:
    """A copy of the package that is changed, and the files of it that were touched."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.touched = folder, set[str]()
        shutil.copytree(
            ROOT / "bnbench", folder / "bnbench", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copytree(ROOT / "configs", folder / "configs")

    def add(self, path: str, text: str) -> None:
        """Write a new module."""
        self.touched.add(path)
        (self._folder / "bnbench" / path).write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        """Write ``new`` for ``old``, which must be in the file exactly once."""
        text = (self._folder / "bnbench" / path).read_text()
        assert text.count(old) == 1, f"{path}: {old}"
        self.add(path, text.replace(old, new))

    def follow(self, function: Callable[..., None], *arguments: object) -> None:
        """Run a function of this module in a process that imports the copy."""
        program = (
            "import sys, bnbench\n"
            f"assert bnbench.__file__.startswith({str(self._folder)!r})\n"
            f"from tests.test_recipes import {function.__name__} as follow\n"
            "follow(*sys.argv[1:])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": f"{self._folder}{os.pathsep}{ROOT}"},
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def printed(*arguments: object, code: int = 0) -> str:
    """Return what a command prints, having checked its exit code."""
    done = bnbench(*arguments)
    assert done.returncode == code, done.stderr
    return done.stdout + (done.stderr if code else "")


def kept(*made: RunRecord) -> Path:
    """Return a new folder below this one with these records."""
    store = RecordStore(Path(f"runs{len(list(Path().iterdir()))}"))
    store.prepare()
    for each in made:
        store.keep(each)
    return store.folder


def network(name: str, *settings: str) -> Config:
    return parse_config(f"name: {name}", f"{name}.yaml", settings)


def runs_of(*shares: tuple[Config, float]) -> list[RunRecord]:
    """Make by hand ten runs of each config, around this share of test rows that are right."""
    return [
        record(config, seed, share + 0.001 * (seed % 3))
        for config, share in shares
        for seed in SEEDS
    ]


# A placement

BOTH = """\
        case "both":
            own_layer = Activation(f"{name}_activation", shape, activation)
            after = _batch_norm(model, f"{name}_after", shape)
            return (dense("linear", auto=False), batch_norm, own_layer, after)
"""


def plant_both(plant: Plant) -> None:
    """BN before and after each activation."""
    old = 'Placement = Literal["none", "after_activation", "before_activation"'
    plant.replace("experiments/fields.py", f"{old}]", f'{old}, "both"]')
    placements = "        case other:\n            assert_never(other)\n"
    plant.replace("experiments/architecture.py", placements, BOTH + placements)


def test_a_placement(plant: Plant) -> None:
    """Its name and its layers are all that it takes, in two files."""
    plant_both(plant)
    assert plant.touched == {"experiments/fields.py", "experiments/architecture.py"}
    plant.follow(follow_both_to_its_lessons)
    plant.follow(follow_both_to_the_page)
    plant.follow(follow_both_in_a_sweep)


def follow_both_to_its_lessons() -> None:
    """`show`, `explain`, `script`, the schema, messages and the advice of `data` know it."""
    Path("double.yaml").write_text("name: double\nmodel: {batch_norm: {placement: both}}\n")
    shown = printed("show", "double.yaml")
    kernels, biases = 784 * 300 + 300 * 100 + 100 * 10, 10
    norms = 2 * (300 + 100)  # two for each hidden layer
    total = kernels + biases + 4 * norms
    totals = [int(n.replace(",", "")) for n in re.findall(r"parameters: +([\d,]+)", shown)]
    assert totals == [total, total - 2 * norms, 2 * norms] == [269_410, 267_810, 1_600]
    positions = [
        shown.index(f"hidden_1{part}") for part in ("_batch_norm", "_activation", "_after")
    ]
    assert positions == sorted(positions)
    explained = printed("explain", "double.yaml")
    assert "269,410" in explained
    assert "The bias stays" not in explained.partition("output")[0]
    script = printed("script", "double.yaml")
    compile(script, "double.py", "exec")
    assert script.count("layers.BatchNormalization(") == 4
    assert '"both"' in printed("schema")
    wrong = printed("show", "double.yaml", "--set", "model.batch_norm.placement=bth", code=2)
    assert "both" in wrong
    assert "placement=none,after_activation,before_activation,both" in described()


def described() -> str:
    """Return what `bnbench data` says of a small table."""
    rows = "".join(f"{row % 7},{row % 5},{'ab'[row % 2]}\n" for row in range(100))
    Path("table.csv").write_text(f"one,two,label\n{rows}")
    done = bnbench("data", "table.csv", "--label", "label")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def follow_both_to_the_page() -> None:
    """All formats, plots and the report name it; after and before stay the placement question."""
    placed = {"plain": "none", "post": "after_activation", "pre": "before_activation"}
    placed["double"] = "both"
    configs = {n: network(n, f"model.batch_norm.placement={p}") for n, p in placed.items()}
    shares = {"plain": 0.86, "post": 0.88, "pre": 0.87, "double": 0.89}
    made = runs_of(*((configs[name], share) for name, share in shares.items()))
    (comparison,) = compare(made, all_pairs=True)
    pairs = {
        f"{c.experiment.label} against {c.baseline.label}": c.family for c in comparison.contrasts
    }
    assert [pair for pair, family in pairs.items() if family == "placement"] == ["post against pre"]
    assert pairs["double against plain"] == "baseline"
    of_both = [pair for pair in pairs if "double" in pair]
    assert len(of_both) == 3
    folder = kept(*made)
    for kind in FORMATS:
        written = printed("compare", "--runs-dir", folder, "--format", kind, "--all-pairs")
        assert "double" in written
    contrasts = json.loads(printed("compare", "--runs-dir", folder, "--format", "json"))
    (protocol,) = contrasts["protocols"]
    assert [e["name"] for e in protocol["experiments"] if e["placement"] == "both"] == ["double"]
    kinds = ("curves", "differences", "looks", "tuning", "parameters")
    only = [word for kind in kinds for word in ("--only", kind)]
    printed("plot", "--runs-dir", folder, *only, "--output", "all.svg")
    printed("report", "--runs-dir", folder, "--output", "report.html")
    assert "double against plain" in Path("report.html").read_text()


def follow_both_in_a_sweep() -> None:
    """Of four placements, each with its own learning rate, its label identifies it."""
    placements = "none,after_activation,before_activation,both"
    sweep = [f"model.batch_norm.placement={placements}", "training.learning_rate=0.01,0.1"]
    configs = load_experiments(network("net"), sweep)
    assert len(configs) == 8
    folder = kept(*runs_of(*((c, 0.86 + 0.01 * n) for n, c in enumerate(configs))))
    answer = printed("compare", "--runs-dir", folder)
    assert re.search(r"\bboth\b", answer)
    tuned = ("--protocol", "tuned", "--only", "tuning")
    printed("plot", "--runs-dir", folder, *tuned, "--output", "tuned.svg")
    assert ">both<" in Path("tuned.svg").read_text()
    for kind in FORMATS:
        written = printed("compare", "--runs-dir", folder, "--format", kind)
        assert "both" in written


# An optimizer

NADAM = '    "nadam": OptimizerKind("Nadam", takes_momentum=False),\n'


def plant_nadam(plant: Plant) -> None:
    """Adam with Nesterov's momentum."""
    last = '    "adamw": OptimizerKind("AdamW", takes_momentum=False),\n'
    plant.replace("experiments/fields.py", last, last + NADAM)


def test_an_optimizer(plant: Plant) -> None:
    """One entry in the table of optimizers."""
    plant_nadam(plant)
    assert plant.touched == {"experiments/fields.py"}
    plant.follow(follow_nadam)


def follow_nadam() -> None:
    """Schema, messages and script know it."""
    smoke = CONFIGS / "smoke.yaml"
    assert '"nadam"' in printed("schema")
    wrong = printed("show", smoke, "--set", "training.optimizer=nadm", code=2)
    assert "nadam" in wrong.replace("nadm", "")
    chosen = ("--set", "training.optimizer=nadam")
    assert "optimizers.Nadam(" in printed("script", smoke, *chosen)
    refused = printed("show", smoke, *chosen, "--set", "training.momentum=0.9", code=2)
    assert "0 with the optimizer nadam" in refused


@pytest.mark.endurance
@pytest.mark.slow
def test_what_is_planted_trains(plant: Plant, data_path: Path) -> None:
    """A new placement and a new optimizer, together, through a real run to the answer."""
    plant_both(plant)
    plant_nadam(plant)
    plant.follow(follow_training, data_path)


def follow_training(data_path: str) -> None:
    settings = [*tiny_settings(Path(data_path)), "training.optimizer=nadam", "seeds=1"]
    sweep = "model.batch_norm.placement=none,both"
    options = [word for setting in (*settings, sweep) for word in ("--set", setting)]
    # In a process of its own, as what trains must not share one with what was imported before.
    command = [sys.executable, "-m", "bnbench", "run", str(CONFIGS / "no_bn.yaml"), *options]
    command += ["--jobs", "1"]  # which imports TensorFlow once
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | FAST, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\bboth\b", done.stdout)
    made = [json.loads(path.read_text()) for path in Path("runs").rglob("*.json")]
    placements = [one["config"]["model"]["batch_norm"]["placement"] for one in made]
    assert sorted(placements) == ["both", "none"]
    assert {one["config"]["training"]["optimizer"] for one in made} == {"nadam"}


# A metric

ERROR = """\
    Metric(
        "test_error",
        "test error",
        lambda record: None if record.test_accuracy is None else 1 - record.test_accuracy,
        direction=-1,
    ),
"""


def test_a_metric(plant: Plant) -> None:
    """One entry in the table of metrics, here one of which less is better."""
    start = "_ALL = (\n"
    plant.replace("evidence/metrics.py", start, start + ERROR)
    assert plant.touched == {"evidence/metrics.py"}
    plant.follow(follow_error)


def follow_error() -> None:
    """The option offers it; fewer errors are a negative difference, and better."""
    placements = "none", "after_activation", "before_activation"
    configs = [network(p, f"model.batch_norm.placement={p}") for p in placements]
    folder = kept(*runs_of(*zip(configs, (0.86, 0.90, 0.88), strict=True)))
    asked = ("compare", "--runs-dir", folder, "--metric", "test_error")
    (protocol,) = json.loads(printed(*asked, "--format", "json"))["protocols"]
    (contrast,) = (c for c in protocol["contrasts"] if c["family"] == "placement")
    assert (contrast["experiment"], contrast["verdict"]) == ("after_activation", "better")
    assert contrast["mean_difference"] == pytest.approx(-0.02)
    answer = printed(*asked)
    assert "test error" in answer
    assert "better" in answer
    assert "test_error" in printed("compare", "--help")
    for kind in ("csv", "markdown", "latex"):
        assert printed(*asked, "--format", kind)


# An output format

TO_NAMES = '''
def to_names(comparisons: Sequence[Comparison], advice: Advice = IN_WORDS) -> str:
    """Return the labels alone."""
    return "".join(f"{e.label}\\n" for c in comparisons for e in c.experiments)


'''


def test_an_output_format(plant: Plant) -> None:
    """One function and its entry, and its name among the options."""
    entries = "FORMATS: dict["
    plant.replace("show/formats.py", entries, TO_NAMES.lstrip() + entries)
    last = '    "latex": to_latex,\n'
    plant.replace("show/formats.py", last, last + '    "names": to_names,\n')
    plant.replace("cli/options.py", '"markdown", "latex"]', '"markdown", "latex", "names"]')
    assert plant.touched == {"show/formats.py", "cli/options.py"}
    plant.follow(follow_names)


def follow_names() -> None:
    """`compare --format` writes it, to a file too."""
    folder = kept(record(), record("pre_act"))
    asked = ("compare", "--runs-dir", folder, "--format", "names")
    assert printed(*asked) == "no_bn\npre_act\n"
    printed(*asked, "--output", "names.txt")
    assert Path("names.txt").read_text() == "no_bn\npre_act\n"


# An engine

BY_HAND = '''
"""Makes runs without training anything."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from bnbench.datasets.dataset import Dataset
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.training.engines.engine import EpochEnded, Event, RunEnded
from bnbench.training.trial import Trial


@dataclass(frozen=True)
class ByHand:
    """An `Engine` whose records a function makes."""

    record: Callable[[Trial], RunRecord]

    def make(
        self, trials: Sequence[Trial], data: Mapping[Config, Dataset], *, models: bool = False
    ) -> Generator[Event, None, None]:
        """Yield each trial's record at once."""
        for trial in trials:
            yield EpochEnded(trial, 1)
            yield RunEnded(trial, self.record(trial))
'''


def test_an_engine(plant: Plant, data_path: Path) -> None:
    """One module with a class that is an `Engine`, which a campaign takes."""
    plant.add("training/engines/by_hand.py", BY_HAND.lstrip())
    assert plant.touched == {"training/engines/by_hand.py"}
    plant.follow(follow_engine, data_path)


def follow_engine(data_path: str) -> None:
    """Its records are kept, and `compare` has them on its page."""
    from bnbench.training.engines.by_hand import ByHand  # type: ignore[import-not-found]

    settings = [*tiny_settings(Path(data_path)), "seeds=3"]
    configs = load_experiments(
        network("net", *settings), ["model.batch_norm.placement=none,before_activation"]
    )
    data = dataset_of(configs[0])
    store = RecordStore(Path("runs"))
    store.prepare()
    engine = ByHand(lambda trial: record(trial.config, trial.seed, data_sha256=data.sha256))
    campaign = Campaign(
        dict.fromkeys(configs, data), store, lambda agenda: engine, ProgressReporter(quiet=True)
    )
    campaign.run_all()
    assert len(campaign.records) == len(store.read_all()[0]) == 6
    assert "3 paired seeds" in printed("compare", "--runs-dir", store.folder)


# A setting

DROPOUT = """\
    dropout: Number = Field(
        default=0.0, ge=0, lt=1, description="Share of each hidden layer's units that is left out"
    )
"""


def shipped_ids() -> dict[str, list[str]]:
    configs = {str(path): load_config(path) for path in sorted(CONFIGS.rglob("*.yaml"))}
    return {path: [c.experiment_id, c.protocol_id] for path, c in configs.items()}


def test_a_setting(plant: Plant, tmp_path: Path) -> None:
    """One field with its default; no id that was recorded before changes."""
    next_field = '    @field_validator("activation")\n'
    plant.replace("experiments/config.py", next_field, f"{DROPOUT}\n{next_field}")
    assert plant.touched == {"experiments/config.py"}
    (tmp_path / "ids.json").write_text(json.dumps(shipped_ids()))
    plant.follow(follow_dropout)


def follow_dropout() -> None:
    """Schema, `show`, `--set` and messages know it; swept it is a column."""
    assert shipped_ids() == json.loads(Path("ids.json").read_text())
    model = json.loads(printed("schema"))["$defs"]["ModelConfig"]["properties"]
    assert model["dropout"]["default"] == 0
    shown = printed("show", CONFIGS / "no_bn.yaml", "--set", "model.dropout=0.25")
    assert "dropout: 0.25" in shown
    wrong = printed("show", CONFIGS / "no_bn.yaml", "--set", "model.dropout=2", code=2)
    assert "model.dropout: expected a number" in wrong
    configs = load_experiments(network("net"), ["model.dropout=0,0.25"])
    assert len({config.experiment_id for config in configs}) == 2
    folder = kept(*runs_of((configs[0], 0.88), (configs[1], 0.89)))
    assert "dropout" in printed("compare", "--runs-dir", folder)
    (protocol,) = json.loads(printed("compare", "--runs-dir", folder, "--format", "json"))[
        "protocols"
    ]
    assert [e["swept"] for e in protocol["experiments"]] == [
        {"model.dropout": 0},
        {"model.dropout": 0.25},
    ]


# A health finding

SLOW = """
def _slow(one: Experiment) -> Finding | None:
    if one.newest.history.epoch_seconds[0] <= 60:
        return None
    message = f"{one.label} takes more than a minute to an epoch"
    return Finding("slow", one.label, message, lambda advice: advice.rates)


"""


def test_a_health_finding(plant: Plant) -> None:
    """One function with its test, its words and its cure, and its entry."""
    below = "def _fails_to_train("
    plant.replace("evidence/health.py", below, SLOW.lstrip() + below)
    plant.replace("evidence/health.py", "_class_never_right\n", "_class_never_right, _slow\n")
    assert plant.touched == {"evidence/health.py"}
    plant.follow(follow_slow)


def follow_slow() -> None:
    """It is in the answer with its cure, in JSON, and a reason for `--strict` to fail."""
    folder = kept(record(epoch_seconds=61.0))
    reported = "no_bn takes more than a minute to an epoch"
    for kind in ("table", "markdown"):
        answer = " ".join(printed("compare", "--runs-dir", folder, "--format", kind).split())
        assert "takes more than a minute to an epoch" in answer
    (protocol,) = json.loads(printed("compare", "--runs-dir", folder, "--format", "json"))[
        "protocols"
    ]
    found = {finding["kind"]: finding for finding in protocol["health"]}
    assert found["slow"]["message"] == reported
    assert "training.learning_rate" in found["slow"]["cure"]
    assert reported in printed("compare", "--runs-dir", folder, "--strict", code=1)
