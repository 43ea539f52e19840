"""Folders of files, with a list of them, that appear whole or not at all, also in place of an older one."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tlcli.errors import TlcliError
from tlcli.store import atomic, owned


def check_folder(folder: Path, force: bool = False) -> None:
    """Refuse a folder that cannot be written, before the work. Raises TlcliError.

    `force` replaces a folder only if its list names all its files.
    """
    try:
        atomic.check_links(folder)
        if not folder.parent.is_dir():
            raise TlcliError(f"{folder.parent} is not a folder. Make it first, or choose another.")
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise TlcliError(f"{folder} is there already and is not a folder. Give another name.")
        there = folder.is_dir() and any(folder.iterdir())
        others = owned.strangers(folder) if there else []
    except (OSError, ValueError) as error:
        raise atomic.write_error(folder, error) from error
    if there and not force:
        raise TlcliError(f"{folder} is there already; give `force` to replace it, or another name.")
    if others:
        raise TlcliError(
            f"{folder} holds {others[0]!r}, which tlcli has not put there, and `force` replaces only what it "
            "has. Move that away, or give another name."
        )


def write_folder(folder: Path, files: Mapping[str, str | bytes], *, force: bool = False) -> None:
    """Write files (by their names, with `/` between folders) to a folder: all of them or none. The folder
    replaces an older one as `check_folder` allows, and takes its permissions. Raises TlcliError."""
    _tidy(folder)
    check_folder(folder, force)
    temporary = atomic.temporary_name(folder)
    try:
        temporary.mkdir()
        with _lock(temporary):
            _fill(temporary, {owned.LIST: owned.text(files), **files}, folder)
            _move(temporary, folder, force)
    except OSError as error:
        raise atomic.write_error(folder, error) from error
    finally:
        owned.remove(temporary)


def _fill(temporary: Path, files: Mapping[str, str | bytes], old: Path) -> None:
    """Write all files, and sync them and their names to the disk."""
    for name, content in files.items():
        path = temporary / name
        path.parent.mkdir(exist_ok=True)
        with open(path, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            atomic.keep_permissions(old / name, file.fileno())
            os.fsync(file.fileno())
    for inner in {(temporary / name).parent for name in files}:
        atomic.sync_folder(inner)


def _move(temporary: Path, folder: Path, force: bool) -> None:
    """Give the new folder its final name; an older one takes the temporary name and is removed."""
    check_folder(folder, force)
    if not folder.exists() or not any(folder.iterdir()):
        try:
            os.rename(temporary, folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise atomic.too_late(folder) from None
    else:
        if hasattr(os, "fchmod"):  # Windows opens no folder
            with _open(temporary) as descriptor:
                atomic.keep_permissions(folder, descriptor)
        if not _exchange(temporary, folder):
            _replace(temporary, folder)
    atomic.sync_folder(folder.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, as Linux can; false if the system cannot."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        swap = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(swap(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _replace(temporary: Path, folder: Path) -> None:
    """Replace a folder in two steps. The older one is moved aside, where the next call finds it after a
    kill."""
    old = atomic.temporary_name(folder, atomic.OLD)
    os.rename(folder, old)
    try:
        os.rename(temporary, folder)
    except BaseException:
        os.rename(old, folder)
        raise
    atomic.sync_folder(folder.parent)  # else a loss of power could bring the removed name back
    owned.remove(old)


def _tidy(folder: Path) -> None:
    """Remove temporary folders of killed calls, and put back a folder that one of them moved aside."""
    for path in atomic.leftovers(folder):
        if path.is_symlink() or not path.is_dir() or not atomic.is_own(path.stat()):
            continue
        try:
            with _lock(path):
                if f"{atomic.OLD}." in path.name and not folder.exists() and owned.list_files(path):
                    os.rename(path, folder)
                else:
                    owned.remove(path)
        except OSError:  # held by another program, or not to be read or removed: for a later call
            continue


@contextmanager
def _open(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Lock a folder while the block runs. Raises BlockingIOError where another program holds it."""
    if atomic.fcntl is None:
        yield
        return
    with _open(folder) as descriptor:
        try:
            atomic.fcntl.flock(descriptor, atomic.fcntl.LOCK_EX | atomic.fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # some network file systems have no locks
            pass
        yield
