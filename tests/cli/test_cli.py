"""The commands as a user meets them: help, exit codes, messages, and what is not imported."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CONFIGS, ROOT, bnbench, record, records, tiny_settings, write_data
from tests.forge import Forge

HELP = Path(__file__).parent / "help"
SEVEN = [0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882]


@pytest.mark.parametrize("page", sorted(path.stem for path in HELP.glob("*.txt")))
def test_help_pages(page: str) -> None:
    """Each help page, whole, at 100 columns."""
    command = [] if page == "bnbench" else [page]
    done = bnbench(*command, "--help", env={"TERMINAL_WIDTH": "100"})
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert "\n".join(lines).strip() == (HELP / f"{page}.txt").read_text().strip()
    assert done.returncode == 0


def test_commands_that_do_not_train_import_no_tensorflow(runs, tmp_path: Path) -> None:
    """All but `run`, and `run` up to the first config that is wrong."""
    folder = runs(*records(no_bn=SEVEN, pre_act=SEVEN))
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: wrong\nmodle: {}\n")
    commands = [
        ["--help"],
        ["show", str(CONFIGS / "pre_act.yaml")],
        ["explain", str(CONFIGS / "pre_act.yaml")],
        ["script", str(CONFIGS / "pre_act.yaml")],
        ["compare", "--runs-dir", str(folder)],
        ["plot", "--runs-dir", str(folder), "--output", str(tmp_path / "plot.svg")],
        ["report", "--runs-dir", str(folder), "--output", str(tmp_path / "report.html")],
        ["schema"],
        ["data"],
        ["run", str(wrong), "--runs-dir", str(folder)],
    ]
    program = """
import json, os, sys
import bnbench.__main__
os._exit = sys.exit
for command in json.loads(sys.argv[1]):
    sys.argv = ["bnbench", *command]
    try:
        bnbench.__main__.main()
    except SystemExit:
        pass
    assert "tensorflow" not in sys.modules and "keras" not in sys.modules, command
    assert "scipy.stats" not in sys.modules, command
print("none of them")
"""
    done = bnbench_python(program, json.dumps(commands))
    assert done.stdout.strip().endswith("none of them"), done.stderr


def bnbench_python(program: str, *arguments: str):
    import subprocess

    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )


def test_a_wrong_config_is_named_by_line_and_key(tmp_path: Path) -> None:
    """All faults of all files at once, exit 2, and no traceback."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("name: first\nmodel:\n  hidden_units: [300, '100']\n  activatoin: elu\n")
    second.write_text("name: second\nepochs: 3\n")
    done = bnbench("run", first, second, "--runs-dir", tmp_path / "runs")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"bnbench: {first}:3: model.hidden_units[1]: expected a positive integer up to 65536, "
        "got '100' (text)",
        f"{first}:4: model.activatoin: unknown key (did you mean activation?); allowed here: "
        "hidden_units, activation, kernel_initializer, use_bias, batch_norm",
        f"{second}:2: epochs: unknown key (did you mean training.epochs?); allowed here: name, "
        "description, data, model, training, seeds, plan, swept",
    ]
    assert not (tmp_path / "runs").exists()


def test_run_records_skips_repeats_and_compares(forge: Forge, tmp_path: Path) -> None:
    """The first run trains, the second finds all recorded, `--force` repeats; all compare."""
    write_data(tmp_path / "data.npz", rows=110)
    config = tmp_path / "tiny.yaml"
    config.write_text("name: tiny\n")
    settings = [word for s in tiny_settings(tmp_path / "data.npz") for word in ("--set", s)]
    command = ("run", config, *settings, "--runs-dir", tmp_path / "runs")

    first = forge.run(*command, "--save-models")
    assert first.returncode == 0, first.stderr
    assert "2 runs of 1 experiment, 0 recorded, 2 to make." in first.stderr
    assert "[2/2] tiny seed " in first.stderr
    assert "tiny is the only experiment of this protocol" in first.stdout
    written = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*.json")}
    assert len(written) == 2
    assert len(list((tmp_path / "runs").rglob("*.keras"))) == 2

    second = forge.run(*command)
    assert second.returncode == 0
    assert "2 recorded, 0 to make" in second.stderr
    assert "TensorFlow" not in second.stderr
    assert {path: path.read_bytes() for path in written} == written

    again = forge.run(*command, "--force", "--jobs", 10**9)
    assert again.returncode == 0, again.stderr
    for path, content in written.items():
        weights = [json.loads(text)["weights_sha256"] for text in (content, path.read_bytes())]
        assert weights[0] == weights[1]
        assert json.loads(path.read_text())["environment"]["jobs"] <= 2, "more than there are runs"


def test_compare_writes_every_format_to_a_file(runs, tmp_path: Path) -> None:
    """`--output` gets what standard output would have got."""
    folder = runs(*records(no_bn=SEVEN, pre_act=SEVEN))
    for kind in ("table", "json", "csv", "markdown", "latex"):
        shown = bnbench("compare", "--runs-dir", folder, "--format", kind)
        saved = bnbench(
            "compare", "--runs-dir", folder, "--format", kind, "--output", tmp_path / kind
        )
        assert (shown.returncode, saved.returncode, saved.stdout) == (0, 0, "")
        assert (tmp_path / kind).read_text() == shown.stdout


def test_output_is_checked_before_the_work(runs, tmp_path: Path) -> None:
    """A file that cannot be written is exit 3 and names the path."""
    done = bnbench(
        "compare", "--runs-dir", runs(record()), "--output", tmp_path / "no" / "such" / "file"
    )
    assert done.returncode == 3
    assert f"{tmp_path}/no/such/file: cannot be written" in done.stderr


def test_checks_fail_with_exit_1(runs) -> None:
    """`--fail-under` on a mean below, `--strict` on an unclean comparison or a damaged record."""
    folder = runs(*records(no_bn=SEVEN, pre_act=SEVEN))
    below = bnbench("compare", "--runs-dir", folder, "--fail-under", "88.2")
    assert below.returncode == 1
    assert below.stderr.splitlines() == [
        "bnbench: no_bn: mean 88.10 % is below 88.2",
        "pre_act: mean 88.10 % is below 88.2",
    ]
    assert bnbench("compare", "--runs-dir", folder, "--fail-under", "88").returncode == 0
    unclean = bnbench("compare", "--runs-dir", folder, "--strict")
    assert unclean.returncode == 1
    assert "pre_act against no_bn: not a clean comparison: also differs in" in unclean.stderr
    assert bnbench("compare", "no_bn", "--runs-dir", folder, "--strict").returncode == 0
    (folder / "foreign").write_text("")
    assert bnbench("compare", "no_bn", "--runs-dir", folder, "--strict").returncode == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ray", "x"), "ray: expected HOST:PORT, got 'x'"),
        (("--ray", "x:"), "ray: expected HOST:PORT, got 'x:'"),
        (("--runs-dir", ""), "runs_dir: expected a folder, got an empty name"),
        (("--tensorboard", ""), "tensorboard: expected a folder, got an empty name"),
        (
            ("--set", "training.epochs.x=30"),
            "setting training.epochs.x=30: training.epochs.x: cannot be set, as training.epochs "
            "is 2 (number)",
        ),
    ],
)
def test_options_that_cannot_be_meant_are_exit_2(
    options: tuple[str, str], message: str, tmp_path: Path
) -> None:
    """They are refused before anything is written."""
    done = bnbench("run", CONFIGS / "smoke.yaml", *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"bnbench: {message}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pack", "a.jsonl.gz", "--runs-dir", ""), "runs_dir: expected a folder, got an empty"),
        (("compare", "--baseline", ""), "no experiment named ; there are: no_bn"),
    ],
)
def test_an_empty_name_is_exit_2(
    arguments: tuple[str, ...], message: str, runs: Callable[..., Path]
) -> None:
    """As a variable of the shell gives that is not set: it means neither here nor nothing."""
    done = bnbench(*arguments, cwd=runs(record()).parent)
    assert done.returncode == 2
    assert done.stderr.startswith(f"bnbench: {message}")


@pytest.mark.parametrize("target", ["file", "file/below"])
def test_a_folder_for_tensorboard_is_checked_before_the_first_run(
    target: str, tmp_path: Path
) -> None:
    """Where it cannot be one, that is said at once, and nothing is trained."""
    pytest.importorskip("tensorboard")
    (tmp_path / "file").touch()
    done = bnbench("run", CONFIGS / "smoke.yaml", "--tensorboard", target, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith(f"bnbench: {target}: cannot be written to: ")
    assert not (tmp_path / "runs").exists()


def test_unknown_names_are_exit_2(runs) -> None:
    """Each lists what there is."""
    folder = runs(record())
    for arguments, message in (
        (["pre_akt"], "no experiment named pre_akt; there are: no_bn"),
        (["--baseline", "pre_akt"], "no experiment named pre_akt; there are: no_bn"),
    ):
        done = bnbench("compare", *arguments, "--runs-dir", folder)
        assert (done.returncode, done.stderr.strip()) == (2, f"bnbench: {message}")


def test_show_prints_config_layers_variables_and_totals() -> None:
    """The resolved config loads again, and the totals are the truth table's."""
    done = bnbench("show", CONFIGS / "pre_act.yaml", "--set", "training.epochs=3")
    assert done.returncode == 0
    assert "  epochs: 3\n" in done.stdout
    assert done.stdout.rstrip().endswith("Non-trainable parameters:        2,368")
    assert " moving_variance " in done.stdout


def test_explain_and_script_take_one_experiment() -> None:
    """Each speaks of the config with its overrides; of a sweep there would be several."""
    pre_act, wide = CONFIGS / "pre_act.yaml", ("--set", "model.hidden_units=[500]")
    explained = bnbench("explain", pre_act, *wide)
    assert explained.stdout.startswith("pre_act\n  BN on the input and before each hidden")
    assert "784 × 500 = 392,000 weights" in explained.stdout
    written = bnbench("script", pre_act, *wide)
    assert "layers.Dense(500, use_bias=False" in written.stdout
    compile(written.stdout, "script.py", "exec")
    sweep = bnbench("script", pre_act, "--set", "training.epochs=1,2")
    assert (sweep.returncode, sweep.stderr) == (
        2,
        "bnbench: expected one experiment, got a sweep of 2\n",
    )


def test_a_gpu_that_is_absent_is_exit_3(forge: Forge, tmp_path: Path) -> None:
    """Asked for by name and not there: the message says what is."""
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("there is a GPU here")
    done = forge.run(
        "run", CONFIGS / "smoke.yaml", "--device", "gpu", "--runs-dir", tmp_path / "runs"
    )
    assert done.returncode == 3
    assert "device gpu: TensorFlow sees no GPU here" in done.stderr


def test_arguments_that_a_command_does_not_take_are_shown_harmless() -> None:
    """Bidirectional overrides and C1 codes of a stray argument do not reach the terminal raw."""
    for command in (("schema",), ("data", "own.npz")):
        done = bnbench(*command, "x\u202ey\u009bz")
        assert done.returncode == 2
        assert done.stderr == "bnbench: Got unexpected extra argument(s) (x\\u202ey\\x9bz)\n"


def complete(*words: str, cwd: Path = ROOT) -> list[str]:
    """Return what bash is offered when the tab key follows these words."""
    environment = {
        "_BNBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("bnbench", *words)),
        "COMP_CWORD": str(len(words)),
    }
    return bnbench(env=environment, cwd=cwd).stdout.split()


def test_completion(runs) -> None:
    """The shell is offered commands, options, config files and experiments that are recorded."""
    folder = runs(record(), record("pre_act"), record("controls/pre_act_bias"))
    assert complete("sc") == ["script", "schema"]
    assert complete("run", "--se") == ["--seeds", "--set"]
    assert complete("run", "configs/p") == ["configs/post_act.yaml", "configs/pre_act.yaml"]
    assert "configs/controls/pre_act_bias.yaml" in complete("show", "co")
    where = ("--runs-dir", str(folder))
    assert complete("compare", *where, "pre") == ["pre_act", "pre_act_bias"]
    assert complete("compare", *where, "pre_act", "pre") == ["pre_act_bias"]
    assert complete("compare", *where, "--baseline", "no") == ["no_bn"]
    assert complete("compare", "--runs-dir", str(folder / "none"), "") == []


def test_plot_draws_the_protocol_that_is_asked_for(runs, tmp_path: Path) -> None:
    """The newest unless one is named; an ending or a protocol that is none is exit 2."""
    newer = record(overrides=["training.epochs=3"], started_at="2026-11-24T10:00:00+00:00")
    folder = runs(record(), newer)

    def plot(name: str, *options: str):
        return bnbench("plot", "--runs-dir", folder, "--output", tmp_path / name, *options)

    assert ", 3 epochs, " in plot("newest.svg").stderr
    older = plot("older.svg", "--protocol", record().protocol_id, "--only", "curves")
    assert ", 10 epochs, " in older.stderr
    assert (tmp_path / "older.svg").read_text().count("Learning curves") >= 1
    unknown = plot("none.svg", "--protocol", "00000000")
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "bnbench: --protocol: none named 00000000; there are: "
        f"{newer.protocol_id}, {record().protocol_id}, all\n",
    )
    assert plot("picture.jpg").returncode == 2
    assert {path.name for path in tmp_path.glob("*.*")} == {"newest.svg", "older.svg"}
