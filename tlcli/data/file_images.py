"""Images in files, decoded on demand."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data import scale
from tlcli.data.decoding import (
    DecodedImages,
    Readable,
    UnreadableError,
    decode_all,
    decode_one,
    range_of_deep,
)
from tlcli.data.fitting import Fit
from tlcli.data.source import ReportCounts, show
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget
from tlcli.store.records import ImageArray

_LISTED = 100
"""The most unreadable images that a warning names."""


class FileSet:
    """The files of all parts of a data set, with the size of the images and their scale."""

    def __init__(
        self,
        roots: Sequence[Any],
        fit: Fit,
        white: float | None,
        warnings: list[str],
        notes: list[str],
        progress: ReportCounts | None,
        budget: Budget,
    ) -> None:
        self.roots, self.fit, self.progress, self.budget = roots, fit, progress, budget
        self.warnings, self.notes = warnings, notes
        self.size = fit.size or (0, 0)
        self._first = ""
        self._files: list[Readable] = []
        self._given, self._white = white, white
        self._checked = False
        root = roots[0]
        self._root = show(root.resolve().name if isinstance(root, Path) else root.name)
        self._lock = threading.Lock()

    def hold(self, files: Sequence[Readable]) -> None:
        """Set the files of all parts. Without a size, the first readable image gives it."""
        self._files = list(files)
        if self.fit.size:
            return
        for file in files:
            try:
                height, width = decode_one(file, budget=self.budget).shape[:2]
            except UnreadableError:
                continue
            self.size, self._first = (height, width), self.name(file)
            return
        raise TlcliError(f"None of the {len(files)} images in {self._root} can be read.")

    def white(self) -> float:
        """White in images of more than 8 bits, found from all of them at the first call."""
        with self._lock:
            if self._white is None:
                where = f"The pixels of more than 8 bits in {self._root}"
                found = range_of_deep(self._files, self.budget) or scale.Range(0, 65535, True)
                self._white, doubt = scale.find_white(found, where)
                if doubt:
                    self.warnings.append(doubt)
                else:
                    self.notes.append(f"{where} reach to {found.high:g}: white is {self._white:g}.")
            return self._white

    def decode(self, files: Sequence[Readable]) -> DecodedImages:
        """Decode some of the files. Raises TlcliError for images of several sizes, and of another scale."""
        white = self._given if self._given is not None else self.white
        decoded = decode_all(
            files,
            self.size,
            self.budget,
            fit=self.fit,
            white=white,
            progress=self.progress,
        )
        if decoded.other_size is not None:
            position, (height, width) = decoded.other_size
            raise TlcliError(
                f"The images differ in size: {self._first} has {self.size[1]} x {self.size[0]} "
                f"pixels, {self.name(files[position])} {width} x {height}; "
                "give `image_size` to bring all to one."
            )
        return decoded

    def check_scale(self, decoded: DecodedImages) -> None:
        """Check that the images read first, those for training, are on the scale of 0 to 255."""
        if self._white is not None or self._checked:
            return
        self._checked = True
        where = f"The {len(decoded.kept)} images read first in {self._root}"
        white, doubt = scale.find_white(scale.Range(0, decoded.brightest, True), where)
        if white != 255:
            raise TlcliError(
                f"{where} have no pixel above {decoded.brightest} of 255: say with `white` which value "
                "is white (`white` 255 leaves them as they are)."
            )
        if doubt:
            self.warnings.append(doubt)

    def name(self, file: Any) -> str:
        """The path below the folder, with forward slashes, for a message."""
        text = str(file)
        root = next((str(root) for root in self.roots if text.startswith(str(root))), "")
        return show(text[len(root) :].strip("/\\").replace("\\", "/"), 200)


class FileImages:
    """Some images of a `FileSet`: uint8, N x H x W x C; C is 3 unless `fit` says 1."""

    dtype = np.dtype(np.uint8)

    def __init__(self, files: Sequence[Readable], of: FileSet) -> None:
        self._files, self._set = files, of

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._files), *self._set.size, self._set.fit.channels or 3)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Decode images. Raises TlcliError if one cannot be read; `readable` leaves such images out."""
        wanted = np.arange(len(self))[index]
        decoded = self._set.decode([self._files[i] for i in wanted.ravel()])
        if decoded.failures:
            position, problem = decoded.failures[0]
            name = self._set.name(self._files[wanted.ravel()[position]])
            raise TlcliError(f"The image {name} cannot be read: {problem}.")
        images = np.broadcast_to(decoded.images, (*decoded.images.shape[:3], self.shape[3]))
        return np.array(images.reshape(*wanted.shape, *images.shape[1:]))

    def subset(self, index: np.ndarray) -> FileImages:
        """Some of them."""
        return FileImages([self._files[i] for i in index], self._set)

    def readable(self, index: np.ndarray) -> tuple[ImageArray, np.ndarray]:
        """The images at `index` that can be read, grey ones with one channel, and their indices.

        Decodes each once, in bounded memory; the others are named in the source's warnings.
        """
        files = [self._files[i] for i in index]
        decoded = self._set.decode(files)
        self._set.check_scale(decoded)
        if decoded.failures:
            count = len(decoded.failures)
            named = [f"{self._set.name(files[i])} ({why})" for i, why in decoded.failures[:_LISTED]]
            more = f", and {count - _LISTED} more" if count > _LISTED else ""
            self._set.warnings.append(
                f"{count} of {len(files)} images cannot be read and are left out: {', '.join(named)}{more}."
            )
        return decoded.images, np.asarray(index)[decoded.kept]
