"""Every bad config ends in one InputError that says where and what, quickly and in little memory.

The files are in ``configs/``, what their messages must hold in ``bad_configs.txt``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnbench.errors import InputError
from bnbench.experiments.config import load_config
from bnbench.text import visible

HERE = Path(__file__).parent
FOLDER = HERE / "configs"


def _read_table() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for line in (HERE / "bad_configs.txt").read_text("utf-8").splitlines()[1:]:
        file, _, part = line.partition("  ")
        table.setdefault(file, []).append(part)
    return table


TABLE = _read_table()
MISSING = ": cannot read the config: no such file; bnbench init writes the shipped ones"


def _message(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_config(path)
    return str(caught.value)


def _make_generated(folder: Path) -> list[Path]:
    """Write the configs that are too large or too odd to be kept as files."""
    with (folder / "sparse_100_megabytes.yaml").open("wb") as file:
        file.write(b"name: bad\n#")
        file.truncate(100 * 2**20)
    (folder / "levels_10000.yaml").write_text("".join(f"{' ' * i}a:\n" for i in range(10_000)))
    (folder / "levels_150.yaml").write_text("".join(f"{' ' * i}a:\n" for i in range(150)))
    (folder / "commas.yaml").write_text(f"name: bad\nseeds: [{'1, ' * 20_000}]\n")
    (folder / "questions.yaml").write_text("? " * 30_000)
    (folder / "one_long_word.yaml").write_text("x" * 65_000)
    (folder / "one_long_quote.yaml").write_text('"' + "\\" * 65_000)
    (folder / "many_keys.yaml").write_text("".join(f"{i:x}k:\n" for i in range(9_000)))
    (folder / "long_tag_handle.yaml").write_text(f"!{'x' * 60_000}!y z")
    (folder / "many_anchors.yaml").write_text(f"seeds: [{'&a 1, ' * 10_000}]\n")
    (folder / "folder.yaml").mkdir()
    (folder / "dangling.yaml").symlink_to(folder / "nowhere")
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.yaml")
    return sorted(folder.iterdir())


def test_the_table_names_every_file() -> None:
    """A bad config without a row, or a row without its file, is noticed."""
    assert sorted(TABLE) == sorted(path.name for path in FOLDER.iterdir())
    assert len(TABLE) >= 70


@pytest.mark.parametrize("file", TABLE)
def test_bad_config(file: str) -> None:
    """The message names the file in each line and holds what the table says, and no raw codes."""
    message = _message(FOLDER / file)
    for part in TABLE[file]:
        assert part in message
    lines = message.splitlines()
    for line in lines:
        assert line.startswith((f"{FOLDER / file}:", "and ")), line
        assert line == visible(line)
    for leak in ("pydantic", "Traceback", "https://errors", "literal[", "type="):
        assert leak not in message
    assert len(lines) <= 101


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("sparse_100_megabytes", ": expected a config of at most 65,536 bytes, got more"),
        ("levels_10000", ": expected a config of at most 65,536 bytes, got more"),
        ("levels_150", ":20: cannot read as YAML: nested more than 20 levels deep"),
        ("folder", ": expected a config file, but this is not a regular file"),
        ("pipe", ": expected a config file, but this is not a regular file"),
        ("dangling", MISSING),
        ("missing", MISSING),
        ("loop", ": cannot read the config: Too many levels of symbolic links"),
    ],
)
def test_not_a_file_to_read(name: str, end: str, tmp_path: Path) -> None:
    """What is no small regular file is refused in one whole line, without being opened."""
    _make_generated(tmp_path)
    path = tmp_path / f"{name}.yaml"
    assert _message(path) == f"{path}{end}"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_device_is_not_read() -> None:
    """An endless device is refused."""
    assert _message(Path("/dev/zero")).endswith("but this is not a regular file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission(tmp_path: Path) -> None:
    """A file that may not be read is named with the reason."""
    path = tmp_path / "secret.yaml"
    path.write_text("name: secret\n")
    path.chmod(0)
    assert _message(path) == f"{path}: cannot read the config: Permission denied"


def test_a_path_with_control_codes() -> None:
    """A path that no file can have is shown with its codes made visible."""
    assert _message(Path("a\0\x1b.yaml")).startswith(r"a\x00\x1b.yaml: cannot read the config: ")


LOAD_ALL = """
import json, sys, time
from pathlib import Path
from bnbench.experiments.config import load_config
from bnbench.errors import InputError

slowest = (0.0, "")
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        load_config(Path(path))
        sys.exit(f"{path} was accepted")
    except InputError:
        pass
    slowest = max(slowest, (time.process_time() - start, path))
status = Path("/proc/self/status")  # getrusage would count the parent's memory before exec
peak = 0
if status.exists():
    peak = next(int(x.split()[1]) for x in status.read_text().splitlines() if "VmHWM" in x)
heavy = [name for name in ("tensorflow", "keras", "numpy", "rich") if name in sys.modules]
print(json.dumps({"slowest": slowest, "peak_kilobytes": peak, "heavy": heavy}))
"""


def test_all_in_one_process(tmp_path: Path) -> None:
    """No bad config takes 2 s of a core or 200 MB, imports TensorFlow, or runs a tag's code."""
    generated = tmp_path / "generated"
    working = tmp_path / "working"
    generated.mkdir()
    working.mkdir()
    paths = [*sorted(FOLDER.iterdir()), *_make_generated(generated)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, *map(str, paths)],
        cwd=working, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["heavy"] == []
    assert figures["slowest"][0] < 2, figures
    assert figures["peak_kilobytes"] < 200 * 1024
    assert list(working.iterdir()) == [], "a tag created the canary file"
