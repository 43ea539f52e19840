"""Read the data of a dataset that passed the gate.

HDF5 unpacks a chunk to whatever size the compressed stream asks for, so this module unpacks chunks itself.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from h5py import h5d, h5s

from tlcli.store.gate import Item, UnsafeError, chunk_count, product


def load_dataset(file: Any, item: Item) -> np.ndarray:
    """The array of one dataset. Raises UnsafeError, zlib.error, or what h5py raises, when it is damaged."""
    stored = h5d.open(file, item.path.encode())
    dtype = np.dtype(f"S{item.itemsize}" if item.dtype == "string" else item.dtype).newbyteorder("<")
    array = np.empty(item.shape, dtype)
    if item.chunks is None:
        if array.size:
            stored.read(h5s.ALL, h5s.ALL, array, stored.get_type())
        return array
    places = chunk_places(stored, item)
    for start in np.ndindex(*(-(-n // c) for n, c in zip(item.shape, item.chunks, strict=True))):
        offset = tuple(i * c for i, c in zip(start, item.chunks, strict=True))
        check_place(item, places.get(offset))
        chunk = unpack(item, stored.read_direct_chunk(offset)[1], dtype)
        target = tuple(slice(o, o + c) for o, c in zip(offset, item.chunks, strict=True))
        part = array[target]
        part[...] = chunk[tuple(slice(0, n) for n in part.shape)]
    return array


def chunk_places(stored: Any, item: Item) -> dict[tuple[int, ...], Any]:
    """The place of each chunk by its offset, from one pass: HDF5 searches all chunks for each one."""
    found: dict[tuple[int, ...], Any] = {}
    most = chunk_count(item)

    def note(chunk: Any) -> bool | None:
        found[tuple(chunk.chunk_offset)] = chunk
        return True if len(found) > most else None  # anything but None ends the pass

    stored.chunk_iter(note)
    return found


def check_place(item: Item, place: Any) -> None:
    """Raise UnsafeError for a chunk that is not there, or takes more bytes than a chunk can."""
    assert item.chunks is not None
    size = product(item.chunks) * item.itemsize
    if place is None or place.byte_offset is None:
        raise UnsafeError(f"{item.path!r:.100} lacks a chunk")
    # Without filters HDF5 reads as many bytes as the file says into a buffer of the declared size.
    most = size + size // 100 + 1024 if item.filters else size
    if place.filter_mask or place.size > most:
        raise UnsafeError(
            f"{item.path!r:.100} has a chunk of {place.size:,} bytes; expected {size:,} at most"
        )


def unpack(item: Item, raw: bytes, dtype: np.dtype) -> np.ndarray:
    """The bytes of a chunk without fletcher32 (the digests check more), gzip and shuffle."""
    assert item.chunks is not None
    size = product(item.chunks) * item.itemsize
    if "fletcher32" in item.filters:
        raw = raw[:-4]
    if "gzip" in item.filters:
        stream = zlib.decompressobj()
        raw = stream.decompress(raw, size + 1)
    if len(raw) != size:
        raise UnsafeError(f"{item.path!r:.100} has a chunk of another size than it declares")
    if "shuffle" in item.filters and item.itemsize > 1:
        raw = np.frombuffer(raw, np.uint8).reshape(item.itemsize, -1).T.tobytes()
    return np.frombuffer(raw, dtype).reshape(item.chunks)
