"""Folders with a list of the files that this program wrote. Nothing else in them is replaced or removed.

The list (`.tlcli-files`, one name a line, with `/` between folders) is written before the first file. A
program that is killed at any moment leaves only files that the list names.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from tlcli.errors import TlcliError
from tlcli.store import atomic

LIST = ".tlcli-files"
_HEAD = "# Made by tlcli, which replaces or removes these files and no other."
_LONGEST = 4 << 20
_NO_LIST = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EMLINK)
"""A link, or a folder, of the list's name is no list."""


def text(names: Iterable[str]) -> str:
    """The text of the list of these files."""
    return "\n".join([_HEAD, *sorted(names), ""])


def list_files(folder: Path) -> set[str]:
    """The files that the folder's list names, present or not; empty if there is no list.

    Raises OSError for a list that cannot be read: no file may be taken for a stranger's then.
    """
    head, *names = (_read(folder) or "").splitlines() or [""]
    inside = (name for name in names if name and not {"", ".", ".."} & set(name.split("/")))
    return set(inside) if head == _HEAD else set()


def present(folder: Path) -> list[str]:
    """The files of the list that are there, sorted."""
    return sorted(name for name in list_files(folder) if _is_file(folder / name))


def strangers(folder: Path) -> list[str]:
    """The entries of the folder that this program did not make, sorted: files and links that the list does
    not name, and folders without a file of the list."""
    return sorted(name for name, path, ours in _inside(folder) if not ours)


def check(folder: Path) -> None:
    """Refuse an existing folder that belongs to another user or holds files that the list does not name.

    Raises TlcliError.
    """
    needed = "tlcli keeps there what an interrupted call has done. Move it away, or give another name."
    try:
        found = os.lstat(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise atomic.write_error(folder, error) from error
    if not stat.S_ISDIR(found.st_mode):
        what = "a link" if stat.S_ISLNK(found.st_mode) else "no folder"
        raise TlcliError(f"{folder} is {what}; {needed}")
    if not atomic.is_own(found):
        raise TlcliError(f"{folder} belongs to another user; {needed}")
    try:
        others = strangers(folder)
    except OSError as error:
        raise atomic.write_error(folder / LIST, error) from error
    if others:
        raise TlcliError(f"{folder} holds {others[0]!r}, which tlcli has not put there; {needed}")


class OwnedFolder:
    """A folder for the user alone, with its list, made when the first file is written.

    Args:
        path: The folder, which is checked at once, as in `check`.
        names: The files that may be written; the list keeps the names that it has.

    Raises:
        TlcliError: `check` refuses the folder, or the system cannot make it.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        check(path)
        self.path, self._names, self._made = path, set(names), False

    def file(self, name: str) -> Path:
        """The path of a file of the list."""
        if not self._made:
            self._make()
            self._made = True
        return self.path / name

    def _make(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
            atomic.sync_folder(self.path.parent)
        except FileExistsError:
            check(self.path)
        except OSError as error:
            raise TlcliError(f"The folder {self.path} could not be made: {error.strerror}.") from error
        try:
            before = list_files(self.path)
        except OSError as error:
            raise atomic.write_error(self.path / LIST, error) from error
        if not self._names <= before:
            with atomic.atomic_file(self.path / LIST, force=True, follow=False) as temporary:
                temporary.write_text(text(before | self._names), encoding="utf-8")


def remove(folder: Path) -> None:
    """Remove the files of the list, then the folders that are empty, then the list. Files that resist stay,
    and so does the list, which says whose they are."""
    if folder.is_symlink():
        return
    with contextlib.suppress(OSError):
        said = _read(folder)
        for name, path, ours in reversed(list(_inside(folder))):  # content before its folder
            if ours and name != LIST:
                _remove(path)
        left = any(ours and name != LIST for name, _, ours in _inside(folder))
        if said is not None and not left and (said.startswith(_HEAD) or _HEAD.startswith(said)):
            (folder / LIST).unlink()  # even an incomplete one, after a kill
        folder.rmdir()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            path.rmdir()
        elif atomic.stem_of_temporary(path):
            atomic.remove_unless_held(path)
        else:
            path.unlink()


def _inside(folder: Path) -> Iterator[tuple[str, Path, bool]]:
    """Everything in a folder and the folders below: its name from there, its path, and whether this program
    made it. A folder comes before its content; links are not followed."""
    names = list_files(folder)
    parents = {str(parent) for name in names for parent in Path(name).parents}
    stems = {atomic.stem(Path(name)) for name in (*names, LIST)}
    for above, folders, files in os.walk(folder):
        for path in (Path(above, name) for name in (*folders, *files)):
            name = path.relative_to(folder).as_posix()
            if _is_file(path):
                stem = atomic.stem_of_temporary(path)
                listed = bool(names) and (name == LIST or name in names or stem in stems)
                yield name, path, listed or stem == atomic.stem(Path(LIST))  # a kill left it before its list
            else:
                yield name, path, name in parents and not path.is_symlink()


def _read(folder: Path) -> str | None:
    """The text of the list; None where there is none. Raises OSError."""
    try:
        with open(folder / LIST, "rb", opener=_without_links) as file:
            return file.read(_LONGEST).decode("utf-8", "replace")
    except OSError as error:
        if error.errno in _NO_LIST:
            return None
        raise


def _is_file(path: Path) -> bool:
    """Whether a path is a regular file, not a link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))
