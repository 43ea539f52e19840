"""Windows lacks names of `os`, `signal` and whole modules; commands do without them. Only Linux is tested
itself: here a process of it forgets what Windows has not."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from processes import ENVIRONMENT

AS_ON_WINDOWS = """
    import importlib, os, signal, sys
    for name in ("typer", "numpy", "h5py", "sklearn.datasets", "matplotlib.figure", "PIL.Image",
                 "threadpoolctl", "matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg"):
        importlib.import_module(name)
    for module in ("fcntl", "resource", "pwd", "grp", "termios"):
        sys.modules[module] = None
    for name in ("O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC", "getuid", "geteuid", "getgid",
                 "fchmod", "fchown", "fork", "chown", "statvfs", "sched_getaffinity", "mkfifo", "pread"):
        if hasattr(os, name):
            delattr(os, name)
    open_file = os.open

    def open_no_folder(path, *more, **named):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))
        return open_file(path, *more, **named)

    os.open = open_no_folder
    os.supports_dir_fd, os.supports_follow_symlinks, os.supports_fd = set(), set(), set()
    for name in ("SIGHUP", "SIGALRM", "SIGKILL", "SIGPIPE", "SIGUSR1", "setitimer"):
        if hasattr(signal, name):
            delattr(signal, name)
    import shutil
    shutil._use_fd_functions = False
    from tlcli.cli import main

    from tlcli.store import atomic, stored_images
    stored_images.IN_MEMORY = 0

    def run(line):
        sys.argv = ["tlcli", *line.split()]
        assert main.run(line.split()) == 0, line

    run("split --dataset digits --classes 6-9 -o a.h5")
    open(atomic.temporary_name(atomic.Path("a.h5")), "w").close()  # of a killed program
    run("split --dataset digits --classes 6-8 -o a.h5 --force")
    run("split --dataset a.h5 --classes 6-7 -o b.h5")
    run("inspect a.h5")
    run("knn pixels.h5 --k 1-3 -o knn.h5")
    run("report knn.h5 -o page")
    run("report knn.h5 -o page --force")
    run("verify a.h5 b.h5 knn.h5")
    run("dump knn.h5 --csv tables")
    assert not [name for name in os.listdir() if "tlcli-tmp" in name]
"""


def test_a_chain_runs_without_what_windows_lacks(work):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AS_ON_WINDOWS)],
        cwd=work,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
