"""The errors a user can cause, each with the exit code it ends the program with."""

from __future__ import annotations


class TlcliError(Exception):
    """The command could not be done: bad data, a full disk, a file of the wrong kind (exit code 1).

    The message says in one or two lines what was received, what was expected and what to do.
    """

    exit_code = 1


class UsageError(TlcliError):
    """The command was called wrongly: an unknown name, a value out of range (exit code 2)."""

    exit_code = 2


class Interrupted(TlcliError):
    """A long command was asked to stop. It has saved what it needs to go on."""

    exit_code = 130
