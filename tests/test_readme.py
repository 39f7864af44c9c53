"""The README says what the program does."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from bnbench.experiments.config import parse_config
from bnbench.version import __version__
from tests.conftest import ROOT, bnbench
from tests.forge import Forge

README = (ROOT / "README.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_example_config_loads() -> None:
    """The config shown is a valid one, and sets what its keys say."""
    (example,) = blocks("yaml")
    config = parse_config(example, "README.md")
    assert config.training.learning_rate == 1e-3
    assert yaml.safe_load(example)["name"] == config.name


def test_the_smoke_command_works(forge: Forge, tmp_path: Path) -> None:
    """The line for continuous integration, run as it is written."""
    (line,) = (block for block in blocks("sh") if "--smoke" in block)
    run, compare = (shlex.split(part) for part in line.split("&&"))
    configs = sorted(str(path) for path in (ROOT / "configs").glob("*.yaml"))
    arguments = [c for word in run[1:] for c in (configs if word == "configs/*.yaml" else [word])]
    for command in (arguments, compare[1:]):
        done = forge.run(*command, "--runs-dir", tmp_path)
        assert done.returncode == 0, done.stderr
    assert "Smoke run" in done.stdout


def test_the_version_is_that_of_the_package() -> None:
    """In the entry to cite, and first in the changelog."""
    (entry,) = blocks("bibtex")
    assert f"version = {{{__version__}}}" in entry
    changelog = (ROOT / ".github" / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(.*?)\]", changelog, re.MULTILINE)[0] == __version__


@pytest.mark.parametrize("command", ["apt-get install -y dataset-fashion-mnist", "pytest"])
def test_the_gate_runs_what_the_readme_says(command: str) -> None:
    """Data package and test command are those of `.ci/run`."""
    assert any(command in block for block in blocks("sh"))
    assert command.split()[-1] in CI


def test_documented_options_exist() -> None:
    """Every option that the README names is in a help page."""
    commands = ((), ("run",), ("compare",), ("plot",), ("pack",), ("init",), ("data",))
    pages = "".join(bnbench(*command, "--help").stdout for command in commands)
    # Of the lines of other programs, such as Ray's and SLURM's, what follows ours counts.
    lines = (line[line.find("bnbench") :] for line in README.splitlines() if "bnbench" in line)
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join([prose, *lines])))
    named -= {
        "--logdir",
        "--dist",
        "--generate",
        "--nodes",
        "--cpus-per-task",
    }  # TensorBoard's, Ray's, SLURM's
    assert named >= {"--smoke", "--all-pairs", "--fail-under"}
    assert {option for option in named if option not in pages} == set()
