"""Files that appear whole or not at all.

A file is written under a temporary name beside its target (`.<name>.<pid>-<random>.tlcli-tmp`), which is
held with `flock` meanwhile, synced, and then given its final name in one step. A temporary file whose lock is
free was left by a killed program; the next one that writes the same target removes it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

from tlcli.errors import TlcliError

try:
    import fcntl
except ImportError:  # no flock on this system: stale files are then left alone
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".tlcli-tmp"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def check_output(path: str | Path, force: bool = False) -> None:
    """Refuse early what could not be written in the end, before hours are spent on it.

    `-` is stdout, refused when that is a terminal. Raises TlcliError.
    """
    if str(path) == "-":
        if sys.stdout.isatty():
            raise TlcliError("The output is binary and stdout is a terminal; give -o FILE or pipe it on.")
        return
    target = Path(path)
    try:
        _check_target(target, force)
    except (OSError, ValueError) as error:
        raise write_error(target, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder for results, likewise early. Raises TlcliError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TlcliError(f"'{folder}' cannot be made a folder: {error.strerror}.") from error


def _check_target(target: Path, force: bool) -> None:
    if target.is_dir():
        raise TlcliError(f"{target} is a folder; expected the name of a file to write.")
    if _exists(target):
        if target.exists() and not target.is_file():
            raise TlcliError(f"{target} is not a regular file; expected the name of a file to write.")
        if not force:
            raise TlcliError(f"{target} exists already; give --force to replace it, or another -o.")
    folder = target.parent
    if not folder.is_dir():
        raise TlcliError(f"The folder {folder} does not exist; make it first, or give another -o.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TlcliError(f"The folder {folder} is not writable; give another -o.")


def _exists(target: Path) -> bool:
    """Whether the name is taken, also by a link that leads nowhere. Raises OSError for an impossible name."""
    try:
        os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextlib.contextmanager
def atomic_file(path: str | Path, force: bool = False) -> Iterator[Path]:
    """Yield the path of an empty temporary file; when the block ends well, it becomes `path`.

    When the block raises, the temporary file is removed and `path` is as it was. Raises TlcliError when
    `path` exists and `force` is not given, also when another program made it meanwhile.
    """
    check_output(path, force)
    target = Path(path)
    if target.is_symlink():
        target = target.resolve()
    remove_stale(target)
    try:
        temporary, descriptor = _create(target)
    except OSError as error:
        raise write_error(target, error) from error
    try:
        yield temporary
        try:
            os.fsync(descriptor)
            _publish(temporary, target, force)
        except OSError as error:
            raise write_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        os.close(descriptor)


def remove_stale(target: Path) -> None:
    """Remove temporary files of this target that no running program holds."""
    if fcntl is None:
        return
    for name in glob.glob(glob.escape(str(target.parent / _stem(target))) + f"*{SUFFIX}"):
        if re.fullmatch(r"\d+-[0-9a-f]{8}", name[: -len(SUFFIX)].rpartition(".")[2]):
            _remove_unless_held(name)


def _stem(target: Path) -> str:
    """How the names of a target's temporary files begin, short enough for any file system."""
    name = target.name
    if len(os.fsencode(name)) > 200:
        name = f"{name[:40]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return f".{name}."


def _remove_unless_held(name: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name)
        finally:
            os.close(descriptor)


def _create(target: Path) -> tuple[Path, int]:
    """A new temporary file, locked."""
    while True:
        temporary = target.with_name(f"{_stem(target)}{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(temporary, flags, 0o666)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # some network file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.exists(temporary):  # else another program took it for stale before it was locked
            return temporary, descriptor
        os.close(descriptor)


def _publish(temporary: Path, target: Path, force: bool) -> None:
    """Give the temporary file its final name, in one step."""
    if force:
        os.replace(temporary, target)
    else:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise _too_late(target) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if _exists(target):
                raise _too_late(target) from None
            os.rename(temporary, target)
    _sync_folder(target.parent)


def _too_late(target: Path) -> TlcliError:
    return TlcliError(f"{target} was made by another program meanwhile; it is left as it is.")


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system syncs folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_error(target: str | Path, error: Exception) -> TlcliError:
    """A plain sentence for a failed write; h5py hides the number of the error in its text."""
    number = getattr(error, "errno", None)
    hidden = re.search(r"errno = (\d+)", str(error))
    if number is None and hidden:
        number = int(hidden.group(1))
    reasons = {
        errno.ENOSPC: "the disk is full; free some space, or write elsewhere",
        errno.EDQUOT: "the disk quota is used up; free some space, or write elsewhere",
        errno.EFBIG: "the file would be larger than this system allows",
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.EROFS: "the file system is read-only",
        errno.ENAMETOOLONG: "the name is too long",
    }
    if number is not None:
        reason = reasons.get(number, os.strerror(number).lower())
    else:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return TlcliError(f"{target} could not be written: {reason}.")
