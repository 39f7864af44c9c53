"""Killed at any moment, the same command goes on and ends with the records of a quiet run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from bnbench.evidence.store import RecordStore
from tests.conftest import ROOT, bnbench_process
from tests.faults.conftest import assert_comparable, assert_short, untimed_records
from tests.forge import FAST, Forge

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS_IN_A_LANE = 12
KILLS_WHILE_IMPORTING = 8


@dataclass
class Lane:
    """Kills one run after another, each at a moment of its own, and checks what is left."""

    forge: Forge
    config: Path
    expected: dict[str, str]
    lifetime: float
    folder: Path
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    def work(self) -> None:
        draw = random.Random(self.seed)
        while self.kills.total() < KILLS_IN_A_LANE:
            runs = self.folder / f"runs{self.ended}"
            moment = self._moment(draw)
            self._kill(runs, moment, SIGNALS[self.kills.total() % 3])
            if untimed_records(runs) == self.expected:
                self._finish(runs)
        self._finish(self.folder / f"runs{self.ended}")

    def _moment(self, draw: random.Random) -> tuple[int, float]:
        """Return after how many new records to kill (0: none needed), and seconds to wait then."""
        if draw.random() < 0.6:
            return 0, draw.uniform(0, self.lifetime)
        return draw.randint(1, 3), draw.uniform(0, 0.02)

    def _kill(self, runs: Path, moment: tuple[int, float], number: signal.Signals) -> None:
        records, pause = moment
        awaited = len(list(runs.glob("*/seed-*"))) + records
        started = self.forge.start("run", self.config, "--jobs", 1, "--runs-dir", runs)
        while records and not started.ended and len(list(runs.glob("*/seed-*"))) < awaited:
            time.sleep(0.001)
        time.sleep(pause)
        started.send(number)
        done = started.wait()
        if done.returncode != 0:
            self.kills[number.name] += 1
            self._check(done, runs, number)

    def _check(
        self, done: subprocess.CompletedProcess[str], runs: Path, number: signal.Signals
    ) -> None:
        assert_right_end(done, number)
        warnings = RecordStore(runs).read_all()[1]
        assert warnings == []
        assert untimed_records(runs).items() <= self.expected.items()

    def _finish(self, runs: Path) -> None:
        for leftover in runs.rglob(".tmp-*"):
            os.utime(leftover, (0, 0))
        done = self.forge.run("run", self.config, "--jobs", 1, "--runs-dir", runs)
        assert done.returncode == 0, done.stderr
        assert untimed_records(runs) == self.expected
        assert list(runs.rglob(".tmp-*")) == []
        self.ended += 1


def assert_right_end(done: subprocess.CompletedProcess[str], number: signal.Signals) -> None:
    """SIGKILL ends a process at once; the others end it with 130 and one clear line."""
    if number is signal.SIGKILL:
        assert done.returncode == -signal.SIGKILL
    elif done.returncode != -number:  # it was not yet in `main`
        assert done.returncode == 130, done.stderr
        assert "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last == "bnbench: interrupted; the same command goes on from what is recorded"


@pytest.mark.endurance
@pytest.mark.slow
def test_two_dozen_kills_lose_nothing(
    forge: Forge, tiny_yaml: Callable[..., Path], tmp_path: Path
) -> None:
    """After 50 kills at random moments the records equal those of an undisturbed run."""
    lanes = []
    for seed, placement in enumerate(("none", "before_activation")):
        config = tiny_yaml(placement, epochs=20, seeds=20, placement=placement)
        folder = tmp_path / f"lane{seed}"
        command = ("run", config, "--jobs", 1, "--runs-dir")
        start = time.monotonic()
        assert forge.run(*command, folder / "quiet").returncode == 0
        lifetime = time.monotonic() - start
        expected = untimed_records(folder / "quiet")
        assert len(expected) == 20
        lanes.append(Lane(forge, config, expected, lifetime, folder, seed))
    assert bnbench_process(*command, tmp_path / "unforked", env=FAST).returncode == 0
    assert untimed_records(tmp_path / "unforked") == expected
    with ThreadPoolExecutor(2) as pool:
        for running in [pool.submit(lane.work) for lane in lanes]:
            running.result()
    kills = lanes[0].kills + lanes[1].kills
    assert kills.total() == 2 * KILLS_IN_A_LANE
    assert_comparable(lanes[0].folder / "runs0")


@pytest.mark.endurance
@pytest.mark.slow
def test_kills_while_importing(tiny_yaml: Callable[..., Path], tmp_path: Path) -> None:
    """A fresh process killed among its imports leaves no record, no traceback and no damage."""
    config, runs = tiny_yaml(), tmp_path / "runs"
    command = [sys.executable, "-m", "bnbench", "run", str(config), "--runs-dir", str(runs)]
    draw = random.Random(2)

    def kill(count: int, moment: float) -> tuple[subprocess.CompletedProcess[str], signal.Signals]:
        number = SIGNALS[count % 3]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        ) as started:
            assert started.stderr is not None
            first = started.stderr.readline()  # from here on its handlers are in place
            time.sleep(moment)
            started.send_signal(number)
            out, err = started.communicate(timeout=60)
        return subprocess.CompletedProcess(command, started.returncode, out, first + err), number

    moments = [draw.uniform(0, 2.5) for _ in range(KILLS_WHILE_IMPORTING)]
    with ThreadPoolExecutor(2) as pool:
        for done, number in pool.map(kill, range(KILLS_WHILE_IMPORTING), moments):
            assert done.returncode in (130, -signal.SIGKILL), done.stderr
            assert_right_end(done, number)
    assert untimed_records(runs) == {}


@pytest.mark.slow
def test_signals_while_the_end_is_near(forge: Forge, tiny_yaml: Callable[..., Path]) -> None:
    """Ctrl-C again and again ends with 130 and one line, wherever each of them falls."""
    config = tiny_yaml(epochs=100_000)
    started = forge.start("run", config, "--jobs", 1, "--runs-dir", config.parent / "runs")
    time.sleep(2)
    while not started.ended:
        started.send(signal.SIGINT)
        time.sleep(0.01)
    done = started.wait()
    assert done.returncode == 130, done.stderr
    assert_short(done.stderr)
    assert done.stderr.count("interrupted") == 1


ENDLESS = """
import sys
from pathlib import Path
from tests.forge import Forge

forge = Forge(Path(sys.argv[2]))
forge.start("run", sys.argv[1], "--jobs", 2, "--runs-dir", sys.argv[2] + "/runs")
print("started", flush=True)
sys.stdin.read()
"""


@pytest.mark.endurance
@pytest.mark.slow
def test_what_tests_start_ends_with_them(tiny_yaml: Callable[..., Path], tmp_path: Path) -> None:
    """Where the tests are killed, no run that they have started goes on for ever."""
    command = [sys.executable, "-c", ENDLESS, str(tiny_yaml(epochs=100_000)), str(tmp_path)]
    streams = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with subprocess.Popen(command, cwd=ROOT, **streams) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline() == b"started\n"
        family: list[psutil.Process] = []
        while len(family) < 6:  # the server, the one that waits, `bnbench`, its driver, two workers
            family = psutil.Process(tests.pid).children(recursive=True)
        tests.kill()
        assert psutil.wait_procs(family, timeout=20)[1] == []
