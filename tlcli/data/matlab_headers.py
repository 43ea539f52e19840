"""Read the headers of the variables of a MATLAB file of version 5, without unpacking them.

SciPy reserves the memory that a header declares before it checks that the data are there. The form is that of
"MAT-File Format" (MathWorks, R2024), chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tlcli.store.budget import OBJECT, Budget

_MATRIX, _COMPRESSED = 14, 15
_KINDS = {
    4: "char",
    6: "double",
    7: "single",
    8: "int8",
    9: "uint8",
    10: "int16",
    11: "uint16",
    12: "int32",
    13: "uint32",
    14: "int64",
    15: "uint64",
}
_OTHER_KINDS = {1: "cell", 2: "struct", 3: "object", 5: "sparse"}
OTHERS = frozenset(_OTHER_KINDS.values())
"""Kinds of variables that are neither numbers nor text."""
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_ENTRY_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes of an entry by its stored type, which may be narrower than the variable's own."""
_DTYPES = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
"""The numpy type by MATLAB's class."""
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_STRUCT = 2
_DEEPEST = 8
"""The deepest structure within structures that is read."""
_START = 4096
"""Bytes that hold a variable's header: flags, at most 32 dimensions, a name of at most 63 characters."""


class Variable(NamedTuple):
    """A variable of numbers or text, or one of `OTHERS`, whose content is not read."""

    name: str
    shape: tuple[int, ...]
    kind: str
    """MATLAB's class; one of `OTHERS` without numbers or text."""
    size: int
    """Its stored bytes, unpacked."""


def variables(path: Path) -> Iterator[Variable]:
    """The variables of real numbers and of text, and `OTHERS`; variables of other classes are skipped.

    Raises ValueError for a damaged file.
    """
    for _, start, order in _elements(path):
        kind, size = struct.unpack(f"{order}II", _require_length(start[:8], 8))
        found = _variable(start[8:], size, order) if kind == _MATRIX else None
        if found:
            yield found


def structure_arrays(path: Path, budget: Budget) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of real numbers in structures, by path (`dataset/train/images`).

    Arrays of structures are skipped. Raises ValueError for a damaged file.
    """
    for place, start, order in _elements(path):
        kind, size = struct.unpack(f"{order}II", _require_length(start[:8], 8))
        found = _variable(start[8:], size, order) if kind == _MATRIX else None
        if found and found.kind == "struct":
            content = memoryview(_read_element(path, place, order, budget))[8:]
            yield from _fields(content, found.name, order, budget)


def _elements(path: Path) -> Iterator[tuple[int, bytes, str]]:
    """The place, the first bytes (with the eight that say type and size) and the byte order of each
    element."""
    with open(path, "rb") as file:
        end = file.seek(0, 2)
        file.seek(126)
        order = {b"IM": "<", b"MI": ">"}.get(file.read(2))
        if order is None:
            raise ValueError("its header states no byte order")
        place = 128
        while place < end:
            file.seek(place)
            head = bytes(_require_length(file.read(8), 8))
            kind, size = struct.unpack(f"{order}II", head)
            if place + 8 + size > end:
                raise ValueError("it is cut short")
            start = file.read(min(size, _START))
            yield (
                place,
                zlib.decompressobj().decompress(start, _START) if kind == _COMPRESSED else head + start,
                order,
            )
            place += 8 + size


def _read_element(path: Path, place: int, order: str, budget: Budget) -> bytes:
    """An element, unpacked, with the eight bytes that say type and size."""
    with open(path, "rb") as file:
        file.seek(place)
        head = bytes(_require_length(file.read(8), 8))
        kind, size = struct.unpack(f"{order}II", head)
        if kind != _COMPRESSED:
            budget.take(size, "a structure")
            return head + file.read(size)
        unpacked, packer = bytearray(), zlib.decompressobj()
        packed = file.read(size)
        while packed and not packer.eof:
            block = packer.decompress(packed, 1 << 24)
            budget.take(len(block), "a structure")
            unpacked += block
            packed = packer.unconsumed_tail
        return bytes(unpacked)


def _fields(content: memoryview, way: str, order: str, budget: Budget) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays in the content of one structure, and in those within it."""
    pending = [(content, way, 0)]
    while pending:
        here, way, depth = pending.pop()
        budget.take(OBJECT, "the fields of its structures")
        _, begin, length, place = _element(here, 0, order)
        flags = struct.unpack_from(f"{order}I", _require_length(bytes(here[begin : begin + length]), 8))[0]
        _, begin, length, place = _element(here, place, order)
        shape = struct.unpack(f"{order}{length // 4}i", bytes(here[begin : begin + length]))
        _, _, _, place = _element(here, place, order)  # its name
        if flags & 0xFF in _DTYPES and not flags & _COMPLEX:
            yield way, _numbers(here, place, shape, _DTYPES[flags & 0xFF], order)
        if flags & 0xFF != _STRUCT or math.prod(shape) != 1 or depth > _DEEPEST:
            continue
        _, begin, length, place = _element(here, place, order)
        longest = struct.unpack(f"{order}i", _require_length(bytes(here[begin : begin + length]), 4))[0]
        _, begin, length, place = _element(here, place, order)
        if longest < 1:
            raise ValueError(f"{way!r:.80} has fields without names")
        names = bytes(here[begin : begin + length])
        for start in range(0, length, longest):
            name = names[start : start + longest].split(b"\0", 1)[0].decode("latin1")
            kind, begin, size, place = _element(here, place, order)
            if kind == _MATRIX and size:
                pending.append((here[begin : begin + size], f"{way}/{name}", depth + 1))


def _numbers(here: memoryview, place: int, shape: tuple[int, ...], dtype: str, order: str) -> np.ndarray:
    stored, begin, length, _ = _element(here, place, order)
    if (
        stored not in _STORED
        or length != math.prod(shape) * np.dtype(_STORED[stored]).itemsize
        or min(shape) < 0
    ):
        raise ValueError(f"an array declares the shape {shape} and has {length:,} bytes")
    content = here[begin : begin + length]
    if len(content) != length:
        raise ValueError("it is cut short")
    array = np.frombuffer(content, np.dtype(order + _STORED[stored])).reshape(shape, order="F")
    return array if array.dtype == dtype else array.astype(dtype)


def _variable(start: bytes, size: int, order: str) -> Variable | None:
    """The variable of an element of `size` bytes that begins with `start`; None for other classes."""
    _, begin, length, place = _element(start, 0, order)
    flags = struct.unpack_from(f"{order}I", _require_length(start[begin : begin + length], 8))[0]
    kind = _KINDS.get(flags & 0xFF) or _OTHER_KINDS.get(flags & 0xFF)
    if kind is None or flags & _COMPLEX:
        return None
    _, begin, length, place = _element(start, place, order)
    shape = struct.unpack(f"{order}{length // 4}i", _require_length(start[begin : begin + length], length))
    _, begin, length, place = _element(start, place, order)
    name = _require_length(start[begin : begin + length], length).decode("latin1")  # type: ignore[union-attr]
    if not name:
        return None  # MATLAB's own
    if kind in OTHERS:
        return Variable(name, shape, kind, 0)
    stored, _, length, _ = _element(start, place, order)
    expected = math.prod(shape) * _ENTRY_BYTES.get(stored, 0)
    if min(shape, default=-1) < 0 or length > size or (kind != "char" and length != expected):
        raise ValueError(f"{name!r:.80} declares the shape {shape} and has {length:,} bytes")
    return Variable(name, shape, "logical" if flags & _LOGICAL else kind, length)


def _element(start: bytes | memoryview, place: int, order: str) -> tuple[int, int, int, int]:
    """An element's type, the place and the length of its content, and the place of the next element.

    An element of up to four bytes has type and length in one word.
    """
    word, length = struct.unpack(f"{order}II", _require_length(start[place : place + 8], 8))
    if word >> 16:
        return word & 0xFFFF, place + 4, word >> 16, place + 8
    return word, place + 8, length, place + 8 + -(-length // 8) * 8


def _require_length(content: bytes | memoryview, length: int) -> bytes | memoryview:
    """The content, if it has this length. Raises ValueError."""
    if len(content) != length:
        raise ValueError("it is cut short")
    return content
