"""Commands as children of a process that has imported everything: hundreds of them in minutes.

A child runs `tlcli.cli.main.run` as the program does, from a fork made before TensorFlow has executed
anything. The harnesses and the tests of crashes, resuming and fuzzing share this.
"""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIGHT = ("split", "knn", "report", "inspect", "verify")
PHASES = ("starting", "reading", "computing", "writing", "renaming", "done")

_phase = mmap.mmap(-1, 1)
"""Shared with the children: the phase that the child is in."""


def warm_up(commands: Sequence[str]) -> None:
    """Import what the commands need, without computing anything."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="-1")
    modules = ["tlcli.cli.main", "tlcli.store", "tlcli.data", "tlcli.analysis.knn", "sklearn.datasets"]
    modules += [f"tlcli.cli.{name.replace('-', '_')}" for name in commands]
    if "report" in commands:
        modules += ["tlcli.report", "matplotlib.figure", "matplotlib.backends.backend_svg"]
        modules += ["matplotlib.backends.backend_agg"]
    if set(commands) - set(LIGHT):
        modules += ["keras", "tensorflow", "tlcli.training.base", "tlcli.training.grid"]
    for module in modules:
        importlib.import_module(module)


class CutOff(BaseException):
    """A harness is asked to end."""


@contextlib.contextmanager
def until_cut_off() -> Iterator[None]:
    """SIGTERM, as `timeout` sends it, and Ctrl-C end this block, not the program, which then prints what it
    has found so far."""

    def cut(number: int, frame: Any) -> None:
        raise CutOff

    before = signal.signal(signal.SIGTERM, cut)
    try:
        yield
    except (CutOff, KeyboardInterrupt):
        print("cut off: what follows is what was found until now", file=sys.stderr, flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass
class Ended:
    """How a child ended."""

    code: int
    """The exit code, or minus the signal."""
    phase: str
    """Where it was."""
    stdout: str
    stderr: str
    seconds: float


@dataclass
class Child:
    """A command that runs."""

    pid: int
    folder: Path
    started: float = field(default_factory=time.monotonic)

    def wait(self, limit: float = 600.0) -> Ended:
        """Its end; after `limit` seconds it is killed and counted as a hang."""
        try:
            status = self._status(limit)
        except CutOff:
            os.kill(self.pid, signal.SIGKILL)
            raise
        texts = [
            (self.folder.parent / f"{self.folder.name}.{name}").read_text("utf-8", "replace")
            for name in ("stdout", "stderr")
        ]
        seconds = time.monotonic() - self.started
        return Ended(os.waitstatus_to_exitcode(status), PHASES[_phase[0]], texts[0], texts[1], seconds)

    def _status(self, limit: float) -> int:
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            if time.monotonic() - self.started > limit:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"no end after {limit} seconds")
            time.sleep(0.002)

    def send(self, number: int) -> None:
        """A signal; nothing when it has ended already."""
        os.kill(self.pid, number)  # not waited for yet: the number is still its own


def start(arguments: Sequence[str], folder: Path, prepare: Callable[[], Any] | None = None) -> Child:
    """Run a command in a folder, after `prepare` in the child."""
    _phase[0] = 0
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run(arguments, folder, prepare)
    return Child(pid, folder)


def call(arguments: Sequence[str], folder: Path, prepare: Callable[[], Any] | None = None) -> Ended:
    """Run a command in a folder to its end."""
    return start(arguments, folder, prepare).wait()


def _run(arguments: Sequence[str], folder: Path, prepare: Callable[[], Any] | None) -> None:
    """The child. Never returns."""
    code = 99
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for number, name in ((1, "stdout"), (2, "stderr")):
            path = folder.parent / f"{folder.name}.{name}"
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.argv = ["tlcli", *arguments]
        from tlcli.cli import main

        watch_phases()
        if prepare is not None:
            prepare()
        _phase[0] = PHASES.index("computing")
        code = main.run(list(arguments))
        _phase[0] = PHASES.index("done")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def watch_phases() -> None:
    """Note in shared memory where the command is."""
    from tlcli import store
    from tlcli.store import atomic, writing

    store.read = _during("reading", store.read)
    store.read_any = _during("reading", store.read_any)
    writing._write_file = _during("writing", writing._write_file)
    atomic._publish = _during("renaming", atomic._publish)
    if "tlcli.report" in sys.modules:
        from tlcli.report import report
        from tlcli.store import atomic_folder

        report.write_folder = _during("writing", report.write_folder)
        atomic_folder._move = _during("renaming", atomic_folder._move)


def _during(phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def watched(*arguments: Any, **options: Any) -> Any:
        before, _phase[0] = _phase[0], PHASES.index(phase)
        try:
            return function(*arguments, **options)
        finally:
            _phase[0] = before

    return watched


def at_call(owner: Any, name: str, number: int, act: Callable[[], Any], *, after: bool = False) -> None:
    """In the child: act at the call with this number (from 1) of a function, before or after it runs."""
    plain, calls = getattr(owner, name), [0]

    def watched(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        now = calls[0] == number
        if now and not after:
            act()
        result = plain(*arguments, **options)
        if now and after:
            act()
        return result

    setattr(owner, name, watched)


def kill_myself() -> None:
    """What the power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)
