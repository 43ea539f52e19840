"""Many images of a file: they stay in it, and are read when they are asked for."""

from __future__ import annotations

import copy
import os
import threading
import weakref
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.chunks import check_place, unpack
from tlcli.store.gate import Item

IN_MEMORY = 1 << 28
"""The most bytes of images that are read whole; larger arrays stay in the file."""

_SEEKING = threading.Lock()


def _read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Read bytes of a file at an offset, also where several threads do."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    with _SEEKING:  # Windows
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)


class StoredImages:
    """Images of a file (uint8, N x H x W x C), of which only those that are asked for are in memory.

    The file stays open. The digests of the file are checked on the first reading; a chunk that has changed
    since is an error.
    """

    dtype = np.dtype(np.uint8)
    sha256 = ""
    """The digest of all, once it is known."""
    _whole: StoredImages | None = None

    def __init__(
        self,
        file: BinaryIO,
        item: Item,
        places: Mapping[tuple[int, ...], Any],
        plain_words: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """places: The place of each chunk in the file by its offset. plain_words: Makes a block that turns
        errors of HDF5 into a TlcliError."""
        assert item.chunks is not None
        self.shape = item.shape
        self._item, self._places, self._plain_words = item, places, plain_words
        self._deep = item.chunks[0]
        self._rows = np.arange(item.shape[0])
        self._sums: dict[tuple[int, ...], int] = {}
        self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Raises TlcliError where the file is damaged, or has changed."""
        wanted = self._rows[index]
        flat = wanted.ravel()
        found = np.empty((len(flat), *self.shape[1:]), np.uint8)
        rows = flat // self._deep
        order = np.argsort(rows, kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1) if len(flat) else ():
            row = int(rows[some[0]])
            found[some] = self._row(row)[flat[some] - row * self._deep]
        return found.reshape(*wanted.shape, *self.shape[1:])

    def subset(self, index: np.ndarray) -> StoredImages:
        """Some of the images, in the order of `index`; they stay in the file too."""
        some = copy.copy(self)
        some._whole = self  # the file is closed with it
        some._rows = self._rows[index]
        some.shape = (len(some._rows), *self.shape[1:])
        some.sha256 = ""
        return some

    def _row(self, row: int) -> np.ndarray:
        """The images of the chunks that begin with the same image."""
        chunks = self._item.chunks
        assert chunks is not None
        found = np.empty((self._deep, *self.shape[1:]), np.uint8)
        for start in np.ndindex(*(-(-n // c) for n, c in zip(self.shape[1:], chunks[1:], strict=True))):
            inner = tuple(i * c for i, c in zip(start, chunks[1:], strict=True))
            part = found[(slice(None), *(slice(o, o + c) for o, c in zip(inner, chunks[1:], strict=True)))]
            part[...] = self._chunk((row * self._deep, *inner))[tuple(slice(0, n) for n in part.shape)]
        return found

    def _chunk(self, offset: tuple[int, ...]) -> np.ndarray:
        place: Any = self._places.get(offset)
        with self._plain_words():
            check_place(self._item, place)
            raw = _read_at(self._descriptor, place.size, place.byte_offset)
            chunk = unpack(self._item, raw, self.dtype)
        found = zlib.crc32(chunk.data)
        if self._sums.setdefault(offset, found) != found:
            raise TlcliError(f"{self._item.path} was changed while it was read. Read the file again.")
        return chunk
