"""Ways to make a write fail, and the calls at which something can happen to a command."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import forked

if TYPE_CHECKING:
    from harnesses.kill import Command, Harness


def moments() -> dict[str, tuple[Any, str]]:
    """The functions at whose calls a kill can come."""
    from tlcli.store import layout, opening

    return {
        "read": (opening.OpenFile, "load"),
        "write": (layout.Sink, "write"),
        "fsync": (os, "fsync"),
        "link": (os, "link"),
        "replace": (os, "replace"),
        "rename": (os, "rename"),
        "unlink": (os, "unlink"),
        "mkdir": (os, "mkdir"),
        "rmdir": (os, "rmdir"),
    }


Way = Iterator[tuple[Path, Callable[[], None] | None, bool]]
"""Where to write, what the child does first, and whether the write must fail."""


@contextlib.contextmanager
def limited_file(harness: Harness, command: Command, folder: Path) -> Way:
    """A limit on the size of files, as a quota has."""
    import resource

    largest = max(len(data) for data in command.bytes.values())
    limit = harness.chance.randint(0, largest - 1)
    yield folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)), True


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    place = folder.parent / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        raise Unavailable
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


class Unavailable(Exception):
    """Only root can do this."""


@contextlib.contextmanager
def full_disk(harness: Harness, command: Command, folder: Path) -> Way:
    """A small disk of its own that fills up while the command writes."""
    total = sum(-(-len(data) // 4096) * 4096 for data in command.bytes.values())
    size = harness.chance.randint(1, max(1, total // 4096 - 1)) * 4096
    with mounted(folder, f"size={size}") as place:
        yield place, None, True


@contextlib.contextmanager
def read_only_disk(harness: Harness, command: Command, folder: Path) -> Way:
    with mounted(folder, "size=16m,ro") as place:
        yield place, None, True


@contextlib.contextmanager
def closed_folder(harness: Harness, command: Command, folder: Path) -> Way:
    """A folder that the user may not write to."""
    place = folder / "closed"
    place.mkdir(mode=0o555)
    yield place, without_powers, True


@contextlib.contextmanager
def permission_lost(harness: Harness, command: Command, folder: Path) -> Way:
    """The folder is closed while the command writes into it."""
    place = folder / "mine"
    place.mkdir()
    report = command.name == "report"
    owner, name = moments()["fsync" if report else "write"]
    number = harness.chance.randint(1, 3)

    def prepare() -> None:
        without_powers()
        forked.at_call(owner, name, number, lambda: place.chmod(0o555))

    yield place, prepare, True
    place.chmod(0o755)


def without_powers() -> None:
    """As root, give up what lets root write anywhere, also in a program that is started then (SECBIT_NOROOT);
    everybody else has no such power."""
    if os.geteuid() == 0:
        libc, header, none = ctypes.CDLL(None), struct.pack("II", 0x20080522, 0), bytes(24)
        assert libc.prctl(28, 1, 0, 0, 0) == 0
        assert libc.capset(header, none) == 0
