"""Ctrl-C and SIGTERM at every moment of a command: one line, the right code, nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from cli_process import ENVIRONMENT


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
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
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == b""
    assert len(err.decode().splitlines()) == 1, err
    assert not (work / "stdin-knn.h5").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("arguments", "code"), [(["datasets"], 0), (["knn", "none.h5"], 1)])
def test_a_signal_after_the_outcome_changes_nothing(work, arguments, code, number):
    """Here it comes while the interpreter is taken down, when Python has given up its handlers."""
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_result_is_told_of_changes_nothing(work, number):
    program = (
        "import os, sys\n"
        "from tlcli.cli import output\n"
        "told = output.Console.made\n"
        f"output.Console.made = lambda *all: (os.kill(os.getpid(), {int(number)}), told(*all))\n"
        "sys.argv = ['tlcli', 'train-base', 'digits-0-5.h5', '--arch', 'cnn2', '--samples', '100', '-o',\n"
        f"            'told-{int(number)}.h5', '--force']\n"
        "from tlcli.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=work, capture_output=True, env=ENVIRONMENT)
    assert (done.returncode, done.stdout.decode()) == (0, f"told-{int(number)}.h5\n"), done.stderr
    assert "stop" not in done.stderr.decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
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
        "    time.sleep(20)\n"
        "main._invoke = slow\n"
        "main.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=work, capture_output=True, env=ENVIRONMENT, timeout=15
    )
    assert done.returncode == code
    assert len(done.stderr.decode().splitlines()) == 1, done.stderr


def test_ctrl_c_while_it_starts_prints_no_traceback(work):
    """Imports take a tenth of a second; what a shell sees is a program that Ctrl-C has ended."""
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
