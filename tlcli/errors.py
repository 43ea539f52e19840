"""The errors a user can cause, each with the exit code it ends the program with."""

from __future__ import annotations


class TlcliError(Exception):
    """It could not be done: bad data, no disk, a file of the wrong kind (exit code 1).

    The message is one or two plain lines: what was received, what was expected, what to do.
    """

    exit_code = 1


class UsageError(TlcliError):
    """The request itself makes no sense: an unknown name, a value out of range (exit code 2)."""

    exit_code = 2


class Interrupted(TlcliError):
    """A long command was asked to stop; what it needs to go on has been saved."""

    exit_code = 130
