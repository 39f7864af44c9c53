"""A process that holds programs and runs their epochs on command.

It reads one JSON command a line from standard input and answers each with one JSON line. What
libraries print goes to standard error.
"""

import json
import os
import sys
import time
from typing import Any

from tests.benchmarks import peers
from tests.benchmarks.peers import Program, Task


class Holder:
    """The programs of this process by name."""

    def __init__(self) -> None:
        self._programs: dict[str, Any] = {}

    def check(self, peer: str, task: dict[str, Any]) -> list[float]:
        """Return the mean loss of one epoch, and the loss of the first batch after it."""
        program = peers.make(peer, Task.of(task))
        mean = program.train(program.task.order)
        return [mean, program.loss(program.task.order[: program.task.batch_size])]

    def prepare(self, peer: str, task: dict[str, Any]) -> float:
        """Build a program, let go of the one before it, warm it up; return the seconds."""
        start = time.perf_counter()
        self._programs.pop(peer, None)
        program: Program = peers.make(peer, Task.of(task))
        program.warm_up()
        self._programs[peer] = program
        return time.perf_counter() - start

    def epoch(self, peer: str) -> float:
        """Train one epoch and return its seconds."""
        return float(self._programs[peer].epoch())

    def many_runs(self, task: dict[str, Any], counts: list[int], jobs: int) -> Any:
        """Return seconds and resident memory after each count of runs."""
        from tests.benchmarks.peers import bnbench_program

        return bnbench_program.many_runs(Task.of(task), counts, jobs)


def main() -> None:
    """Answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    holder = Holder()
    for line in sys.stdin:
        command, arguments = json.loads(line)
        try:
            answer = {"answer": getattr(holder, command)(**arguments)}
        except Exception as failure:  # the parent decides
            answer = {"failure": f"{type(failure).__name__}: {failure}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
