"""Read from the bytes of a file the structures by which it can harm HDF5 1.14.

- The names in a group of the older format lie in a local heap whose free space is a linked list. If the list
  is a circle, HDF5 follows it for ever and keeps every turn in memory.
- The index of a dataset's chunks may be an array that declares any number of entries. HDF5 reads each.
- Lists of texts of variable length are how newer versions of h5py store the names in Keras's files. HDF5
  makes room for as much as the attribute says, up to 4 GiB for each text, then copies as much as the global
  heap says, and only then compares the two: memory is overwritten.

The forms are those of the HDF5 File Format Specification 3.0: III.D and III.E (the heaps), IV.A.1 (object
headers), IV.A.2.i, m and r (attributes, symbol tables).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from tlcli.store.budget import Budget
from tlcli.store.gate import MAX_NAME_BYTES, UnsafeError

ROOM = 2**24
"""Bytes of headers and heaps to search, beside twice the file's size: they may overlap."""
_LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE = 0x08, 0x0C, 0x10, 0x11
_CHUNKS_4 = b"\x04\x02"
"""The first bytes of a layout of version 4 with chunks."""
_INDEXES = {3: (1, b"FAHD", 8), 4: (5, b"EAHD", 44)}
"""For each type of index that is an array (fixed, extensible): the size of its options, the first bytes of
its header, and the position of the number of entries in it."""
_NOWHERE = 2**64 - 1
_SHARED = 0x02
_END_OF_LIST = 1
_REFERENCE = struct.Struct("<IQI")
"""A text in an attribute: its length, the address of its heap, its number there."""


class RawFile:
    """The bytes of one file with addresses and lengths of eight bytes, as h5py writes them.

    base: The byte from which addresses count: the size of another format's block before HDF5's own.
    """

    def __init__(self, raw: BinaryIO, size: int, base: int, budget: Budget) -> None:
        self._raw, self._size, self._base, self._budget = raw, size, base, budget
        self._room = ROOM + 2 * size
        self._heaps: dict[int, dict[int, bytes]] = {}

    def check_group(self, header: int) -> None:
        """Refuse the group whose header has this address if listing it would not end. Raises UnsafeError."""
        for kind, message in self._messages(header):
            if kind == _SYMBOL_TABLE:
                self._check_free_list(int.from_bytes(message[8:16], "little"))

    def _check_free_list(self, address: int) -> None:
        mark, size, place, start = struct.unpack("<4s4xQQQ", self._take(address, 32))
        if mark != b"HEAP":
            raise _damage_error()
        data, steps = self._take(start, size), 0
        while place != _END_OF_LIST:
            steps += 1
            if place + 16 > size or 16 * steps > size:
                raise _damage_error()
            place = int.from_bytes(data[place : place + 8], "little")

    def check_index(self, header: int) -> None:
        """Refuse a dataset whose index of chunks declares more entries than the file has bytes.

        HDF5 reads every entry, even of chunks that are not stored. Raises UnsafeError.
        """
        for kind, message in self._messages(header):
            if kind == _LAYOUT and message[:2] == _CHUNKS_4 and len(message) > 5:
                place = 5 + message[3] * message[4]
                known = _INDEXES.get(message[place] if place < len(message) else 0)
                if known is None:
                    continue
                options, mark, number = known
                address = int.from_bytes(message[place + 1 + options : place + 9 + options], "little")
                if address == _NOWHERE:
                    continue
                head = self._take(address, number + 8)
                if head[:4] != mark or int.from_bytes(head[number:], "little") > self._size:
                    raise UnsafeError("stored with an index of more chunks than the file has room for")

    def texts(self, header: int, name: str, count: int) -> list[bytes]:
        """The texts of an attribute of the object whose header has this address. Raises UnsafeError."""
        for kind, message in self._messages(header):
            if kind == _ATTRIBUTE:
                data = _attribute_data(message, name.encode(), count * _REFERENCE.size)
                if data is not None:
                    return [self._text(*reference) for reference in _REFERENCE.iter_unpack(data)]
        raise UnsafeError("variable-length text in a place where Keras does not put it")

    def _take(self, start: int, length: int) -> bytes:
        self._room -= length
        start += self._base
        if self._room < 0 or start + length > self._size:
            raise _damage_error()
        if isinstance(self._raw, io.BytesIO):  # HDF5 reads the same object and needs its position
            return bytes(self._raw.getbuffer()[start : start + length])
        self._raw.seek(start)
        return self._raw.read(length).ljust(length, b"\0")

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
            raise _damage_error()
        for place, length in blocks:
            block, at = self._take(place, length), 0
            while at + form.size <= length:
                kind, size, flags = form.unpack_from(block, at)
                message = block[at + form.size : at + form.size + size]
                at += form.size + size
                if at > length:
                    raise _damage_error()
                if kind == _CONTINUATION and size == 16:
                    after, more = struct.unpack("<QQ", message)
                    blocks.append((after + 4, max(0, more - 8)) if second else (after, more))
                elif not flags & _SHARED:
                    yield kind, message

    def _text(self, length: int, address: int, number: int) -> bytes:
        if not length:
            return b""
        if length > MAX_NAME_BYTES:  # many entries may refer to one long text, and each gets a copy
            raise UnsafeError(f"a list with a name of {length:,} bytes; expected {MAX_NAME_BYTES} at most")
        self._budget.take(length, "the names that it lists")
        if address not in self._heaps:
            self._heaps[address] = self._heap(address)
        text = self._heaps[address].get(number, b"")
        if len(text) < length:
            raise _damage_error()
        return text[:length].rstrip(b"\0")

    def _heap(self, address: int) -> dict[int, bytes]:
        """The objects of one collection of the global heap, by number."""
        mark, size = struct.unpack("<4s4xQ", self._take(address, 16))
        if mark != b"GCOL":
            raise _damage_error()
        collection, at, found = self._take(address, size), 16, {}
        while at + 16 <= size:
            number, length = struct.unpack_from("<H6xQ", collection, at)
            if not number:  # the free space
                break
            found[number] = collection[at + 16 : at + 16 + length]
            at += 16 + -(-length // 8) * 8
        return found


def _attribute_data(message: bytes, name: bytes, length: int) -> bytes | None:
    """The data of an attribute if it has that name."""
    if len(message) < 9 or message[0] not in (1, 2, 3):
        return None
    version = message[0]
    sizes = struct.unpack_from("<HHH", message, 2)  # lengths of the name, the type and the shape
    at = 9 if version == 3 else 8
    if message[at : at + sizes[0]].rstrip(b"\0") != name:
        return None
    data = message[at + sum(-(-n // 8) * 8 if version == 1 else n for n in sizes) :][:length]
    if len(data) < length or (version > 1 and message[1]):
        raise _damage_error()
    return data


def _damage_error() -> UnsafeError:
    return UnsafeError("stored inconsistently")
