"""Images in class folders, each named after its class, with or without `train/` and `test/` above them.

The whole may also be a `.zip`; it is read where it is, nothing is unpacked.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data.decoding import SUFFIXES, Readable, UnreadableError, decode_all, decode_one
from tlcli.data.sampling import holdout
from tlcli.data.source import Progress, Request, Source, class_part, listed, path_reader, shown
from tlcli.data.zipped import open_zip
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget
from tlcli.store.records import ImageArray, Part

_PART_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}
_LISTED = 100
"""Unreadable images named in one warning."""


@path_reader(lambda path: path.is_dir() or path.suffix.lower() == ".zip", options=("image_size",))
def load(path: Path, request: Request) -> Source:
    """Classes in alphabetical order; where every name is a number, these are the classes' published numbers.

    Images lie at any depth below their class. `source_index` counts the images of a part (of the whole
    folder where there is no `train/`) by class, then by path. Without a `test/` folder, every fifth image
    of each class is for testing (see `sampling.holdout`). Without an image size, all images must have the
    size of the first.
    """
    budget = Budget(path.name, 0 if path.is_dir() else path.stat().st_size)
    root: Any = path if path.is_dir() else _inside_zip(path, budget)
    warnings: list[str] = []
    folders = _part_folders(root, warnings)
    listings = {part: _list_classes(folder, warnings) for part, folder in folders.items()}
    names = sorted({name for listing in listings.values() for name in listing})
    if not names:
        raise TlcliError(
            f"{path.name} has no folders with images in them: expected one folder per class, "
            f"with {', '.join(SUFFIXES)} files"
        )
    numbers = _published_numbers(names)
    ranked = [name for _, name in sorted(zip(numbers, names, strict=True))]
    parts = {part: _part(listing, ranked) for part, listing in listings.items()}
    reading = _Reading(root, request.image_size, warnings, request.progress, budget)
    reading.first_size([file for files, _ in parts.values() for file in files])
    found = {
        part: class_part(FolderImages(files, reading), labels) for part, (files, labels) in parts.items()
    }
    if "test" not in found and "validation" in found:
        warnings.append(f"{path.name} has no test/ folder: its validation folder is used as the test part")
        found["test"] = found.pop("validation")
    if "test" not in found:
        found["train"], found["test"] = _hold_out(found["train"])
    name = path.stem if path.is_file() else path.resolve().name
    return Source(
        name, found["train"], found["test"], ranked, warnings, sorted(numbers), found.get("validation")
    )


class FolderImages:
    """The images of some files, decoded when they are asked for: uint8, N x H x W x 3."""

    dtype = np.dtype(np.uint8)

    def __init__(self, files: Sequence[Readable], reading: _Reading) -> None:
        self._files, self._reading = files, reading

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._files), *self._reading.size, 3)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Raises TlcliError where one of them cannot be read; `readable` tells them apart instead."""
        wanted = np.arange(len(self))[index]
        decoded = self._reading.decode([self._files[i] for i in wanted.ravel()])
        if decoded.failures:
            position, problem = decoded.failures[0]
            name = self._reading.name(self._files[wanted.ravel()[position]])
            raise TlcliError(f"{name} cannot be read: {problem}")
        images = np.broadcast_to(decoded.images, (*decoded.images.shape[:3], 3))
        return np.array(images.reshape(*wanted.shape, *images.shape[1:]))

    def subset(self, index: np.ndarray) -> FolderImages:
        """Some of them."""
        return FolderImages([self._files[i] for i in index], self._reading)

    def readable(self, index: np.ndarray) -> tuple[ImageArray, np.ndarray]:
        """The images at `index` that can be read, grey ones with one channel, and their indices.

        Decodes each once, in bounded memory; the others are named in the source's warnings.
        """
        files = [self._files[i] for i in index]
        decoded = self._reading.decode(files)
        if decoded.failures:
            count = len(decoded.failures)
            named = [f"{self._reading.name(files[i])} ({why})" for i, why in decoded.failures[:_LISTED]]
            more = f", and {count - _LISTED} more" if count > _LISTED else ""
            self._reading.warnings.append(
                f"{count} of {len(files)} images cannot be read and are left out: {', '.join(named)}{more}"
            )
        return decoded.images, np.asarray(index)[decoded.kept]


class _Reading:
    """What all parts of one folder share."""

    def __init__(
        self,
        root: Any,
        size: tuple[int, int] | None,
        warnings: list[str],
        progress: Progress | None,
        budget: Budget,
    ) -> None:
        self.root, self.warnings, self.progress, self.budget = root, warnings, progress, budget
        self.size = size or (0, 0)
        self.stretch = size is not None
        self.first = ""

    def first_size(self, files: Sequence[Readable]) -> None:
        """Unless a size was asked for, take that of the first image that can be read."""
        for file in files if not self.stretch else ():
            try:
                height, width = decode_one(file, None, self.budget).shape[:2]
            except UnreadableError:
                continue
            self.size, self.first = (height, width), self.name(file)
            return
        if not self.stretch:
            raise TlcliError(f"none of the {len(files)} images in {shown(self.root.name)} can be read")

    def decode(self, files: Sequence[Readable]) -> Any:
        decoded = decode_all(files, self.size, self.budget, stretch=self.stretch, progress=self.progress)
        if decoded.other_size is not None:
            position, (height, width) = decoded.other_size
            raise TlcliError(
                f"the images differ in size: {self.first} has {self.size[1]} x {self.size[0]} "
                f"pixels, {self.name(files[position])} {width} x {height}; "
                "give --image-size to bring all to one"
            )
        return decoded

    def name(self, file: Any) -> str:
        """The path below the folder, with forward slashes, for a message."""
        return shown(str(file)[len(str(self.root)) :].strip("/\\").replace("\\", "/"), 200)


def _part(listing: dict[str, list[Readable]], ranked: Sequence[str]) -> tuple[list[Readable], np.ndarray]:
    files = [file for name in ranked for file in listing.get(name, ())]
    labels = np.repeat(np.arange(len(ranked)), [len(listing.get(name, ())) for name in ranked])
    return files, labels


def _hold_out(part: Part) -> tuple[Part, Part]:
    images = part.images
    assert isinstance(images, FolderImages)
    kept, held = holdout(part.labels)
    return (
        Part(images.subset(kept), part.labels[kept], kept),
        Part(images.subset(held), part.labels[held], held),
    )


def _part_folders(root: Any, warnings: list[str]) -> dict[str, Any]:
    """The folders of the parts; the folder itself as `train` where there is no split.

    A class may be called `train` too: only a folder that has folders and no images in it is a part.
    """
    folders = {entry.name.lower(): entry for entry in _entries(root) if entry.is_dir()}
    found = {
        part: folders[name]
        for part, names in _PART_FOLDERS.items()
        for name in names
        if name in folders and _has_only_folders(folders[name])
    }
    if "train" not in found:
        return {"train": root}
    beside = [entry.name for entry in folders.values() if entry not in found.values()]
    if beside:
        warnings.append(f"folders beside train/ and test/ are not read: {listed(beside)}")
    return found


def _has_only_folders(folder: Any) -> bool:
    entries = list(_entries(folder))
    return any(e.is_dir() for e in entries) and not any(_is_image(e.name) for e in entries if not e.is_dir())


def _list_classes(folder: Any, warnings: list[str]) -> dict[str, list[Readable]]:
    """The image files of each class, by path."""
    listing: dict[str, list[Readable]] = {}
    stray: Counter[str] = Counter()
    for entry in _entries(folder):
        if not entry.is_dir():
            if _is_image(entry.name):
                stray["images outside of class folders"] += 1
            continue
        files = []
        for file in _walk(entry):
            if _is_image(file.name):
                files.append(file)
            else:
                stray[f"{Path(file.name).suffix.lower() or 'nameless'} files"] += 1
        name = _class_name(entry.name)
        if name in listing:
            raise TlcliError(
                f"two folders of {shown(folder.name)} are both the class {name!r:.100}: "
                "class names must differ"
            )
        if files:
            listing[name] = files
        else:
            warnings.append(f"the folder {name!r:.100} has no images in it and is left out")
    if stray:
        counted = listed(f"{count} {what}" for what, count in stray.items())
        warnings.append(f"not read: {counted} in {shown(folder.name)}")
    return listing


def _entries(folder: Any) -> list[Any]:
    """What is in a folder, by name, without hidden files."""
    try:
        visible = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
        return sorted(visible, key=lambda entry: entry.name)
    except OSError as error:
        raise TlcliError(f"cannot look into {shown(folder.name)}: {error.strerror}") from None


def _walk(folder: Any) -> Iterator[Any]:
    """All files below a folder. Linked folders below a class are passed by: they could run in circles."""
    pending = [iter(_entries(folder))]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
        elif not entry.is_dir():
            yield entry
        elif not (hasattr(entry, "is_symlink") and entry.is_symlink()):
            pending.append(iter(_entries(entry)))


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _class_name(folder_name: str) -> str:
    """One spelling for what looks the same, whatever the file system; bytes that are no UTF-8 replaced."""
    text = folder_name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return unicodedata.normalize("NFC", text)


def _published_numbers(names: Sequence[str]) -> list[int]:
    if all(re.fullmatch("[0-9]{1,9}", name) for name in names) and len({int(n) for n in names}) == len(names):
        return [int(name) for name in names]
    return list(range(len(names)))


def _inside_zip(path: Path, budget: Budget) -> Any:
    """The folder in a zip that has the class folders: its root, or its only folder."""
    root: Any = open_zip(path, budget)
    entries = _entries(root)
    if len(entries) == 1 and entries[0].is_dir() and _has_only_folders(entries[0]):
        return entries[0]
    return root
