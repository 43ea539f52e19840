"""Lists of texts of variable length, read from the bytes of a file and not by HDF5.

Newer versions of h5py store Keras's lists of names so. HDF5 1.14 makes room for as much as such an attribute
says, up to 4 GiB for each text, then copies as much as its heap says, and only then compares the two: a file
can overwrite memory. The form of what is read here is described in the HDF5 File Format Specification 3.0:
IV.A.1 (object headers), IV.A.2.m (attributes), III.E (the global heap).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

from tlcli.store.gate import UnsafeError

ROOM = 2**24
"""Bytes of headers and heaps that are looked through in one file; Keras's take some thousands."""
_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_SHARED = 0x02
_REFERENCE = struct.Struct("<IQI")
"""A text in an attribute: its length, the address of its heap, its number there."""


class VariableTexts:
    """The lists of texts in the attributes of one file, whose addresses and lengths have eight bytes."""

    def __init__(self, source: Path | io.BytesIO, size: int) -> None:
        self._source, self._size = source, size
        self._room = ROOM
        self._heaps: dict[int, dict[int, bytes]] = {}

    def read(self, header: int, name: str, count: int) -> list[bytes]:
        """The texts of an attribute of the object whose header has this address. Raises UnsafeError."""
        for kind, message in self._messages(header):
            if kind == _ATTRIBUTE:
                data = _attribute_data(message, name.encode(), count * _REFERENCE.size)
                if data is not None:
                    return [self._text(*reference) for reference in _REFERENCE.iter_unpack(data)]
        raise UnsafeError("variable-length text in a place where Keras does not put it")

    def _take(self, start: int, length: int) -> bytes:
        self._room -= length
        if self._room < 0 or start + length > self._size:
            raise _damaged()
        if isinstance(self._source, io.BytesIO):
            return bytes(self._source.getbuffer()[start : start + length])
        with self._source.open("rb") as raw:
            raw.seek(start)
            return raw.read(length).ljust(length, b"\0")

    def _messages(self, header: int) -> Iterator[tuple[int, bytes]]:
        """The messages of an object header of version 1 or 2, shared ones left out."""
        start = self._take(header, 12)
        second = start[:4] == b"OHDR"
        if second:
            flags = start[5]
            place = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            blocks = [(place + width, int.from_bytes(self._take(place, width), "little"))]
            form = struct.Struct("<BHB2x" if flags & 0x04 else "<BHB")
        elif start[0] == 1:
            blocks = [(header + 16, int.from_bytes(start[8:12], "little"))]
            form = struct.Struct("<HHB3x")
        else:
            raise _damaged()
        for place, length in blocks:
            block, at = self._take(place, length), 0
            while at + form.size <= length:
                kind, size, flags = form.unpack_from(block, at)
                message = block[at + form.size : at + form.size + size]
                at += form.size + size
                if at > length:
                    raise _damaged()
                if kind == _CONTINUATION and size == 16:
                    after, more = struct.unpack("<QQ", message)
                    blocks.append((after + 4, max(0, more - 8)) if second else (after, more))
                elif not flags & _SHARED:
                    yield kind, message

    def _text(self, length: int, address: int, number: int) -> bytes:
        if not length:
            return b""
        if address not in self._heaps:
            self._heaps[address] = self._heap(address)
        text = self._heaps[address].get(number, b"")
        if len(text) < length:
            raise _damaged()
        return text[:length].rstrip(b"\0")

    def _heap(self, address: int) -> dict[int, bytes]:
        """The objects of one collection of the global heap, by number."""
        mark, size = struct.unpack("<4s4xQ", self._take(address, 16))
        if mark != b"GCOL":
            raise _damaged()
        collection, at, found = self._take(address, size), 16, {}
        while at + 16 <= size:
            number, length = struct.unpack_from("<H6xQ", collection, at)
            if not number:  # the space that is left
                break
            found[number] = collection[at + 16 : at + 16 + length]
            at += 16 + -(-length // 8) * 8
        return found


def _attribute_data(message: bytes, name: bytes, length: int) -> bytes | None:
    """The data of an attribute if it has that name."""
    if len(message) < 9 or message[0] not in (1, 2, 3):
        return None
    version = message[0]
    sizes = struct.unpack_from("<HHH", message, 2)  # of the name, the type and the shape
    at = 9 if version == 3 else 8
    if message[at : at + sizes[0]].rstrip(b"\0") != name:
        return None
    data = message[at + sum(-(-n // 8) * 8 if version == 1 else n for n in sizes) :][:length]
    if len(data) < length or (version > 1 and message[1]):
        raise _damaged()
    return data


def _damaged() -> UnsafeError:
    return UnsafeError("variable-length text that does not hang together")
