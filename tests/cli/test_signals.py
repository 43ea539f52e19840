"""Ctrl-C, SIGTERM and SIGHUP at every moment of a command: one line, the right code, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial

import pytest
from processes import ENVIRONMENT, tlcli

from tlcli.cli.output import Console
from tlcli.cli.resume import Resumable
from tlcli.cli.signals import StopSignals
from tlcli.errors import Interrupted, TlcliError
from tlcli.store import owned

ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
"""Signals, and the exit codes they end a command with."""


@pytest.mark.parametrize(("number", "code"), ENDS)
def test_signals_end_it_with_a_line_and_no_file(work, number, code):
    process = subprocess.Popen(
        [sys.executable, "-m", "tlcli.cli.main", "knn", "-"],
        cwd=work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdin is not None
    header = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08" + bytes(25) + (1 << 40).to_bytes(8, "little")
    process.stdin.write(header + bytes(1 << 20))  # more than a pipe holds: it is being read
    process.stdin.flush()
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    assert process.returncode == code
    assert out == b""
    assert len(err.decode().splitlines()) == 1, err
    assert not (work / "stdin-knn.h5").exists()


@pytest.mark.parametrize("number", [number for number, _ in ENDS])
@pytest.mark.parametrize(("arguments", "code"), [(["datasets"], 0), (["knn", "none.h5"], 1)])
def test_a_signal_after_the_outcome_changes_nothing(work, arguments, code, number):
    """Send the signal while the interpreter ends and Python has removed its handlers."""
    program = (
        "import os, sys\n"
        "class Late:\n"
        f"    def __del__(self, kill=os.kill, pid=os.getpid()): kill(pid, {int(number)})\n"
        "late = Late()\n"
        f"sys.argv = ['tlcli', *{arguments}]\n"
        "from tlcli.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=work, capture_output=True, env=ENVIRONMENT)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def _send_when_told_of(number: int) -> None:
    told = Console.tell_output
    Console.tell_output = lambda *all: (os.kill(os.getpid(), number), told(*all))  # type: ignore[method-assign]


@pytest.mark.parametrize("number", [number for number, _ in ENDS])
def test_a_signal_while_the_result_is_told_of_changes_nothing(work, number):
    arguments = ["train-base", "digits-0-5.h5", "--arch", "cnn2", "--samples", "100", "-o", "told.h5"]
    done = tlcli(*arguments, cwd=work, prepare=partial(_send_when_told_of, number))
    assert (done.returncode, done.stdout) == (0, b"told.h5\n"), done.stderr
    assert b"stop" not in done.stderr


@pytest.mark.parametrize(("number", "code"), ENDS)
def test_a_signal_within_a_callback_is_not_lost(work, number, code):
    """Python drops exceptions there, and the program would go on."""
    program = (
        "import os, sys, time, weakref\n"
        "from tlcli.cli import main\n"
        "class Short: pass\n"
        "def slow(arguments):\n"
        "    short = Short()\n"
        f"    watch = weakref.ref(short, lambda _: os.kill(os.getpid(), {int(number)}))\n"
        "    del short\n"
        "    time.sleep(900)\n"
        "main._invoke = slow\n"
        "main.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=work, capture_output=True, env=ENVIRONMENT, timeout=600
    )
    assert done.returncode == code
    assert len(done.stderr.decode().splitlines()) == 1, done.stderr


def test_ctrl_c_while_it_starts_prints_no_traceback(work):
    """Send the signal during the imports; the shell sees a program that Ctrl-C has ended."""
    program = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from tlcli.cli.main import main\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=work, capture_output=True, env=ENVIRONMENT)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == b""


def test_a_signal_that_the_shell_keeps_away_is_not_heard(work):
    """nohup ignores SIGHUP, and a shell ignores Ctrl-C for background programs."""
    program = (
        "import os, signal, sys\n"
        "from tlcli import store\n"
        "read = store.read\n"
        "def slow(*all):\n"
        "    for number in (signal.SIGHUP, signal.SIGINT): os.kill(os.getpid(), number)\n"
        "    return read(*all)\n"
        "store.read = slow\n"
        "sys.argv = ['tlcli', 'knn', 'pixels.h5', '--k', '1']\n"
        "from tlcli.cli.main import main\n"
        "main()\n"
    )
    command = 'trap \'\' HUP INT; exec "$0" -c "$1"'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, program], cwd=work, capture_output=True, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"pixels-knn.h5\n"


def fail_after_a_signal(number, error, kept=None):
    with StopSignals(Console(quiet=True), kept) as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
        raise error


@pytest.mark.parametrize(("number", "code"), ENDS)
@pytest.mark.parametrize(
    "error", [RuntimeError("INTERNAL: ptxas exited with code 15"), Interrupted("Stopped")]
)
@pytest.mark.parametrize("state", [True, False])
def test_an_error_of_the_engine_after_a_signal_is_that_stop(
    tmp_path, monkeypatch, number, code, error, state
):
    """A signal to all processes of a terminal ends the compiler that the engine has started, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["tlcli", "train-base", "a.h5", "-o", "b.h5"])
    kept = Resumable("b.h5", resume=False, console=Console())
    if state:
        owned.OwnedFolder(tmp_path / "b.h5.resume", ["state.h5"]).file("state.h5").write_text("state")
    with pytest.raises(Interrupted) as found:
        fail_after_a_signal(number, error, kept)
    assert found.value.exit_code == code
    assert str(found.value).startswith(f"Stopped by {'Ctrl-C' if code == 130 else number.name}")
    assert ("tlcli train-base a.h5 -o b.h5 --resume" in str(found.value)) == state
    assert ("nothing was saved" in str(found.value)) != state


def test_other_errors_are_told_as_they_are(tmp_path):
    with pytest.raises(TlcliError, match="the disk is full"):
        fail_after_a_signal(signal.SIGTERM, TlcliError("the disk is full"))
    with pytest.raises(RuntimeError, match="a fault"), StopSignals(Console(quiet=True)):
        raise RuntimeError("a fault")
