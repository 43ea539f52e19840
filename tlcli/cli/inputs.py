"""The files that a command reads: what can be said of them before anything is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tlcli.errors import TlcliError, UsageError


def check_inputs(*paths: str | None) -> None:
    """Refuse what cannot be read: two inputs from one stdin, a terminal, an output that is not finished yet.

    Raises TlcliError.
    """
    streams = sum(path == "-" for path in paths)
    if streams > 1:
        raise UsageError(f"{streams} inputs are '-', but stdin holds one file. Give the others by name.")
    if streams and (sys.stdin is None or sys.stdin.isatty()):
        what = "closed" if sys.stdin is None else "a terminal"
        raise UsageError(f"'-' reads a file from stdin, which is {what} here. Pipe one in or give its name.")
    for path in paths:
        if path not in (None, "-") and (unfinished := Unfinished.of(str(path))):
            raise TlcliError(unfinished.message())


class Unfinished:
    """An output that does not exist yet, and the folder beside it that holds what is done of it."""

    def __init__(self, path: str, names: list[str], present: list[str]) -> None:
        self.path, self.folder = path, Path(f"{path}.resume")
        self.runs = [name for name in names if name != "state.h5"]
        self.present = present

    @classmethod
    def of(cls, path: str) -> Unfinished | None:
        """What is unfinished under this name; None where the file exists or nothing is known of it."""
        if os.path.lexists(path):
            return None
        from tlcli.store import owned

        folder = Path(f"{path}.resume")
        names = sorted(owned.list_files(folder))
        return cls(path, names, owned.present(folder)) if names else None

    @property
    def files(self) -> list[str]:
        """What is done: a results file for each run, or the state of a training."""
        return [str(self.folder / name) for name in self.present]

    def progress_text(self) -> str:
        """`13 of 24 runs are there`."""
        if not self.runs:
            return "its training has been interrupted"
        return f"{len(self.present)} of {len(self.runs)} runs are there"

    def message(self, more: str = "") -> str:
        """The error that says so, and what to do."""
        return (
            f"{self.path} is not finished: {self.progress_text()}, in {self.folder}.\n"
            f"The command that makes it does the rest when --resume is added.{more}"
        )
