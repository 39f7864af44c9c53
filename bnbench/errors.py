"""Faults that the user can mend, each kind with the exit code of the command that meets it."""


class BnbenchError(Exception):
    """Base of all of them: the message alone is shown, without a traceback."""

    exit_code = 1


class CheckFailed(BnbenchError):
    """A check that was asked for did not hold, or a run diverged or failed."""

    exit_code = 1


class InputError(BnbenchError):
    """A config file, an option or a name is wrong."""

    exit_code = 2


class EnvironmentFault(BnbenchError):
    """The machine lacks something: data, a GPU, disk space, a writable folder."""

    exit_code = 3


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; not an error, and not to be caught as one."""

    exit_code = 130
