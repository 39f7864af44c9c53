"""A real notebook: it trains, shows a study, and is interrupted without leaving anything behind."""

import json
import re
import subprocess
import time
from pathlib import Path
from shutil import which
from typing import Any

import psutil
import pytest

from tests.conftest import ROOT, tiny_settings, write_data

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

pytestmark = pytest.mark.slow


def executed(folder: Path, *cells: str, interrupt_when: str = "") -> Any:
    """Execute a notebook of these cells in the folder and return it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources=resources, allow_errors=True, kernel_name="python3"
    )
    if interrupt_when:
        client.on_cell_execute = lambda cell, cell_index: _interrupt_later(client, interrupt_when)
    client.execute()
    return notebook


def _interrupt_later(client: Any, path: str) -> None:
    import threading

    def wait_and_interrupt() -> None:
        deadline = time.monotonic() + 60
        while not list(Path(path).glob("*/seed-*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        kernel = client.km.provisioner.process
        kernel.send_signal(2)

    threading.Thread(target=wait_and_interrupt, daemon=True).start()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with tiny data and the start of a notebook that runs two placements on it."""
    write_data(tmp_path / "tiny.npz", rows=110)
    (tmp_path / "tiny.yaml").write_text("name: tiny\n")
    settings = tiny_settings(tmp_path / "tiny.npz")
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    return tmp_path


START = f"""
import json, sys
sys.path.insert(0, {str(ROOT)!r})
import bnbench
settings = json.load(open("settings.json"))
"""
PLACEMENTS = "model.batch_norm.placement=none,before_activation"


def test_a_notebook_trains_and_shows(home: Path, tmp_path: Path) -> None:
    """One line for each finished run and no frames, then answer and tables as HTML and a frame."""
    notebook = executed(
        home,
        START,
        f"study = bnbench.run('tiny.yaml', settings=[*settings, {PLACEMENTS!r}], jobs=1)\nstudy",
        "study.to_frame()[['placement', 'seed', 'test_accuracy']]",
        "'tensorflow' in sys.modules",
    )
    assert not errors(notebook)
    printed = "".join(o.text for o in notebook.cells[1].outputs if o.output_type == "stream")
    assert len(re.findall(r"^\[\d/4\] tiny\+placement=\w+ seed \d", printed, re.MULTILINE)) == 4
    assert "\x1b" not in printed
    assert "\r" not in printed
    page = shown(notebook.cells[1])["text/html"]
    assert "tiny · before_activation" in page
    assert "<table" in page
    assert "test_accuracy" in shown(notebook.cells[2])["text/plain"]
    assert shown(notebook.cells[3])["text/plain"] == "False"
    if chromium := which("chromium"):
        for theme in ("light", "dark"):
            assert_readable(chromium, page, theme, tmp_path)


@pytest.mark.endurance
def test_an_interrupted_notebook_keeps_what_is_recorded(home: Path) -> None:
    """Ctrl-C ends the workers; the records stay, and the same call goes on from them."""
    many = (
        "bnbench.run('tiny.yaml', settings=[*settings, 'training.epochs=400'], seeds=500, jobs=1)"
    )
    runs = home / "runs"
    notebook = executed(home, f"{START}\n{many}", interrupt_when=str(runs))
    assert [error.ename for error in errors(notebook)] == ["KeyboardInterrupt"]
    recorded = len(list(runs.glob("*/seed-*.json")))
    assert 0 < recorded < 500
    time.sleep(1)
    assert len(list(runs.glob("*/seed-*.json"))) == recorded
    assert not [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(home)]


def errors(notebook: Any) -> list[Any]:
    return [o for cell in notebook.cells for o in cell.outputs if o.output_type == "error"]


def shown(cell: Any) -> Any:
    (result,) = (o for o in cell.outputs if o.output_type == "execute_result")
    return result.data


def assert_readable(chromium: str, page: str, theme: str, folder: Path) -> None:
    """Assert that a browser draws the part with a contrast that people can read."""
    light = json.dumps(theme == "light")
    script = """
      const box = document.querySelector('.bnbench'), seen = getComputedStyle(box);
      const bright = c => { const [r, g, b] = c.match(/[0-9]+/g).map(v => v / 255)
        .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b; };
      const [a, b] = [bright(seen.color), bright(seen.backgroundColor)].sort((x, y) => y - x);
      document.title = [(a + .05) / (b + .05), bright(seen.backgroundColor)].join(' ');
    """
    html = folder / f"{theme}.html"
    html.write_text(
        f"<!doctype html><body data-jp-theme-light={light}>{page}<script>{script}</script>"
    )
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={folder / theme}", "--dump-dom", str(html),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    found = re.search(r"<title>([\d.]+) ([\d.]+)</title>", done.stdout)
    assert found, done.stderr
    assert float(found[1]) > 7
    assert (float(found[2]) > 0.5) == (theme == "light")
