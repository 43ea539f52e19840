"""Check the files that a command reads, before it reads them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tlcli.errors import TlcliError, UsageError


def check_inputs(*paths: str | None) -> None:
    """Refuse inputs that cannot be read: two from one stdin, a terminal, an unfinished output.

    Raises TlcliError.
    """
    streams = sum(path == "-" for path in paths)
    if streams > 1:
        raise UsageError(f"{streams} inputs are '-', but stdin holds one file. Give the others by name.")
    if streams and (sys.stdin is None or sys.stdin.isatty()):
        what = "closed" if sys.stdin is None else "a terminal"
        raise UsageError(f"'-' reads a file from stdin, which is {what} here. Pipe one in or give its name.")
    for path in paths:
        if path not in (None, "-") and (unfinished := UnfinishedOutput.of(str(path))):
            raise TlcliError(unfinished.message())


class UnfinishedOutput:
    """An output that is not complete, and the folder beside it with the finished runs or the state."""

    def __init__(self, path: str, names: list[str], present: list[str]) -> None:
        self.path, self.folder = path, Path(f"{path}.resume")
        self.runs = [name for name in names if name != "state.h5"]
        self.present = present

    @classmethod
    def of(cls, path: str) -> UnfinishedOutput | None:
        """The unfinished output of this name; None if the file exists or no command has begun it."""
        if os.path.lexists(path):
            return None
        from tlcli.store import owned

        folder = Path(f"{path}.resume")
        names = sorted(owned.list_files(folder))
        return cls(path, names, owned.present(folder)) if names else None

    @property
    def files(self) -> list[str]:
        """The files that are there: one for each finished run, or the state of a training."""
        return [str(self.folder / name) for name in self.present]

    def progress_text(self) -> str:
        """`13 of 24 runs are there`."""
        if not self.runs:
            return "its training has been interrupted"
        return f"{len(self.present)} of {len(self.runs)} runs are there"

    def message(self, more: str = "") -> str:
        """The message of the error: what is there and how to go on."""
        return (
            f"{self.path} is not finished: {self.progress_text()}, in {self.folder}.\n"
            f"To do the rest, give its command again with --resume.{more}"
        )
