"""The program: the command line from its start to the exit code of its end."""

import os
import sys
import traceback
from contextlib import suppress
from typing import Any

import typer

from bnbench import interruption
from bnbench.cli import options
from bnbench.cli.commands import app
from bnbench.errors import BnbenchError, InputError, Interrupted
from bnbench.text import visible

# What typer raises for wrong options and arguments.
UsageError: Any = typer.BadParameter.__bases__[0]


def main() -> None:
    """Run the command line; a fault that the user can correct is shown without a traceback."""
    _prepare_streams()
    interruption.catch()
    try:
        _end("", app(prog_name="bnbench", standalone_mode=False) or 0)
    except SystemExit as end:  # completion ends so
        _end("", int(end.code or 0))
    except UsageError as error:
        _end(visible(error.format_message()), InputError.exit_code)
    except BnbenchError as error:
        _end(str(error), error.exit_code)
    except (Exception, Interrupted):
        if not interruption.came():
            raise
        # An import that is interrupted may raise any exception.
        _end("interrupted; the same command goes on from what is recorded", Interrupted.exit_code)
    finally:
        interruption.ignore()


def _prepare_streams() -> None:
    """Open every standard stream that is closed, so that no other file gets its descriptor."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open to the end
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _end(message: str, exit_code: int) -> None:
    interruption.ignore()
    if message:
        from bnbench.show import terminal

        if options.debugging:
            traceback.print_exc()
        terminal.notice(f"bnbench: {message}", "red")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # what could not be written has been reported
            stream.flush()
    os._exit(exit_code)  # without waiting for child processes or libraries to end


if __name__ == "__main__":
    main()
