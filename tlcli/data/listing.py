"""List a folder, a zip or a tar archive as a tree, once and in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tlcli.data.decoding import SUFFIXES, Readable
from tlcli.data.source import list_names, show
from tlcli.errors import TlcliError


class Container(Protocol):
    """A folder that can be listed: a `pathlib.Path` or a folder of an archive."""

    name: str

    def iterdir(self) -> Iterator[Any]: ...


@dataclass
class Folder:
    """A folder and all below it. Everything is in the order of the names."""

    name: str
    path: str
    """The path below the root, with forward slashes; empty for the root."""
    entries: list[Folder | Readable] = field(default_factory=list)
    """Folders and image files, mixed."""
    others: list[Readable] = field(default_factory=list)
    """Files that are not images."""
    count: int = 0
    """Images in it and below it."""

    @property
    def folders(self) -> list[Folder]:
        """The folders in it that hold images, here or deeper."""
        return [entry for entry in self.entries if isinstance(entry, Folder) and entry.count]

    @property
    def empty(self) -> list[Folder]:
        """The folders in it without images, here and deeper."""
        return [entry for entry in self.entries if isinstance(entry, Folder) and not entry.count]

    @property
    def images(self) -> list[Readable]:
        """The images directly in it."""
        return [entry for entry in self.entries if not isinstance(entry, Folder)]

    def below(self) -> Iterator[Readable]:
        """All images in it and below it."""
        pending = [iter(self.entries)]
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
            elif isinstance(entry, Folder):
                pending.append(iter(entry.entries))
            else:
                yield entry

    def walk(self) -> Iterator[Folder]:
        """It and every folder below it."""
        pending = [self]
        while pending:
            folder = pending.pop()
            yield folder
            pending += [entry for entry in reversed(folder.entries) if isinstance(entry, Folder)]


def list_tree(root: Container, warnings: list[str]) -> Folder:
    """The tree below a folder, hidden entries left out.

    A link to a folder is followed once, and only if the folder has not been read: links can run in circles.
    Links out of the root are followed, counted and named in the warnings. Raises TlcliError for a folder that
    cannot be listed.
    """
    tree = Folder(show(root.resolve().name if isinstance(root, Path) else root.name), "")
    inside, leading_out = (
        os.path.join(os.path.realpath(root), "") if isinstance(root, Path) else "",
        list[str](),
    )
    read = {_identity(root)}
    linked: list[tuple[Any, Folder]] = []
    order = [tree]
    pending: list[tuple[Any, Folder]] = [(root, tree)]
    while pending or linked:
        if not pending:
            entry, folder = linked.pop(0)
            if (identity := _identity(entry)) in read:
                warnings.append(f"The link {show(folder.path, 200)} leads to a folder that was read already.")
                continue
            read.add(identity)
            pending.append((entry, folder))
        here, folder = pending.pop()
        for entry in _entries(here):
            is_link = isinstance(entry, Path) and entry.is_symlink()
            if is_link and not os.path.realpath(entry).startswith(inside):
                leading_out.append(f"{folder.path}/{entry.name}".lstrip("/"))
            if not entry.is_dir():
                files = folder.entries if is_image(entry.name) else folder.others
                files.append(entry)
                continue
            child = Folder(entry.name, f"{folder.path}/{entry.name}".lstrip("/"))
            folder.entries.append(child)
            order.append(child)
            if is_link:
                linked.append((entry, child))
            else:
                read.add(_identity(entry))
                pending.append((entry, child))
    if leading_out:
        links = "1 link leads" if len(leading_out) == 1 else f"{len(leading_out):,} links lead"
        warnings.append(
            f"{links} out of the folder {tree.name}, and what lies there is read as part of it: "
            f"{list_names(leading_out)}."
        )
    for folder in reversed(order):  # deeper folders first
        folder.count = len(folder.images) + sum(child.count for child in folder.folders)
    return tree


def is_image(name: str) -> bool:
    """Whether a file has the name of an image."""
    return name.lower().endswith(SUFFIXES)


def _entries(folder: Container) -> list[Any]:
    try:
        visible = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise TlcliError(f"The folder {show(folder.name)} cannot be read: {error.strerror}.") from None
    return sorted(visible, key=lambda entry: entry.name)


def _identity(folder: Container) -> Any:
    if not isinstance(folder, Path):
        return folder
    try:
        status = os.stat(folder)
    except OSError as error:
        raise TlcliError(f"The folder {show(folder.name)} cannot be read: {error.strerror}.") from None
    return status.st_dev, status.st_ino
