"""Files that appear whole or not at all.

A file is written under a temporary name beside its target (`.<name>.<pid>-<random>.tlcli-tmp`), which is
locked with `flock` meanwhile, synced, and then given its final name in one step. A temporary file that no
program has locked was left by a killed one; the next program that writes the same target removes it. On
Windows an open file counts as locked.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from tlcli.errors import TlcliError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

OLD = "-old"
"""The ending of the name of an older folder while another takes its place in two steps."""
_TEMPORARY = re.compile(r"(\..+\.)\d+-[0-9a-f]{8}(-old)?\.tlcli-tmp", re.DOTALL)
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTSUP, errno.ENOSYS}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def check_output(path: str | Path, force: bool = False, *, follow: bool = True) -> None:
    """Refuse an output that cannot be written, before hours of computing.

    `-` is stdout, refused if that is a terminal. A link is written through, unless it lies in a folder that
    others can write, where it could lead to any file of the user. Raises TlcliError.
    """
    if str(path) == "-":
        if sys.stdout.isatty():
            raise TlcliError("The output is binary and stdout is a terminal; name a file, or pipe it on.")
        return
    target = Path(path)
    try:
        if follow:
            check_links(target)
        _check_target(target, force)
    except (OSError, ValueError) as error:
        raise write_error(target, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder for results, before the computing. Raises TlcliError."""
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
            raise TlcliError(f"{target} exists already; give `force` to replace it, or another name.")
    folder = target.parent
    if not folder.is_dir():
        raise TlcliError(f"The folder {folder} does not exist; make it first, or choose another.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TlcliError(f"The folder {folder} is not writable; choose another.")


def check_links(target: Path) -> None:
    """Refuse an output behind a link that another user may have made. Raises TlcliError."""
    for link in _links(Path.cwd() / target):
        if _others_can_write(link.parent):
            raise TlcliError(
                f"{target} leads through the link {link}, which lies in a folder that others can write: they "
                f"could let it lead anywhere. Give the path of the file itself ({os.path.realpath(target)})."
            )


def _links(path: Path, most: int = 40) -> Iterator[Path]:
    """The links in the existing part of a path."""
    for place in (*reversed(path.parents), path):
        if most and place.is_symlink():
            yield place
            yield from _links(place.parent / os.readlink(place), most - 1)


def _others_can_write(folder: Path) -> bool:
    """Whether another user can make entries in a folder. The group with the user's own number has no other
    members."""
    found = os.stat(folder)
    if not hasattr(os, "geteuid"):
        return False
    shared = found.st_mode & stat.S_IWGRP and found.st_gid != os.geteuid()
    return bool(found.st_mode & stat.S_IWOTH or shared or not (is_own(found) or found.st_uid == 0))


def is_own(found: os.stat_result) -> bool:
    """Whether a file or folder is the user's."""
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()


def _exists(target: Path) -> bool:
    """Whether the name is taken, also by a link that leads nowhere. Raises OSError for an impossible name."""
    try:
        os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextlib.contextmanager
def atomic_file(path: str | Path, force: bool = False, *, follow: bool = True) -> Iterator[Path]:
    """Yield the path of an empty temporary file; when the block ends well, it becomes `path`.

    The new file takes the permissions of the one it replaces. A link is written through; without `follow`,
    for files that the user has not named, it is replaced.

    When the block raises, the temporary file is removed and `path` is as it was. Raises TlcliError when
    `path` exists and `force` is not given, also when another program made it meanwhile.
    """
    check_output(path, force, follow=follow)
    target = Path(path)
    if follow and target.is_symlink():
        target = target.resolve()
    remove_leftovers(target)
    try:
        temporary, descriptor = _create(target)
    except OSError as error:
        raise write_error(target, error) from error
    try:
        yield temporary
        try:
            if force:
                keep_permissions(target, descriptor)
            os.fsync(descriptor)
            if fcntl is None:  # Windows has no such lock and renames no open file
                os.close(descriptor)
                descriptor = -1
            _publish(temporary, target, force)
        except OSError as error:
            raise write_error(target, error) from error
    finally:
        if descriptor >= 0 and fcntl is None:
            os.close(descriptor)
            descriptor = -1
        with contextlib.suppress(OSError):
            temporary.unlink()
        if descriptor >= 0:
            os.close(descriptor)


def temporary_name(target: Path, ending: str = "") -> Path:
    """A new name beside a target, for its next version or, with the ending `OLD`, its last one."""
    return target.with_name(f"{stem(target)}{os.getpid()}-{secrets.token_hex(4)}{ending}.tlcli-tmp")


def stem(target: Path) -> str:
    """The beginning of the names of a target's temporary files, short enough for any file system."""
    name = target.name
    if len(os.fsencode(name)) > 200:
        name = f"{name[:40]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return f".{name}."


def stem_of_temporary(path: Path) -> str | None:
    """The stem of the target that a temporary name belongs to; None for any other name."""
    match = _TEMPORARY.fullmatch(path.name)
    return match[1] if match else None


def leftovers(target: Path) -> list[Path]:
    """The temporary files and folders of a target, held or not."""
    try:
        names = os.listdir(target.parent)
    except OSError:
        return []
    found = (target.with_name(name) for name in names)
    return [path for path in found if stem_of_temporary(path) == stem(target)]


def remove_leftovers(target: Path) -> None:
    """Remove temporary files of this target that no running program holds."""
    for path in leftovers(target):
        remove_unless_held(path)


def remove_unless_held(path: Path) -> None:
    """Remove a regular file of the user's own that no running program has locked."""
    if fcntl is None:
        with contextlib.suppress(OSError):  # Windows removes no file that a program has open
            if stat.S_ISREG(os.lstat(path).st_mode):
                os.unlink(path)
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode) and is_own(found):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
        finally:
            os.close(descriptor)


def _create(target: Path) -> tuple[Path, int]:
    """A new temporary file, locked."""
    while True:
        temporary = temporary_name(target)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(temporary, flags, 0o666)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # some network file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.exists(temporary):  # else another program removed it before it was locked
            return temporary, descriptor
        os.close(descriptor)


def keep_permissions(target: Path, descriptor: int) -> None:
    """Give an open file or folder the permissions of the one that it replaces, if there is one.

    If the system refuses the same group, the group gets no permissions: another group would have them.
    """
    try:
        old = os.lstat(target)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(old.st_mode) or not hasattr(os, "fchmod"):
        return
    mode = stat.S_IMODE(old.st_mode) & 0o777
    if old.st_gid != os.fstat(descriptor).st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode &= ~stat.S_IRWXG
    os.fchmod(descriptor, mode)


def _publish(temporary: Path, target: Path, force: bool) -> None:
    """Give the temporary file its final name, in one step."""
    if force:
        os.replace(temporary, target)
    else:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise too_late(target) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if _exists(target):
                raise too_late(target) from None
            os.rename(temporary, target)
    sync_folder(target.parent)


def too_late(target: Path) -> TlcliError:
    """The error if another program made the target meanwhile."""
    return TlcliError(f"{target} was made by another program meanwhile; it is left as it is.")


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, if its file system can. Raises OSError."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def write_error(target: str | Path, error: Exception) -> TlcliError:
    """The error for a failed write, as a plain sentence; h5py hides the error number in its text."""
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
