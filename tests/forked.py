"""Commands as children of a process that has imported everything: hundreds of them in minutes.

A child runs `tlcli.cli.main.run` as the program does, from a fork made before TensorFlow has executed
anything. The harnesses and the tests of crashes, resuming and fuzzing share this.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
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

LIGHT = ("split", "knn", "report", "dump", "inspect", "verify")
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


_running: set[int] = set()
"""The children that have not been waited for."""


class CutOff(BaseException):
    """A harness is asked to end."""


def tell_figures(figures: dict[str, Any], broken: Sequence[str], started: float) -> int:
    """Print the figures of a harness as JSON. Its exit code: 1 when something did not hold."""
    figures = {**figures, "broken": list(broken), "seconds": round(time.monotonic() - started)}
    print(json.dumps(figures, indent=1))
    return 1 if broken else 0


@contextlib.contextmanager
def until_cut_off() -> Iterator[None]:
    """SIGTERM and SIGHUP, as `timeout` sends them, and Ctrl-C end this block, not the program, which then
    prints what it has found so far; further signals change nothing, for `timeout` sends two."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def cut(number: int, frame: Any) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise CutOff

    for one in numbers:
        signal.signal(one, cut)
    try:
        yield
    except CutOff:
        for pid in _running:
            os.kill(pid, signal.SIGKILL)
        print("cut off: what follows is what was found until now", file=sys.stderr, flush=True)


MOST_SECONDS = 900.0
"""Seconds of the processor after which a command hangs; the longest takes a tenth of them."""
IDLE_SECONDS = 120.0
"""Seconds in which it neither computes nor waits for the processor. A busy machine alone is no hang."""


def processor_seconds(pid: int) -> float:
    """What a process and its threads have used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_runnable(pid: int) -> bool:
    """Whether a thread of a process computes, waits for the processor or the disk, or has been stopped."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended
            if (thread / "stat").read_text().rpartition(")")[2].split()[0] in "RDTt":
                return True
    return False


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
    late: float
    """Seconds of the processor that it took after the signal that it was sent."""


@dataclass
class Child:
    """A command that runs."""

    pid: int
    folder: Path
    started: float = field(default_factory=time.monotonic)
    used: float = 0.0
    """Seconds of the processor when it was sent a signal, and later in all."""

    def wait(self) -> Ended:
        """Its end. One that hangs is killed, and an AssertionError says where its threads were."""
        before, status = self.used, self._status()
        code, seconds = os.waitstatus_to_exitcode(status), time.monotonic() - self.started
        phase, late = PHASES[_phase[0]], self.used - before
        return Ended(code, phase, self._said("stdout"), self._said("stderr"), seconds, late)

    def _said(self, name: str) -> str:
        return said_by(self.folder, name).read_text("utf-8", "replace")

    def _status(self) -> int:
        used, since = 0.0, time.monotonic()
        looked = since
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                _running.discard(pid)
                self.used = usage.ru_utime + usage.ru_stime
                return status
            now = time.monotonic()
            if now - looked > 1:
                looked, before, used = now, used, processor_seconds(self.pid)
                since = now if used > before + 0.02 or is_runnable(self.pid) else since
                if used > MOST_SECONDS or now - since > IDLE_SECONDS:
                    self._end_hang(used, now - since)
            time.sleep(0.002)

    def _end_hang(self, used: float, idle: float) -> None:
        os.kill(self.pid, signal.SIGABRT)  # faulthandler tells where it is
        time.sleep(1)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        _running.discard(self.pid)
        raise AssertionError(
            f"it hangs in {PHASES[_phase[0]]}: {used:.0f} s of the processor, the last {idle:.0f} s idle\n"
            f"{self._said('stderr')[-8000:]}"
        )

    def send(self, number: int) -> None:
        """A signal; nothing when it has ended already."""
        self.used = processor_seconds(self.pid)
        os.kill(self.pid, number)  # not waited for yet: the number is still its own


def said_by(folder: Path, name: str) -> Path:
    """Where the child that works in a folder writes its stdout or stderr."""
    return folder.parent / f"{folder.name}.{name}"


def start(arguments: Sequence[str], folder: Path, prepare: Callable[[], Any] | None = None) -> Child:
    """Run a command in a folder, after `prepare` in the child."""
    _phase[0] = 0
    for name in ("stdout", "stderr"):
        said_by(folder, name).write_bytes(b"")  # here: the child may be killed before it opens them
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run(arguments, folder, prepare)
    _running.add(pid)
    return Child(pid, folder)


def call(arguments: Sequence[str], folder: Path, prepare: Callable[[], Any] | None = None) -> Ended:
    """Run a command in a folder to its end."""
    return start(arguments, folder, prepare).wait()


def _run(arguments: Sequence[str], folder: Path, prepare: Callable[[], Any] | None) -> None:
    """The child. Never returns."""
    code = 99
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(said_by(folder, name), os.O_WRONLY), descriptor)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.enable(2)
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
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)  # whatever happens: there must not be two of the harness


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
