"""The program from its start to its end in this process, which costs a twentieth of a new one."""

import gc
import io
import os
import signal
import sys
from typing import Any, NamedTuple

import pytest
import typer

from bnbench import __main__
from bnbench.cli.commands import app

COMMAND: Any = typer.main.get_command(app)  # what a call of the app makes anew each time


class Ended(BaseException):
    """What the program ends in here, in place of the end of the process."""


class Done(NamedTuple):
    code: int
    out: str
    err: str


def drive(*arguments: object) -> Done:
    """Run the program from its start to its end, in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(code: int) -> None:
        raise Ended(code)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["bnbench", *map(str, arguments)])
        patched.setattr(sys, "stdout", streams[0])
        patched.setattr(sys, "stderr", streams[1])
        patched.setattr(sys, "unraisablehook", sys.unraisablehook)
        patched.setattr(os, "_exit", end)
        patched.setattr("bnbench.cli.commands.app", COMMAND)
        try:
            __main__.main()
        except Ended as ended:
            code = ended.args[0]
        finally:
            gc.enable()
            for number, handler in handlers.items():
                signal.signal(number, handler)
    out, err = (stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]
    return Done(code, out, err)
