"""What a MATLAB file of version 5 says of its variables, without unpacking them.

SciPy makes room for what a header says before it looks whether that much is there. The form is that of
"MAT-File Format" (MathWorks, R2024), chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_ENTRY_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""By the type in which data are stored, which may be narrower than the variable's own."""
_START = 4096
"""Bytes that hold a variable's header: flags, at most 32 dimensions, a name of at most 63 characters."""


class Variable(NamedTuple):
    """A variable of numbers or text."""

    name: str
    shape: tuple[int, ...]
    kind: str
    """MATLAB's class."""
    size: int
    """Bytes that it is stored in, unpacked."""


def variables(path: Path) -> Iterator[Variable]:
    """The variables of real numbers and of text; others are passed by. Raises ValueError for damage."""
    with open(path, "rb") as file:
        end = file.seek(0, 2)
        file.seek(126)
        order = {b"IM": "<", b"MI": ">"}.get(file.read(2))
        if order is None:
            raise ValueError("its header does not say in which order bytes are")
        place = 128
        while place < end:
            file.seek(place)
            kind, size = struct.unpack(f"{order}II", _exactly(file.read(8), 8))
            place += 8 + size
            if place > end:
                raise ValueError("it is cut short")
            start = file.read(min(size, _START))
            if kind == _COMPRESSED:
                start = zlib.decompressobj().decompress(start, _START)
                kind, size = struct.unpack(f"{order}II", _exactly(start[:8], 8))
                start = start[8:]
            found = _variable(start, size, order) if kind == _MATRIX else None
            if found:
                yield found


def _variable(start: bytes, size: int, order: str) -> Variable | None:
    """The variable of an element of so many bytes that begins with `start`; None for other kinds."""
    _, begin, length, place = _element(start, 0, order)
    flags = struct.unpack_from(f"{order}I", _exactly(start[begin : begin + length], 8))[0]
    kind = _KINDS.get(flags & 0xFF)
    if kind is None or flags & _COMPLEX:
        return None
    _, begin, length, place = _element(start, place, order)
    shape = struct.unpack(f"{order}{length // 4}i", _exactly(start[begin : begin + length], length))
    _, begin, length, place = _element(start, place, order)
    name = _exactly(start[begin : begin + length], length).decode("latin1")
    if not name:
        return None  # MATLAB's own
    stored, _, length, _ = _element(start, place, order)
    expected = math.prod(shape) * _ENTRY_BYTES.get(stored, 0)
    if min(shape, default=-1) < 0 or length > size or (kind != "char" and length != expected):
        raise ValueError(f"{name!r:.80} declares the shape {shape} and has {length:,} bytes")
    return Variable(name, shape, "logical" if flags & _LOGICAL else kind, length)


def _element(start: bytes, place: int, order: str) -> tuple[int, int, int, int]:
    """An element's type, the place and the length of its content, and the place of the next element.

    Those of up to four bytes have type and length in one word.
    """
    word, length = struct.unpack(f"{order}II", _exactly(start[place : place + 8], 8))
    if word >> 16:
        return word & 0xFFFF, place + 4, word >> 16, place + 8
    return word, place + 8, length, place + 8 + -(-length // 8) * 8


def _exactly(content: bytes, length: int) -> bytes:
    if len(content) != length:
        raise ValueError("it is cut short")
    return content
