"""The elements of a schema: rules for arrays and attributes, and the formats that they form."""

from __future__ import annotations

from dataclasses import dataclass

NUMBERS = (
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
)
FLOATS = ("float16", "float32", "float64")

FILE_WIDE = frozenset("HWCDn")
"""Dimensions with one length in the whole file. The others (N, T) have one length within a group."""


@dataclass(frozen=True)
class Array:
    """A rule for datasets.

    path: `*` stands for one name, `**` for one or more.
    shape: names of dimensions, equal names for equal lengths; None for any shape; () for a scalar.
    scope: how many leading names of the path a dimension's value holds within.
    values: a check of the values: `finite`, `positive`, `index` (0 or more), `count` (0 or more, or -1 for
        unknown), `share` (0...1), `finite?` and `share?` (the same, or NaN), `samples` (rising), `measured`
        and `measured share` (finite, NaN in between: the last is a number), `text` (printable), `names`
        (unique, not empty), `json`, `objects` (a JSON object in each row).
    required: `always`, `with its group` (where anything else of the part or table is), `no`, `if known` (a
        column that is written where a row has a value).
    packed: compressed with gzip where that saves space.
    ordered: carries an attribute `position`, so that its order among its kind is kept.
    """

    path: str
    dtype: str
    shape: tuple[str, ...] | None
    meaning: str
    required: str = "always"
    values: str = ""
    scope: int = 1
    packed: bool = True
    ordered: bool = False

    @property
    def dtypes(self) -> tuple[str, ...]:
        return {"number": NUMBERS, "float": FLOATS}.get(self.dtype, (self.dtype,))


@dataclass(frozen=True)
class Attribute:
    """A rule for an attribute of the root (`/`) or a group. Types: string, int, json object, json list."""

    path: str
    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Format:
    """One kind of file. `command` is what writes it, `noun` what a message calls it."""

    name: str
    noun: str
    command: str
    summary: str
    arrays: tuple[Array, ...]
    attributes: tuple[Attribute, ...]
