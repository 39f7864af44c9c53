"""What the fault tests share: cheap real processes, and looks into the folder of the records."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import bnbench


def untimed(text: str) -> str:
    """Return a record's text without what differs between two equal runs.

    Times do, and how many runs were made at once, which are no more than there are to make.
    """
    content: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    for field in ("compile_seconds", "duration_seconds", "started_at"):
        del content[field]
    del content["history"]["epoch_seconds"], content["environment"]["jobs"]
    return json.dumps(content)


def untimed_records(runs: Path) -> dict[str, str]:
    """Return every file under ``runs``, temporary ones aside, each whole and without times."""
    return {
        str(path.relative_to(runs)): untimed(path.read_text())
        for path in sorted(runs.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return the path and the bytes of everything under a folder (None: not a file)."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def assert_short(stderr: str) -> None:
    """What was said is a few lines without a traceback or raw control codes."""
    assert "Traceback" not in stderr
    assert 1 <= len(stderr.splitlines()) <= 8, stderr
    assert all(character == "\n" or character.isprintable() for character in stderr), repr(stderr)


def assert_comparable(runs: Path, experiments: int = 1) -> None:
    """`bnbench compare` reads the folder and finds so many experiments."""
    done = bnbench("compare", "--runs-dir", runs, "--format", "json")
    assert done.returncode == 0, done.stderr
    protocols = json.loads(done.stdout, parse_constant=pytest.fail)["protocols"]
    assert sum(len(protocol["experiments"]) for protocol in protocols) == experiments
