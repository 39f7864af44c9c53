"""Hostile surroundings: other Keras settings, no home, odd streams, a clock that goes back."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bnbench.evidence.store import RecordStore
from bnbench.training.variables import replaced
from tests.conftest import CONFIGS, ROOT, bnbench, bnbench_process, dataset_of, record
from tests.faults.conftest import assert_comparable, assert_short, untimed_records
from tests.forge import FAST, Forge

PROGRAM = f"{sys.executable} -m bnbench"
ODD_KERAS = {"floatx": "float16", "epsilon": "small", "backend": "jax"}


def shell(command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
        **options,
    )


@pytest.mark.endurance
@pytest.mark.slow
def test_settings_of_keras_change_nothing(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """With any `keras.json` and environment, without home or locale, the records are the same."""
    config, folder, plain = tiny_yaml(seeds=1), tmp_path / "runs", tmp_path / "plain"
    assert forge.run("run", config, "--jobs", 1, "--runs-dir", plain).returncode == 0
    settings = tmp_path / "keras" / "keras.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps(ODD_KERAS))
    environment = FAST | {
        "KERAS_HOME": str(settings.parent),
        "KERAS_BACKEND": "jax",
        "TF_USE_LEGACY_KERAS": "1",
        "HOME": "/nonexistent",
        "LANG": "C",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "COLUMNS": "20",
        "TERM": "dumb",
    }
    done = bnbench_process("run", config, "--jobs", 1, "--runs-dir", folder, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert untimed_records(folder) == untimed_records(plain)
    assert sorted(path.name for path in settings.parent.iterdir()) == ["keras.json"]
    assert_comparable(folder)


def test_a_locale_without_signs_and_a_width_of_20(runs: Callable[..., Path]) -> None:
    """In ASCII the tables come with escapes in place of the signs, and piped they are not cut."""
    folder = runs(record(), record(seed=1), record("pre_act"))
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "20"}
    done = bnbench_process("compare", "--runs-dir", folder, env=bare)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "before_activation" in done.stdout


def test_no_home_no_stdin_no_terminal(runs: Callable[..., Path]) -> None:
    """Commands that train nothing need no home folder, no user name and no environment."""
    folder = runs(record())
    done = shell(f"env -i {PROGRAM} compare --runs-dir {folder} <&-")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(f"env -i {PROGRAM} show {CONFIGS}/smoke.yaml <&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["compare", "compare --format json", "show {smoke}", "schema"])
def test_a_reader_that_stops_reading(command: str, runs: Callable[..., Path]) -> None:
    """`| head -1` ends without a word on standard error, and with 0."""
    folder = runs(*(record(seed=seed) for seed in range(5)))
    command = command.format(smoke=f"{CONFIGS}/smoke.yaml " * 20)
    place = f"--runs-dir {folder}" if "compare" in command else ""
    done = shell(f"{PROGRAM} {command} {place} | head -1; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("sink", ["| true", ">&-", ">&- 2>&- <&-"])
def test_checks_count_without_a_reader(sink: str, runs: Callable[..., Path]) -> None:
    """`--fail-under` decides the exit code even where nobody can read the tables."""
    folder = runs(record(accuracy=0.5))
    for limit, code in ((90, 1), (10, 0)):
        command = f"{PROGRAM} compare --runs-dir {folder} --fail-under {limit}"
        done = shell(f"{command} {sink}; exit ${{PIPESTATUS[0]}}")
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        if code and "2>&-" not in sink:
            assert done.stderr == "bnbench: no_bn: mean 50.00 % is below 90\n"


@pytest.mark.endurance
@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_run_whose_messages_reach_nobody(tiny_yaml: Callable[..., Path], tmp_path: Path) -> None:
    """With a full disk under standard error and all else closed, the records are made."""
    folder = tmp_path / "runs"
    command = f"{PROGRAM} run {tiny_yaml()} --jobs 1 --runs-dir {folder}"
    done = shell(f"{command} >&- 2>/dev/full <&-")
    assert done.returncode == 0
    records, warnings = RecordStore(folder).read_all()
    assert (len(records), warnings) == (2, [])


@pytest.mark.slow
def test_no_gpu(forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path) -> None:
    """A GPU that is asked for and absent ends with 3 and the cure, and leaves no record."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CUDA_VISIBLE_DEVICES", "-1")
        done = forge.run(
            *("run", tiny_yaml(), "--device", "gpu", "--runs-dir", tmp_path / "runs"),
            CUDA_VISIBLE_DEVICES="-1",
        )
    assert done.returncode == 3
    assert_short(done.stderr)
    assert done.stderr.splitlines()[-1].startswith(
        "bnbench: device gpu: TensorFlow sees no GPU here, only the CPU; take the device cpu"
    )
    assert untimed_records(tmp_path / "runs") == {}


@pytest.mark.parametrize("kibibytes", [600_000, 1_300_000])
def test_too_little_address_space_for_tensorflow(
    kibibytes: int, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """Where a library cannot be loaded, or would end the process: 3 and one line."""
    command = f"ulimit -v {kibibytes}; {PROGRAM} run {tiny_yaml()} --jobs 1"
    done = shell(f"{command} --runs-dir {tmp_path / 'runs'}")
    assert done.returncode == 3, done.stderr
    assert_short(done.stderr)
    assert "ulimit -v" in done.stderr
    assert untimed_records(tmp_path / "runs") == {}


def test_a_working_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Where `runs` cannot be made a run ends with 3 before TensorFlow, with what to do."""
    (tmp_path / "runs").touch()
    done = bnbench("run", CONFIGS / "smoke.yaml", cwd=tmp_path)
    assert done.returncode == 3
    assert_short(done.stderr)
    assert "bnbench: runs: cannot be written to: " in done.stderr
    assert "choose another place" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_clock_that_is_set_back(
    tiny: Callable[..., Any], keras: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Durations come from the monotonic clock: they stay positive when the date jumps back."""
    from bnbench.training import program as program_module

    moments = iter(range(1_000_000))

    class Backwards(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=next(moments))

    config = tiny()
    program = program_module.TrainingProgram(
        config, program_module.DeviceData.place(dataset_of(config), "CPU:0"), jobs=1
    )
    monkeypatch.setattr(program_module, "datetime", Backwards)
    monkeypatch.setattr(time, "time", lambda: 2e9 - 86_400 * next(moments))
    made = program.run(0)
    assert made is not None
    assert made.duration_seconds > 0
    assert all(seconds > 0 for seconds in made.history.epoch_seconds)
    assert sum(made.history.epoch_seconds) < made.duration_seconds < 120


def test_keras_home_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hiding `keras.json` during the import leaves the environment as it was."""
    for value in ("/somewhere", None):
        if value is None:
            monkeypatch.delenv("KERAS_HOME", raising=False)
        else:
            monkeypatch.setenv("KERAS_HOME", value)
        with replaced(os.environ, "KERAS_HOME", os.devnull):
            assert os.environ["KERAS_HOME"] == os.devnull
        assert os.environ.get("KERAS_HOME") == value


@pytest.mark.parametrize("command", ["plot", "report"])
def test_a_backend_that_matplotlib_does_not_know(
    command: str, runs: Callable[..., Path], tmp_path: Path
) -> None:
    """One line names the variable, with exit code 3, and nothing is written."""
    output = tmp_path / ("drawn.png" if command == "plot" else "drawn.html")
    arguments = (command, "--runs-dir", runs(record()), "--output", output)
    done = bnbench_process(*arguments, env=os.environ | {"MPLBACKEND": "nonsense"})
    reason = "matplotlib has no backend 'nonsense'; correct it, or unset it"
    assert (done.returncode, done.stderr) == (3, f"bnbench: MPLBACKEND: {reason}\n")
    assert not output.exists()
