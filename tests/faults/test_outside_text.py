"""Text from configs, records, paths and exceptions is shown, and never acts on a terminal."""

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from bnbench.show import formats
from tests.conftest import bnbench, compare, on_terminal, record

EVIL = "[/x][link=http://evil]\x1b]0;title\x07\x1b[31m\x9b31m\u202e\u2066\u200b[bold]"
SHOWN = r"[/x][link=http://evil]\x1b]0;title\x07\x1b[31m\x9b31m\u202e\u2066\u200b[bold]"
EVIL_FILE = EVIL.replace("/", "|")
SHOWN_FILE = SHOWN.replace("/", "|")
CSV_STARTS = ("=", "+", "-", "@", "\t=", "\r=")


def assert_harmless(text: str) -> None:
    for character in text:
        assert character == "\n" or unicodedata.category(character)[0] != "C", repr(text)


@pytest.fixture
def hostile(runs: Callable[..., Path]) -> Path:
    """Records that differ in processor, and so are remarked on, in a folder with a hostile name."""
    folder = runs(
        record(processor=EVIL, tensorflow=EVIL, platform=EVIL, data_sha256=EVIL),
        record("pre_act", processor=f"{EVIL} &%$#_{{}}~^\\ | ` * < >", data_sha256=EVIL),
    )
    home = next(folder.iterdir())
    (home / f"{EVIL_FILE}\nwarning: all is well.json").write_text("{}")
    renamed = folder.with_name(EVIL_FILE)
    folder.rename(renamed)
    return renamed


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown", "latex"])
def test_records_and_paths_in_every_format(format: str, hostile: Path) -> None:
    """Nothing raw reaches either stream, and the text can still be read."""
    done = bnbench("compare", "--runs-dir", hostile, "--format", format)
    assert done.returncode == 0, done.stderr
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)
    (warning,) = done.stderr.splitlines()
    assert SHOWN_FILE in warning
    assert ": skipped: what is no run record: " in warning
    assert warning.endswith(r"\nwarning: all is well.json")
    if format == "json":
        (protocol,) = json.loads(done.stdout)["protocols"]
        assert protocol["data_sha256"] == EVIL
    elif format == "table":
        assert SHOWN in done.stdout
    elif format == "latex":
        assert f"% {SHOWN}" in done.stdout or r"\x1b" in done.stdout


def test_on_a_terminal(hostile: Path) -> None:
    """On a terminal of 100 columns the only escape codes are those of bnbench's own styles."""
    assert_harmless(on_terminal("compare", "--runs-dir", hostile, columns=100))


@pytest.mark.parametrize("start", CSV_STARTS)
def test_no_formula_in_csv(start: str) -> None:
    """A cell that a spreadsheet would compute is quoted; numbers stay numbers."""
    made = record(processor=f"{start}cmd|' /C calc'!A0", accuracy=0.5, test_loss=0.25)
    (row,) = csv.DictReader(io.StringIO(formats.to_csv(compare([made]))))
    assert row["processor"][0] in "'\\"
    assert row["processor"].lstrip("'\\")
    assert (row["test_loss"], float(row["test_accuracy"])) == ("0.25", 0.5)


def test_markdown_and_latex_are_escaped() -> None:
    """What would be a link, a table's edge or a command there is escaped."""
    nasty = r"| [a](http://x) <script> `c` *b* _i_ # $x^2$ % & {y} ~ \input{/etc/passwd}"
    made = [record(processor=nasty), record("pre_act", processor="other")]
    markdown, latex = formats.to_markdown(compare(made)), formats.to_latex(compare(made))
    assert r"\| \[a\](http:<!-- -->//x) \<script\> \`c\` \*b\* \_i\_ \#" in markdown
    lines = [line for line in latex.splitlines() if "processor" in line]
    assert lines
    assert all(line.startswith("% ") for line in lines)


@pytest.mark.parametrize("name", [EVIL, "../../etc/passwd", "[/x]", "=1+1", "a\nb"])
def test_a_record_cannot_bear_a_hostile_name(name: str, runs: Callable[..., Path]) -> None:
    """A name that no config may have makes a record no record, and is not repeated raw."""
    folder = runs(record())
    (path,) = folder.rglob("*.json")
    content = json.loads(path.read_text())
    content["experiment"] = content["config"]["name"] = name
    path.write_text(json.dumps(content))
    done = bnbench("compare", "--runs-dir", folder)
    assert done.returncode == 2
    assert_harmless(done.stderr)
    warning = f"\n{path}: skipped: not a run record: config.name: expected 1 to 64"
    assert warning in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", f"{EVIL_FILE}.yaml"),
        ("run", "{config}", "--runs-dir", f"{EVIL_FILE}/file/runs"),
        ("run", "{config}", "--set", f"{EVIL}=1"),
        ("run", "{config}", "--set", f"training.optimizer={EVIL}"),
        ("run", "{config}", "--set", f"data.dataset={EVIL_FILE}.npz"),
        ("run", "{config}", "--seeds", EVIL),
        ("run", "{config}", "--device", EVIL),
        ("run", "{config}", "--\x1b[31m\u202e"),
        ("show", "{hostile config}"),
        ("compare", EVIL),
        ("compare", "--metric", EVIL),
        ("compare", "--output", f"{EVIL_FILE}/missing/file"),
        ("compare", "--runs-dir", f"{EVIL_FILE}/missing"),
        (EVIL,),
    ],
)
def test_messages(
    arguments: tuple[str, ...], runs: Callable[..., Path], tiny_yaml: Callable[..., Path]
) -> None:
    """Every message with text from the command line shows it and ends with a documented code."""
    folder = runs(record()).parent
    config = tiny_yaml()
    hostile = config.with_name("hostile.yaml")
    hostile.write_text(f"name: hostile\ndescription: {json.dumps(EVIL)}\n")
    (folder / EVIL_FILE).mkdir()
    (folder / EVIL_FILE / "file").touch()
    known = {"{config}": str(config), "{hostile config}": str(hostile)}
    done = bnbench(*(known.get(a, a) for a in arguments), cwd=folder)
    assert done.returncode == {"show": 0}.get(arguments[0], 3 if "file" in str(arguments) else 2)
    assert "Traceback" not in done.stderr
    assert_harmless(done.stdout + done.stderr)
    assert r"\x1b" in done.stdout + done.stderr or r"\u001b" in done.stdout  # as YAML has it
