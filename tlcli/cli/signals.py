"""End a command on Ctrl-C, SIGTERM or SIGHUP, at any moment, with one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from tlcli.cli.output import Console
from tlcli.cli.resume import Resumable, resume_command
from tlcli.errors import Interrupted, TlcliError

NAMES: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
"""The names of the signals that end the program. A terminal or ssh session that closes sends SIGHUP."""
if hasattr(signal, "SIGHUP"):
    NAMES[signal.SIGHUP] = "SIGHUP"


def exit_code(number: int) -> int:
    """The exit code that shells give to a program ended by a signal."""
    return 128 + number


class Terminated(BaseException):
    """A signal other than Ctrl-C asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_on_signals() -> None:
    """Turn signals into exceptions. Signals that were ignored when the program started (by nohup, or in the
    background of a shell) stay ignored."""
    for number in NAMES:
        if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    sys.unraisablehook = _hear_again


def ignore_signals() -> None:
    """Ignore signals once the outcome is decided: a late signal must not change the exit code.

    The interpreter removes handlers before it ends; ignoring lasts to the end.
    """
    for number in NAMES:
        signal.signal(number, signal.SIG_IGN)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


def _hear_again(dropped: sys.UnraisableHookArgs) -> None:
    """Repeat a signal that came in a destructor or a callback, where Python drops its exception."""
    error = dropped.exc_value
    if not isinstance(error, KeyboardInterrupt | Terminated):
        sys.__unraisablehook__(dropped)
        return
    number = error.number if isinstance(error, Terminated) else signal.SIGINT
    again = threading.Timer(0.01, _send_to_myself, (number,))  # later: not within this very function
    again.daemon = True
    again.start()


def _send_to_myself(number: int) -> None:
    if os.name == "nt":  # there `os.kill` ends a process at once
        signal.raise_signal(number)
    else:
        os.kill(os.getpid(), number)


class StopSignals:
    """The first signal asks the computation to save and stop; a second one ends it at once.

    The library takes this object as `stop`. Before the library calls it for the first time, nothing can be
    saved, and a signal ends the program at once: TensorFlow could catch or replace an exception that comes
    while it is imported or traces. On leaving the block, the library's `Interrupted` becomes a message that
    says how to go on. So does any other error after a signal, because a signal to all processes of a terminal
    also ends the compilers that the engine has started.
    """

    def __init__(self, console: Console, kept: Resumable | None = None) -> None:
        self.console = console
        self.kept = kept
        self.received: int | None = None
        self._begun = self._complete = False
        self._stderr = 2
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether the computation should save and stop."""
        self._begun = True
        return self.received is not None

    def complete(self) -> None:
        """Note that the result is written: a first signal then changes nothing, a second ends the program."""
        self._complete = True

    def __enter__(self) -> StopSignals:
        with contextlib.suppress(OSError):  # stderr is closed
            self._stderr = os.dup(2)  # descriptor 2 leads elsewhere while TensorFlow loads
        for number in NAMES:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and background shells ask
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self._begun:
            self._say(f"Stopped by {NAMES[number]} before it began; nothing is lost. Give the command again.")
            os._exit(exit_code(number))
        self.received = number
        self._give_back()
        if not (self.console.quiet or self._complete):
            self._say("Stopping: what was done is being saved (a second signal ends the command at once).")

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # not print, which the signal may have interrupted
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
        if self.received is None or not isinstance(error, Exception):
            return
        if isinstance(error, Interrupted):
            where = " " + str(error).removeprefix("Stopped ").rstrip(".")
        elif isinstance(error, TlcliError):
            return
        else:
            where = ", which also stopped the engine"
        stopped = Interrupted(f"Stopped by {NAMES[self.received]}{where}; {self._how_to_go_on()}")
        stopped.exit_code = exit_code(self.received)
        raise stopped from error

    def _how_to_go_on(self) -> str:
        if self.kept is None or not self.kept.holds_state:
            return "nothing was saved. Give the command again."
        return f"what was done is saved. To go on:\n  {resume_command()}"
