"""Every hostile store through every way of reading it: no wrong figure without a word, no crash.

What must be shown is computed here from the records as they were written, by other means.
"""

import csv
import html
import io
import json
import os
import re
import statistics
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench import api
from bnbench.campaign import agenda
from bnbench.datasets.dataset import Dataset
from bnbench.errors import EnvironmentFault, InputError
from bnbench.evidence.records import RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config
from bnbench.show import formats, plots
from bnbench.training import TRAINING_VERSION
from tests.conftest import trials_of
from tests.faults.stores import STORES
from tests.faults.stores.driving import Done, drive
from tests.faults.stores.shelf import Content, Shelf, home_of, runs_of, shifted

DRAWN = {  # through the real plots, which take their time; the others through the words of them
    "a_name_that_is_the_label_of_another",
    "every_run_diverged",
    "half_of_the_runs_diverged",
    "paths_with_markup",
    "the_largest_losses",
    "the_largest_counts",
    "texts_that_act_on_a_terminal",
}


def everything(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what there is under the folder, and what would show that it was written to."""
    found = {}
    for inside, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(inside, name)
            state = os.lstat(path)
            found[path] = state.st_mode, state.st_ino, state.st_size, state.st_mtime_ns
    return found


# What must be shown


Values = dict[int, float | None]


@dataclass(frozen=True)
class Network:
    """One experiment as it was put on the shelf, with the metric of each seed."""

    name: str
    identity: str
    values: tuple[tuple[int, float | None], ...]

    @property
    def completed(self) -> dict[int, float]:
        return {seed: value for seed, value in self.values if value is not None}

    def upto(self, seeds: int) -> "Network":
        """Return it with the first seeds alone."""
        return replace(self, values=tuple(one for one in self.values if one[0] < seeds))

    def begins(self, label: str) -> bool:
        """Whether the label is its name with more: what was swept, or its id."""
        return re.match(rf"{re.escape(self.name)}[-+ ]", label) is not None


def on_test_rows(content: Content) -> float | None:
    return content["test_accuracy"]


def on_validation_rows(content: Content) -> float | None:
    return content["history"]["val_accuracy"][-1] if content["status"] == "completed" else None


def expected(
    contents: Sequence[Content], metric: Callable[[Content], float | None]
) -> dict[tuple[Any, ...], set[Network]]:
    """Return the networks of each group that may be compared with each other."""
    groups: dict[tuple[Any, ...], dict[tuple[str, str], Values]] = {}
    for content in contents:
        data = content["data"]
        state = (content["protocol_id"], data["sha256"], content["training_version"])
        group = groups.setdefault((*state, tuple(data["rows"])), {})
        values = group.setdefault((content["experiment"], content["experiment_id"]), {})
        values[content["seed"]] = metric(content)
    return {
        state: {Network(*own, tuple(sorted(values.items()))) for own, values in group.items()}
        for state, group in groups.items()
    }


def values_shown(experiment: dict[str, Any]) -> dict[int, float]:
    """Return the values that JSON has of an experiment, whose statistics must be theirs."""
    values = {int(seed): value for seed, value in experiment["metric"]["values"].items()}
    assert experiment["seeds"] - experiment["diverged"] == len(values)
    mean, std = experiment["metric"]["mean"], experiment["metric"]["std"]
    assert mean == (pytest.approx(statistics.mean(values.values())) if values else None)
    several = len(values) > 1
    deviation = pytest.approx(statistics.stdev(values.values()), abs=1e-9) if several else None
    assert std == deviation
    return values


def assert_figures(body: dict[str, Any], put: set[Network]) -> None:
    """Every experiment is one that was put there, under a label of its own, with its contrasts."""
    found: dict[str, Network] = {}
    for experiment in body["experiments"]:
        label, values = experiment["name"], values_shown(experiment)
        assert label not in found
        alike = [network for network in put if network.identity == experiment["experiment_id"]]
        (own,) = [n for n in alike if label == n.name] or [n for n in alike if n.begins(label)]
        assert own.completed == values
        assert experiment["seeds"] == len(own.values)
        found[label] = own
    assert len(set(found.values())) == len(found)
    assert len(body["contrasts"]) >= len(found) - 1
    for contrast in body["contrasts"]:
        assert_contrast(contrast, found[contrast["experiment"]], found[contrast["baseline"]])


def assert_contrast(contrast: dict[str, Any], first: Network, second: Network) -> None:
    """Its ids, its pairs and its mean are those of the two networks' common seeds."""
    assert contrast["ids"] == [first.identity, second.identity]
    look = contrast["look"]["seeds"]
    if look:  # the stores' seeds are counted
        first, second = first.upto(look), second.upto(look)
    differences = differences_of(first, second)
    assert contrast["pairs"] == len(differences)
    mean = pytest.approx(statistics.mean(differences), abs=1e-9) if differences else None
    assert contrast["mean_difference"] == mean
    outcomes = [contrast[outcome] for outcome in ("wins", "ties", "losses")]
    assert outcomes == outcomes_of(first, second)
    if not look:
        assert contrast["verdict"] is None
    elif contrast["verdict"] in ("better", "worse"):
        assert (contrast["verdict"] == "better") == (statistics.mean(differences) > 0)


def differences_of(first: Network, second: Network) -> list[float]:
    ours, theirs = first.completed, second.completed
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def outcomes_of(first: Network, second: Network) -> list[int]:
    """Return how many pairs were won, tied and lost; what diverged loses to what did not."""
    ours, theirs = (
        {seed: -1.0 if value is None else value for seed, value in network.values}
        for network in (first, second)
    )
    both = [(ours[seed], theirs[seed]) for seed in ours.keys() & theirs.keys()]
    pairs = [pair for pair in both if pair != (-1.0, -1.0)]
    won, lost = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    return [won, len(pairs) - won - lost, lost]


def assert_comparisons(
    text: str, shelf: Shelf, metric: Callable[[Content], float | None] = on_test_rows
) -> None:
    """What the JSON shows is what was put there: all of it, nothing else, nothing mixed up."""
    content = json.loads(text, parse_constant=pytest.fail)
    groups = expected(shelf.counted, metric)
    for body in [body for body in content["protocols"] if not body["tuned"]]:
        state = (body["protocol_id"], body["data_sha256"], body["training_version"])
        shown = {experiment["experiment_id"] for experiment in body["experiments"]}
        (found,) = (
            key
            for key, networks in groups.items()
            if key[:3] == state and {network.identity for network in networks} == shown
        )
        assert len(groups[found]) == len(body["experiments"])
        assert_figures(body, groups.pop(found))
    assert not groups
    put = set().union(*expected(shelf.counted, on_test_rows).values())
    tuned = [body for body in content["protocols"] if body["tuned"]]
    for body in tuned:
        assert_figures(body, put)
    chosen = [e["experiment_id"] for body in tuned for e in body["experiments"]]
    assert sorted(chosen) == sorted(shelf.chosen)


# What must be said, and what must never be


def assert_harmless(text: str) -> None:
    """No character of it acts on a terminal, or turns the direction of the text."""
    codes = {c for c in text if c != "\n" and unicodedata.category(c)[0] == "C"}
    assert not codes
    assert "Traceback" not in text


def plain(text: str) -> str:
    """Return Markdown, LaTeX or HTML as a person reads it, as far as that matters here."""
    text = re.sub(r"<wbr>|<!-- -->", "", text)
    text = html.unescape(re.sub(r"</?(span|th|td|li|tr|p|h2|h3|code)\b[^>]*>", " ", text))
    for sign, command in {
        "±": r"\(\pm\)",
        "-": r"\(-\)",
        "×": r"\(\times\)",
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }.items():
        text = text.replace(command, sign)
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)


def assert_said(text: str, phrases: Sequence[str]) -> None:
    read = plain(text)
    for phrase in phrases:
        assert plain(phrase) in read


def assert_rows(text: str, bodies: Sequence[dict[str, Any]]) -> None:
    """Each experiment has a row with its own mean, and its own difference to the baseline."""
    lines = [plain(line) for line in re.split(r"\n(?!<t[dh])", text)]
    for body in bodies:
        for experiment in body["experiments"]:
            label, figures = re.escape(plain(experiment["name"])), rounded(body, experiment)
            rows = [line for line in lines if re.match(rf"\W*{label}(?!\w)", line)]
            assert any(all(figure in row for figure in figures) for row in rows), figures


def rounded(body: dict[str, Any], experiment: dict[str, Any]) -> list[str]:
    """Return the mean and the difference to the baseline as tables have them."""
    mean = experiment["metric"]["mean"]
    differences = [
        contrast["mean_difference"]
        for contrast in body["contrasts"]
        if (contrast["experiment"], contrast["baseline"]) == (experiment["name"], body["baseline"])
    ]
    shown = [f"{100 * value:+.2f}" for value in differences if value is not None]
    return [f"{100 * mean:.2f}" for mean in [mean] if mean is not None] + [
        "+0.00" if figure == "-0.00" else figure for figure in shown
    ]


def bodies_of(shelf: Shelf) -> list[dict[str, Any]]:
    """Return the comparisons of the store as JSON has them, which `check_json` proves right."""
    if shelf.folder not in _bodies:
        _bodies.clear()
        _bodies[shelf.folder] = parts_of(formats.to_json(api.compare(shelf.folder).comparisons))
    return _bodies[shelf.folder]


_bodies: dict[Path, list[dict[str, Any]]] = {}


def parts_of(text: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = json.loads(text)["protocols"]
    return parts


def compared(shelf: Shelf, *arguments: object) -> Done:
    """Run `compare`: 0 and every warning, or 2 where nothing counts."""
    done = drive("compare", "--runs-dir", shelf.folder, *arguments)
    assert_harmless(done.out)
    assert_harmless(done.err)
    assert_said(done.err, shelf.warned)
    if not shelf.counted:
        assert done.code == 2
        assert done.out == ""
        assert "no records here" in done.err
    return done


def test_there_are_stores_enough() -> None:
    """The table does not shrink unnoticed."""
    assert len(STORES) >= 60
    assert STORES.keys() >= DRAWN


@pytest.mark.parametrize("name", STORES)
def test_a_hostile_store(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No way of reading it shows a wrong figure, keeps silent, crashes or changes the folder."""
    if name not in DRAWN:
        draw_cheaply(monkeypatch)
    shelf = Shelf(tmp_path / "runs")
    shelf.folder.mkdir()
    STORES[name](shelf)
    before = everything(shelf.folder)
    (tmp_path / "out").mkdir()
    for check in (
        *(check_what_people_read, check_json, check_csv, check_strict, check_fail_under),
        *(check_every_label_as_the_baseline, check_the_python_api, check_what_a_run_would_make),
    ):
        check(shelf)
    for check_file in (check_plots, check_report, check_pack):
        check_file(shelf, tmp_path / "out")
    assert everything(shelf.folder) == before


def check_what_people_read(shelf: Shelf) -> None:
    """Every row has its own figures, and all that must be said is."""
    for format in ("table", "markdown", "latex"):
        done = compared(shelf, "--format", format, "--protocol", "all")
        if shelf.counted:
            assert done.code == 0
            assert_said(done.out, shelf.remarked)
            assert_rows(done.out, bodies_of(shelf))
        assert bool(done.err) == bool(shelf.warned or not shelf.counted)


def check_json(shelf: Shelf) -> None:
    """All figures are those of the records that count, by id."""
    for options in ((), ("--all-pairs",), ("--metric", "val_accuracy")):
        done = compared(shelf, "--format", "json", *options)
        if shelf.counted:
            assert done.code == 0
            metric = on_validation_rows if "val_accuracy" in options else on_test_rows
            assert_comparisons(done.out, shelf, metric)


def runs_in(rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    fields = ("experiment", "experiment_id", "protocol_id", "training_version", "seed", "status")
    return sorted(tuple(str(row[field]) for field in fields) for row in rows)


def check_csv(shelf: Shelf) -> None:
    """There is a row for each record that counts, and it has what identifies the record."""
    done = compared(shelf, "--format", "csv")
    if shelf.counted:
        rows = list(csv.DictReader(io.StringIO(done.out)))
        assert runs_in(rows) == runs_in(shelf.counted)
        accuracies = sorted(float(row["test_accuracy"] or -1) for row in rows)
        assert accuracies == sorted(accuracies_of(shelf))
        assert not any(cell[:1] in "=@\t" for row in rows for cell in row.values() if cell)


def accuracies_of(shelf: Shelf) -> list[float]:
    values = (content["test_accuracy"] for content in shelf.counted)
    return [-1.0 if value is None else value for value in values]


def check_strict(shelf: Shelf) -> None:
    """It fails where a file is no record and where a contrast is not clean, and only there."""
    done = compared(shelf, "--strict", "--format", "csv")
    if shelf.counted:
        assert done.code == (1 if shelf.warned or shelf.unclean else 0)


def check_fail_under(shelf: Shelf) -> None:
    """The mean that counts has those that diverged as 0; where none completed it always fails."""
    if not shelf.counted:
        return
    groups = expected(shelf.counted, on_test_rows).values()
    networks = [network for group in groups for network in group]
    trained = [network for network in networks if network.completed]
    low = 100 * min((sum(n.completed.values()) / len(n.values) for n in trained), default=0.0)
    passed = compared(shelf, "--format", "csv", "--fail-under", low - 0.001)
    assert passed.code == int(len(trained) < len(networks))
    assert ("no run completed" in passed.err) == (len(trained) < len(networks))
    assert "is below" not in passed.err
    below = compared(shelf, "--format", "csv", "--fail-under", low + 0.001)
    assert below.code == 1
    assert (f"mean {low:.2f} % is below" in below.err) == bool(trained)


def check_every_label_as_the_baseline(shelf: Shelf) -> None:
    """Whoever names what a table shows gets that, and every difference to it."""
    for body in bodies_of(shelf) if shelf.counted else ():
        for experiment in body["experiments"]:
            study = api.compare(shelf.folder, baseline=experiment["name"])
            text = formats.to_json(study.comparisons)
            assert_comparisons(text, shelf)
            baselines = {part["reference"]: part["baseline"] for part in parts_of(text)}
            assert baselines[body["reference"]] == experiment["name"]


def check_the_python_api(shelf: Shelf) -> None:
    """A study as text, as part of a notebook's page and as a frame shows the same."""
    if not shelf.counted:
        with pytest.raises(InputError, match="no records here"):
            api.compare(shelf.folder)
        return
    study = api.compare(shelf.folder)
    page = study._repr_html_()
    assert page
    for text in (str(study), page):
        assert_harmless(text)
        assert_said(text, shelf.remarked)
        assert_said(text, shelf.warned)
        assert_rows(text, bodies_of(shelf))
    assert "<script" not in page
    frame = study.to_frame()
    assert runs_in(frame.to_dict("records")) == runs_in(shelf.counted)
    assert sorted(frame["test_accuracy"].fillna(-1)) == sorted(accuracies_of(shelf))


def draw_cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no plot be drawn; the words for each are made in its place."""

    def words(comparison: Any, kinds: Sequence[str] | None = None, width: float = 0) -> str:
        drawn = plots.KINDS if kinds is None else kinds
        return " ".join(plots.alternative_text(comparison, kind) for kind in drawn)

    monkeypatch.setattr(plots, "figure", words)
    monkeypatch.setattr(plots.files, "to_svg", html.escape)
    monkeypatch.setattr(plots.files, "write", lambda figure, path: path.write_text(figure))


def check_plots(shelf: Shelf, folder: Path) -> None:
    """Every comparison can be drawn by its reference; what is written is harmless."""
    bodies = bodies_of(shelf) if shelf.counted else [{"reference": "none"}]
    for number, body in enumerate(bodies):
        path = folder / f"plot{number}.svg"
        done = drive(
            *("plot", "--runs-dir", shelf.folder, "--output", path),
            *("--protocol", body["reference"]),
        )
        assert_harmless(done.err)
        assert_said(done.err, shelf.warned)
        assert done.code == (0 if shelf.counted else 2)
        if shelf.counted:
            assert_harmless(path.read_text())


def check_report(shelf: Shelf, folder: Path) -> None:
    """The page has every row, every remark and every warning, and counts the runs right."""
    path = folder / "report.html"
    done = drive("report", "--runs-dir", shelf.folder, "--output", path)
    assert_harmless(done.err)
    assert_said(done.err, shelf.warned)
    assert done.code == (0 if shelf.counted else 2)
    if shelf.counted:
        page = path.read_text()
        assert_harmless(page)
        assert "<script" not in page
        assert_said(page, (*shelf.remarked, *shelf.warned))
        assert_rows(page, bodies_of(shelf))
        number = len(shelf.counted)
        assert f"{number} run{'' if number == 1 else 's'} of " in page


def check_pack(shelf: Shelf, folder: Path) -> None:
    """A packed file has the records that count and nothing else, and reads as they do."""
    path = folder / "packed" / "study.jsonl.gz"
    path.parent.mkdir()
    done = drive("pack", "--runs-dir", shelf.folder, path)
    assert (done.code, done.out) == (0 if shelf.counted else 2, "")
    assert_harmless(done.err)
    assert_said(done.err, shelf.warned)
    assert path.exists() == bool(shelf.counted)
    found, warnings = RecordStore(path.parent).read_all()
    assert warnings == []
    assert found == sorted(map(parsed, shelf.counted), key=lambda record: record.key)


def parsed(content: Content) -> RunRecord:
    return RunRecord.model_validate_json(json.dumps(content))


def check_what_a_run_would_make(shelf: Shelf) -> None:
    """Of each config that is asked for, it takes what counts and makes what is missing."""
    contents = [*shelf.counted, *runs_of("post_act", [0.9]), *runs_of("pre_act", shifted(0.9)[:1])]
    for config in {home_of(content): parsed(content).config for content in contents}.values():
        recorded = {
            content["seed"]: content
            for content in shelf.counted
            if home_of(content) == f"{config.name}-{config.experiment_id}"
            and content["seed"] in config.seed_list
        }
        states = {content["data"]["sha256"] for content in recorded.values()} or {"d" * 64}
        datasets = {config: with_checksum(min(states))}
        store = RecordStore(shelf.folder)
        if len(states) > 1:
            with pytest.raises(InputError, match="made on other data"):
                agenda(trials_of(*datasets), datasets, store)
        elif config.name == shelf.blocked:
            with pytest.raises(EnvironmentFault, match="cannot be written"):
                agenda(trials_of(*datasets), datasets, store)
        else:
            assert_sorted_out(config, recorded, datasets, store)


def with_checksum(sha256: str) -> Dataset:
    rows = np.zeros((1, 1), np.uint8)
    return Dataset(rows, rows, rows, rows, rows, rows, 10, (28, 28), 1.0, sha256)


def assert_sorted_out(
    config: Config,
    recorded: dict[int, Content],
    datasets: dict[Config, Dataset],
    store: RecordStore,
) -> None:
    found = agenda(trials_of(*datasets), datasets, store)
    assert_harmless("".join(found.warnings))
    current = {s for s, c in recorded.items() if c["training_version"] == TRAINING_VERSION}
    assert {record.seed for record in found.recorded} == current
    assert {trial.seed for trial in found.missing} == set(config.seed_list) - current
    for record in found.recorded:
        assert record.test_accuracy == recorded[record.seed]["test_accuracy"]
