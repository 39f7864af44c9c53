"""The program: the command line from its start to the exit code of its end."""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from bnbench import interruption
from bnbench.cli import options
from bnbench.cli.commands import app
from bnbench.errors import BnbenchError, InputError, Interrupted
from bnbench.text import visible


def main() -> None:
    """Run the command line; what the user can mend is shown as a message, not as a traceback."""
    _prepare_streams()
    interruption.catch()
    try:
        _refuse_odd_arguments(sys.argv[1:])
        app(prog_name="bnbench")
    except SystemExit as end:
        _end("", int(end.code or 0))
    except BnbenchError as error:
        _end(str(error), error.exit_code)
    except (Exception, Interrupted):
        if not interruption.came():
            raise
        # An import that is interrupted may end in any error.
        _end("interrupted; the same command goes on from what is recorded", Interrupted.exit_code)
    finally:
        interruption.ignore()


def _prepare_streams() -> None:
    """Give every standard stream that is closed a descriptor, so that no other file gets its."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open to the end
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _refuse_odd_arguments(arguments: Sequence[str]) -> None:
    """Raise InputError for what typer would show as it is, control codes and all."""
    takes_none = arguments[:1] in (["schema"], ["data"])
    for previous, argument in pairwise(["", *arguments]):
        shown = visible(argument.partition("=")[0])
        if argument.startswith(shown):
            continue
        if argument.startswith("-"):
            raise InputError(f"no such option: {shown}; bnbench --help lists those there are")
        if takes_none and previous != "--data-dir":
            raise InputError(f"unexpected argument: {shown}")


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
    os._exit(exit_code)  # threads that still train are not waited for, and nothing is taken down


if __name__ == "__main__":
    main()
