"""Check the types that a file may hold, and read and check the values of attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
from h5py import h5s, h5t

MAX_ATTRIBUTE_BYTES = 2**20
EXPECTED_TYPES = "numbers or fixed-length UTF-8 text"

NUMBERS = {
    "uint8": h5t.STD_U8LE,
    "uint16": h5t.STD_U16LE,
    "uint32": h5t.STD_U32LE,
    "uint64": h5t.STD_U64LE,
    "int8": h5t.STD_I8LE,
    "int16": h5t.STD_I16LE,
    "int32": h5t.STD_I32LE,
    "int64": h5t.STD_I64LE,
    "float16": h5t.IEEE_F16LE,
    "float32": h5t.IEEE_F32LE,
    "float64": h5t.IEEE_F64LE,
}
_KINDS = {h5t.INTEGER: "int", h5t.FLOAT: "float"}
_BY_SIZE = {
    (kind, size): tuple(name for name in NUMBERS if kind in name and np.dtype(name).itemsize == size)
    for kind in _KINDS.values()
    for size in (1, 2, 4, 8)
}
_FOREIGN = {
    h5t.COMPOUND: "compound",
    h5t.REFERENCE: "reference",
    h5t.VLEN: "variable-length",
    h5t.ENUM: "enumeration",
    h5t.ARRAY: "array",
    h5t.OPAQUE: "opaque",
    h5t.BITFIELD: "bit field",
    h5t.TIME: "time",
}


class UnsafeError(Exception):
    """The reason why the gate refuses an object."""


def dtype_of(kind: Any) -> str:
    """The numpy name of a stored type, `string` for fixed-length UTF-8 or ASCII text, else HDF5's name."""
    family = kind.get_class()
    if family == h5t.STRING:
        if kind.is_variable_str():
            return "variable-length text"
        return "string"
    if family in _KINDS:
        for name in _BY_SIZE.get((_KINDS[family], kind.get_size()), ()):
            if kind.equal(NUMBERS[name]):
                return name
        return f"unusual {_KINDS[family]} of {kind.get_size()} bytes"
    return _FOREIGN.get(family, "unknown")


def shape_of(space: Any) -> tuple[int, ...]:
    """The shape of a dataset or an attribute. Raises UnsafeError when it has none."""
    family = space.get_simple_extent_type()
    if family == h5s.SCALAR:
        return ()
    if family == h5s.SIMPLE:
        return tuple(int(n) for n in space.get_simple_extent_dims())
    raise UnsafeError("it has no shape")


def read_attribute(attribute: Any) -> Any:
    """The value of a scalar attribute: int, float or str."""
    kind = attribute.get_type()
    dtype = dtype_of(kind)
    if shape_of(attribute.get_space()) != ():
        raise UnsafeError("an array; expected one value")
    if dtype == "string":
        if kind.get_size() > MAX_ATTRIBUTE_BYTES:
            raise UnsafeError(f"text of {kind.get_size():,} bytes; expected {MAX_ATTRIBUTE_BYTES:,} at most")
        text = np.zeros((), f"S{kind.get_size()}")
        attribute.read(text, kind)
        try:
            return text.item().decode()
        except UnicodeDecodeError:
            raise UnsafeError("text that is not UTF-8") from None
    if dtype not in NUMBERS:
        raise UnsafeError(f"{dtype}; expected {EXPECTED_TYPES}")
    number = np.zeros((), np.dtype(dtype).newbyteorder("<"))
    attribute.read(number, kind)
    return number.item()


def list_length(attribute: Any) -> int:
    """The number of texts that an attribute lists, as Keras's weights files name layers. tlcli writes none.

    An empty list is one of numbers there. Raises UnsafeError for anything else.
    """
    kind, shape = attribute.get_type(), shape_of(attribute.get_space())
    if shape == (0,):
        return 0
    if len(shape) != 1 or kind.get_class() != h5t.STRING:
        raise UnsafeError(f"{dtype_of(kind)} of the shape {shape}; expected a list of texts")
    if shape[0] * kind.get_size() > MAX_ATTRIBUTE_BYTES:
        raise UnsafeError(f"a list of {shape[0]:,} texts; expected {MAX_ATTRIBUTE_BYTES:,} bytes at most")
    return shape[0]


def read_fixed_texts(attribute: Any, count: int) -> list[bytes]:
    """The `count` texts of an attribute that lists texts, all of one length in bytes."""
    kind = attribute.get_type()
    texts = np.zeros(count, f"S{kind.get_size()}")
    attribute.read(texts, kind)
    return texts.tolist()
