"""Long computations: where their state is kept, how a signal stops them, and how a user goes on."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from tlcli.cli.output import Console
from tlcli.errors import Interrupted, UsageError

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Resumable:
    """The folder `<output>.resume` beside an output, which lives until the output is complete."""

    def __init__(self, output: str, *, resume: bool, console: Console) -> None:
        if resume and output == "-":
            raise UsageError("--resume needs a file name: with '-o -' no state is kept.")
        self.folder = None if output == "-" else Path(f"{output}.resume")
        if self.folder is not None and self.folder.is_dir() and not resume:
            console.warn(
                f"{self.folder} holds the state of an interrupted call; --resume would go on from it."
            )

    @property
    def state(self) -> Path | None:
        """A file in the folder, which is made if need be."""
        if self.folder is None:
            return None
        self.folder.mkdir(exist_ok=True)
        return self.folder / "state.h5"

    def discard(self) -> None:
        """The output is complete: the state has served."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class StopSignals:
    """While active, the first Ctrl-C or SIGTERM asks the computation to save and stop; a second one ends it
    at once.

    Passed to the library as `stop`. On leaving, the library's `Interrupted` becomes a message that says how
    to go on.
    """

    def __init__(self, console: Console, *, saves: bool = True) -> None:
        self.console = console
        self.saves = saves
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether the computation should save and stop."""
        return self.received is not None

    def __enter__(self) -> StopSignals:
        for number in CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and background shells ask
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for each, handler in self._before.items():
            signal.signal(each, handler)
        if not self.console.quiet:
            with contextlib.suppress(OSError):  # not print: the signal may have come in the middle of one
                os.write(2, b"tlcli: stopping; the state is being saved (a second signal ends at once).\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.received is not None and isinstance(error, Interrupted):
            name = "Ctrl-C" if self.received == signal.SIGINT else "SIGTERM"
            saved = f"what was done is saved. To go on:\n  {resume_command()}"
            stopped = Interrupted(f"stopped by {name}; {saved if self.saves else 'nothing was saved.'}")
            stopped.exit_code = CODES[signal.Signals(self.received)]
            raise stopped from error


def resume_command() -> str:
    """This very command line, with --resume."""
    arguments = [a for a in sys.argv[1:] if a != "--resume"]
    return shlex.join(["tlcli", *arguments, "--resume"])
