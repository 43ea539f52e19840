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

CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}
NAMES: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Resumable:
    """The folder `<output>.resume` beside an output, which lives until the output is complete."""

    def __init__(self, output: str, *, resume: bool, console: Console) -> None:
        if resume and output == "-":
            raise UsageError("--resume needs a file name: with '-o -' no state is kept.")
        self.folder = None if output == "-" else Path(f"{output}.resume")
        if self.folder is not None and self.folder.is_dir() and any(self.folder.iterdir()) and not resume:
            console.warn(
                f"{self.folder} holds the state of an interrupted call; --resume would go on from it."
            )

    @property
    def state(self) -> Path | None:
        """A file in the folder."""
        return None if self.folder is None else self.folder / "state.h5"

    def discard(self) -> None:
        """The output is complete: the state has served."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class StopSignals:
    """While active, the first Ctrl-C or SIGTERM asks the computation to save and stop; a second one ends it
    at once.

    Passed to the library as `stop`. Before the computation has asked for the first time there is nothing to
    save: a signal then ends the program at once, for an exception in the middle of an import of TensorFlow,
    or of its tracing, could be caught or turned into another one there. On leaving, the library's
    `Interrupted` becomes a message that says how to go on.
    """

    def __init__(self, console: Console, *, saves: bool = True) -> None:
        self.console = console
        self.saves = saves
        self.received: int | None = None
        self._begun = self._complete = False
        self._stderr = 2
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether the computation should save and stop."""
        self._begun = True
        return self.received is not None

    def complete(self) -> None:
        """The result is written: while it is told of, a signal changes nothing; a second one ends that."""
        self._complete = True

    def __enter__(self) -> StopSignals:
        with contextlib.suppress(OSError):  # stderr is closed
            self._stderr = os.dup(2)  # while TensorFlow loads, 2 leads elsewhere
        for number in CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and background shells ask
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self._begun:
            self._say(f"stopped by {NAMES[number]} before it began; nothing is lost. Give the command again.")
            os._exit(CODES[number])
        self.received = number
        self._give_back()
        if not (self.console.quiet or self._complete):
            self._say("stopping; what was done is being saved (a second signal ends at once).")

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # not print: the signal may have come in the middle of one
            os.write(self._stderr, f"tlcli: {text}\n".encode())

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()
        if self._stderr != 2:
            os.close(self._stderr)
        if self.received is not None and isinstance(error, Interrupted):
            saved = f"what was done is saved. To go on:\n  {resume_command()}"
            where = str(error).removeprefix("stopped ").rstrip(".")
            stopped = Interrupted(
                f"stopped by {NAMES[self.received]} {where}; {saved if self.saves else 'nothing was saved.'}"
            )
            stopped.exit_code = CODES[self.received]
            raise stopped from error


def resume_command() -> str:
    """This very command line, with --resume."""
    arguments = [a for a in sys.argv[1:] if a != "--resume"]
    return shlex.join(["tlcli", *arguments, "--resume"])
