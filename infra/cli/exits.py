"""How the command ends, for scripts: one number a reason."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes there are."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNAUTHORISED = 5
    UNREACHABLE = 6
    FINISHED_FAILED = 7
    INVALID = 8
    TIMEOUT = 124
    INTERRUPTED = 130
