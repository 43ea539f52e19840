"""The state of long computations, and the command that continues them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tlcli.cli.output import Console
from tlcli.errors import UsageError


class Resumable:
    """The folder `<output>.resume` beside an output, which exists until the output is complete.

    Raises:
        TlcliError: The folder holds files of others, or belongs to another user.
    """

    def __init__(self, output: str, *, resume: bool, console: Console) -> None:
        from tlcli.store import owned

        if resume and output == "-":
            raise UsageError("--resume needs a file name: with '-o -' no state is kept.")
        self.folder = None if output == "-" else Path(f"{output}.resume")
        if self.folder is None:
            return
        owned.check(self.folder)
        if self.holds_state and not resume:
            console.warn(
                f"{self.folder} holds the state of an interrupted call; --resume would go on from it."
            )

    @property
    def holds_state(self) -> bool:
        """Whether there is a state to continue from."""
        from tlcli.store import owned

        return self.folder is not None and bool(owned.present(self.folder))

    def discard(self) -> None:
        """Remove the state, once the output is complete."""
        from tlcli.store import owned

        if self.folder is not None:
            owned.remove(self.folder)


def resume_command() -> str:
    """This very command line, with --resume."""
    arguments = [a for a in sys.argv[1:] if a != "--resume"]
    return shlex.join(["tlcli", *arguments, "--resume"])
