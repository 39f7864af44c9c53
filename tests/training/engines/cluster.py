"""Ray nodes in a network namespace of their own, where nothing but its loopback exists."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import ROOT
from tests.forge import FAST

HEAD, SECOND, PORT = "10.9.0.1", "10.9.0.2", 6399
ADDRESS = f"{HEAD}:{PORT}"
_ADDRESSES = f"ip link set lo up && ip addr add {HEAD}/32 dev lo && ip addr add {SECOND}/32 dev lo"
# When the tests end, even if they are killed, so does `cat`, and then all that is in the namespace.
_KEEP = """cat
for process in /proc/[0-9]*; do
    [ $process/ns/net -ef /proc/$$/ns/net ] && [ $process != /proc/$$ ] && kill -9 ${process#/proc/}
done"""
_NODE = ("--num-cpus=1", "--disable-usage-stats", "--object-store-memory=100000000", "--block")


def hindrance() -> str | None:
    """Return why there can be no cluster here, if so."""
    for program in ("unshare", "nsenter", "ip"):
        if not shutil.which(program):
            return f"needs the program {program}"
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        return "needs the right to make a network namespace (unshare -n)"
    return None


class Cluster:
    """Two nodes of one CPU each, which ask for a token; commands are run beside them."""

    def __init__(self, folder: Path, environment: Mapping[str, str] = FAST) -> None:
        self._folder = folder
        self.environment = (
            os.environ
            | environment
            | {
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": secrets.token_hex(32),
                "RAY_USAGE_STATS_ENABLED": "0",
                "PYTHONPATH": str(ROOT),
            }
        )
        self._namespace = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", f"{_ADDRESSES} && echo made && {_KEEP}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._namespace.stdout is not None
        assert self._namespace.stdout.readline() == b"made\n"
        # Ray makes a socket there, whose path may have only 107 characters.
        self._temporary = Path("/tmp") / f"ray-{secrets.token_hex(4)}"
        self.head = self._node(
            "--head",
            f"--node-ip-address={HEAD}",
            f"--port={PORT}",
            "--include-dashboard=false",
            f"--temp-dir={self._temporary}",
        )
        self.second = self._node(f"--address={ADDRESS}", f"--node-ip-address={SECOND}")

    def _node(self, *options: str) -> psutil.Popen:
        log = self._folder / f"node-{secrets.token_hex(4)}"
        program = str(Path(sys.executable).with_name("ray"))
        with log.open("wb") as output:
            node = self.start(program, "start", *options, *_NODE, stdout=output, stderr=output)
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in log.read_text():
            assert node.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        return node

    def start(self, *command: str, token: str | None = None, **options: Any) -> psutil.Popen:
        """Start a command in the namespace."""
        environment = self.environment | ({"RAY_AUTH_TOKEN": token} if token else {})
        enter = ["nsenter", f"--net=/proc/{self._namespace.pid}/ns/net"]
        return psutil.Popen([*enter, *command], env=environment, **options)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that make a run now: Ray gives them its name as title."""
        found = []
        for node in (self.head, self.second):
            if node.is_running():
                found += node.children(recursive=True)
        return [process for process in found if re.match(r"ray::.* seed \d", _title(process))]

    def close(self) -> None:
        for node in (self.second, self.head):
            kill_node(node)
        self._namespace.communicate()
        shutil.rmtree(self._temporary, ignore_errors=True)


def kill_node(node: psutil.Popen) -> None:
    """End every process of a node at once, as a power cut does."""
    if not node.is_running():
        return
    family = [*node.children(recursive=True), node]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=20)


def _title(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""
