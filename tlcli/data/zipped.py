"""The folders in a zip archive, as much like `pathlib` as reading images needs.

`zipfile.Path` looks through all names for every folder, and goes in circles for some; here the tree is built
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from tlcli.data.archives import check_member
from tlcli.errors import TlcliError
from tlcli.store.budget import OBJECT, Budget
from tlcli.store.zips import open_archive

MAX_DEPTH = 64
"""The most levels of folders."""


class Archive(Protocol):
    """Opens members by name; a `zipfile.ZipFile` is one."""

    filename: Any

    def open(self, name: str) -> IO[bytes]: ...

    def getinfo(self, name: str) -> Any: ...


class ZipEntry:
    """A file or a folder in an archive."""

    __slots__ = ("_archive", "_children", "_path", "name")

    def __init__(self, archive: Archive, path: str, name: str, *, folder: bool) -> None:
        self._archive, self._path, self.name = archive, path, name
        self._children: dict[str, ZipEntry] | None = {} if folder else None

    def __str__(self) -> str:
        return f"{self._archive.filename}/{self._path}".rstrip("/")

    def is_dir(self) -> bool:
        return self._children is not None

    def is_file(self) -> bool:
        return self._children is None

    def iterdir(self) -> Iterator[ZipEntry]:
        """The entries of the folder."""
        yield from (self._children or {}).values()

    def size(self) -> int:
        """Bytes of a file, unpacked."""
        return self._archive.getinfo(self._path).file_size

    def open(self, mode: str = "rb") -> IO[bytes]:
        """The content of a file, unpacked while it is read."""
        return self._archive.open(self._path)

    def add(self, steps: list[str], *, folder: bool) -> None:
        """Add what lies at a path below this folder. Raises TlcliError where a file is in the way."""
        here = self
        for number, step in enumerate(steps, start=1):
            last = number == len(steps)
            if here._children is None:
                raise TlcliError(f"{self.name} holds {here._path!r:.100} as a file and as a folder: refused.")
            if step not in here._children:
                path = f"{here._path}/{step}".lstrip("/")
                here._children[step] = ZipEntry(self._archive, path, step, folder=folder or not last)
            here = here._children[step]


def open_zip(path: Path, budget: Budget) -> ZipEntry:
    """The root of an archive. Raises TlcliError for one that is damaged or has names that lead elsewhere."""
    archive = open_archive(path, budget)
    return grow(archive, path.name, archive.namelist(), budget)


def grow(archive: Archive, filename: str, names: Iterable[str], budget: Budget) -> ZipEntry:
    """The tree of an archive's members; names of folders end in a slash. Raises TlcliError for bad names."""
    root = ZipEntry(archive, "", filename, folder=True)
    for name in names:
        check_member(filename, name)
        steps = name.removesuffix("/").split("/")
        if "" in steps or "." in steps:
            raise TlcliError(f"{filename} holds {name!r:.100}, a path with an empty step: refused.")
        if len(steps) > MAX_DEPTH:
            raise TlcliError(f"{filename} has folders more than {MAX_DEPTH} deep: refused.")
        budget.take(len(steps) * (OBJECT + len(name)), "its folders")
        root.add(steps, folder=name.endswith("/"))
    return root
