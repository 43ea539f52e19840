"""The folder where JAX keeps compiled programs, so that the next process need not compile them again.

JAX runs the programs in that folder, so it must belong to the user alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path

VARIABLE = "TLCLI_JAX_CACHE"
"""The environment variable with another folder, or `off`."""
MOST_BYTES = 1 << 30
"""The most bytes of programs; the ones unused for longest are removed beyond it."""
CPUINFO = Path("/proc/cpuinfo")


def keep_programs(tell: Callable[[str], None] = lambda text: None) -> Path | None:
    """Let JAX keep its programs in the user's folder. Tells the user when it is made, or why it is not used.

    A folder that the user has set for JAX (`JAX_COMPILATION_CACHE_DIR`) stays.

    Returns:
        The folder, or None if no programs are kept.
    """
    import jax

    if os.environ.get(VARIABLE, "").lower() == "off" or jax.config.jax_compilation_cache_dir:
        return None
    folder = _folder()
    programs = folder / processor()
    new = not os.path.lexists(folder)
    for place in (folder, programs):
        if fault := _make_folder(place):
            tell(
                f"compiled programs are not kept: {place} {fault}. Name another folder with {VARIABLE}, "
                f"or set {VARIABLE}=off."
            )
            return None
    if new:
        tell(f"compiled programs are kept in {folder} from now on; {VARIABLE}=off keeps none.")
    remove_oldest(folder, MOST_BYTES)
    jax.config.update("jax_compilation_cache_dir", str(programs))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return programs


def processor() -> str:
    """A name for processors that run the same machine code: a home can be shared by several computers, and a
    program compiled for another's instructions would crash."""
    try:
        text = CPUINFO.read_text(errors="replace")
    except OSError:
        text = platform.processor()
    abilities = re.findall(r"^(?:flags|Features|isa)\s*:(.*)", text, re.MULTILINE)[:1] or [text]
    words = [sys.platform, platform.machine(), *sorted(set(abilities[0].split()))]
    return f"{platform.machine()}-{hashlib.sha256(' '.join(words).encode()).hexdigest()[:12]}"


def _make_folder(folder: Path) -> str:
    """Make a folder of the user alone, unless it is there. Gives what is wrong with it, or an empty text."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return fault_of(folder)
    except OSError as error:
        return error.strerror or str(error)


def fault_of(folder: Path) -> str:
    """The reason why other users could put programs into a folder: they can write in it or in one above.

    Empty if they cannot.
    """
    status = os.lstat(folder)
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if not stat.S_ISDIR(status.st_mode):
        return "is not a folder"
    if not hasattr(os, "geteuid"):
        return ""
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written by other users"
    for above in folder.resolve().parents:
        status = os.stat(above)
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return f"lies in {above}, which other users can write"
    return ""


def remove_oldest(folder: Path, most: int) -> None:
    """Remove the programs unused for longest until the rest takes at most `most` bytes."""
    files = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                status = path.lstat()
            except OSError:  # another process removed it first
                continue
            files.append((max(status.st_atime, status.st_mtime), status.st_size, path))
    left = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if left <= most:
            return
        path.unlink(missing_ok=True)
        left -= size


def _folder() -> Path:
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "tlcli" / "jax"
