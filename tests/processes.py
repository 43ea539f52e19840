"""Commands as processes of their own, as a user starts them, but forked from a program that has already
imported what they need: they start in no time, where TensorFlow alone takes seconds to import.

What is about starting (which modules are imported, how soon help appears, signals while it starts) is tested
with `python -m tlcli.cli.main`.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
"""The variables that say how many threads numpy, scikit-learn and TensorFlow take."""
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("TLCLI", "NO_COLOR", "COLUMNS", *THREADS))
}
Run = Callable[..., subprocess.CompletedProcess[bytes]]
_TESTS = str(Path(__file__).parent)
_STREAMS = ("stdin", "stdout", "stderr")


class Command:
    """A command that runs."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        cwd: Path,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self.arguments = arguments
        self.returncode: int | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="command")
        files = [str(Path(self._folder.name, name)) for name in _STREAMS]
        Path(files[0]).write_bytes(stdin)
        environment = {**ENVIRONMENT, **(env or {})}
        self._process = _started(arguments, str(cwd), environment, files, prepare)

    def send_signal(self, number: int) -> None:
        """Nothing, when it has ended already."""
        if self._process.exitcode is None:
            os.kill(self._process.pid or 0, number)

    def communicate(self, timeout: float = 600) -> tuple[bytes, bytes]:
        """Wait for its end; what it printed to stdout and stderr."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise subprocess.TimeoutExpired(self.arguments, timeout)
        self.returncode = self._process.exitcode
        out, err = (Path(self._folder.name, name).read_bytes() for name in _STREAMS[1:])
        self._folder.cleanup()
        return out, err


def tlcli(
    *arguments: str,
    cwd: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    prepare: Callable[[], object] | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[bytes]:
    """Run one command to its end, after `prepare` in its process."""
    command = Command(arguments, cwd, stdin, env, prepare)
    out, err = command.communicate(timeout)
    return subprocess.CompletedProcess(arguments, command.returncode or 0, out, err)


def fails(done: subprocess.CompletedProcess[bytes], code: int, *words: str) -> str:
    """Assert a clean failure: the code, no result, a few plain lines with these words. Returns them."""
    message = done.stderr.decode()
    assert done.returncode == code, message
    assert done.stdout == b""
    assert "Traceback" not in message
    assert message.startswith("tlcli: ")
    assert len(message.strip().splitlines()) <= 3, message
    for word in words:
        assert word in message, message
    return message


def _started(*about: object) -> BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["processes_imports"])
    path = os.pathsep.join([_TESTS, *filter(None, sys.path)])
    with mock.patch.dict(os.environ, {**ENVIRONMENT, "PYTHONPATH": path}):
        multiprocessing.forkserver.ensure_running()
    process = context.Process(target=_run, args=about)
    process.start()
    return process


def _run(
    arguments: tuple[str, ...],
    cwd: str,
    environment: dict[str, str],
    files: list[str],
    prepare: Callable[[], object] | None,
) -> None:
    """In the child: be the program. Never returns."""
    code = 99
    try:
        for number, path in enumerate(files):
            mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
            os.dup2(os.open(path, mode, 0o600), number)
        encoding = environment.get("PYTHONIOENCODING", "utf-8")
        sys.stdin = os.fdopen(0, encoding=encoding)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding=encoding)  # type: ignore[union-attr]
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(cwd)
        sys.argv = ["tlcli", *arguments]
        sys.warnoptions.clear()
        from tlcli.cli import main

        if prepare is not None:
            prepare()
        code = main.run(list(arguments))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
