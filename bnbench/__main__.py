"""The program: the command line from its start to the exit code of its end."""

import errno
import os
import sys
from contextlib import suppress
from typing import Any

from bnbench import interruption  # the rest is imported when signals are caught
from bnbench.errors import BnbenchError, EnvironmentFault, InputError


def main() -> None:
    """Run the command line; a fault that the user can correct is shown without a traceback."""
    interruption.catch()
    try:
        _open_closed_streams()
        _run_command()
    except BaseException:  # an import that is interrupted may raise any
        if not interruption.came():
            raise
        interruption.end()


def _run_command() -> None:
    import typer

    from bnbench.cli.commands import app
    from bnbench.text import visible

    usage_error: Any = typer.BadParameter.__bases__[0]  # of wrong options and arguments
    try:
        _end("", app(prog_name="bnbench", standalone_mode=False) or 0)
    except SystemExit as end:  # completion ends so
        _end("", int(end.code or 0))
    except BnbenchError as error:
        _end(str(error), error.exit_code)
    except OSError as error:  # of what typer prints; our own output raises `BnbenchError`
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        message = f"standard output: cannot be written: {error.strerror}; send it to another place"
        _end(message, EnvironmentFault.exit_code)
    except usage_error as error:
        _end(visible(error.format_message()), InputError.exit_code)


def _open_closed_streams() -> None:
    """Open every standard stream that is closed, so that no other file gets its descriptor."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # worker processes need them too
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open to the end
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _end(message: str, exit_code: int) -> None:
    interruption.ignore()
    if message:
        from bnbench.cli import options
        from bnbench.show import terminal

        if options.debugging:
            import traceback

            traceback.print_exc()
        terminal.notice(f"bnbench: {message}", "red")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # what could not be written has been reported
            stream.flush()
    os._exit(exit_code)  # without waiting for child processes or libraries to end


if __name__ == "__main__":
    main()
