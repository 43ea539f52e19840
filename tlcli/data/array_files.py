"""Files of arrays, of every kind, as names, shapes and a way to read: `.npz .mat .h5 .npy`, idx, STL-10's
`.bin`."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tlcli.data import matlab
from tlcli.data.safe_npz import array_names, array_shapes, read_npy, read_npz
from tlcli.errors import TlcliError
from tlcli.store.budget import DEFLATE, Budget, array_cost

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

ONLY = "array"
"""The name of the only array of a file without names."""

_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_STL10 = 96 * 96 * 3
"""Bytes of an image of STL-10: three planes of 96 x 96, column by column."""


@dataclass
class ArrayFile:
    """A file that holds arrays."""

    path: Path
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[Sequence[str]], dict[str, np.ndarray]]
    columns: bool = False
    """The pixels of an image in a row may be stored column by column."""
    layout: str | None = None
    """The order of the axes of its images, if the format fixes it."""
    skipped: list[str] = field(default_factory=list)
    """Its variables that are not arrays of numbers or text."""

    @property
    def single(self) -> bool:
        """Whether it holds one array, described only by the file's name."""
        return list(self.shapes) == [ONLY] or list(self.shapes) == ["arr_0"]


def is_array_file(path: Path) -> bool:
    """Whether a file is one of these, by its first bytes or its name; files of tlcli are not."""
    return path.is_file() and any(accepts(path) for accepts, _ in _KINDS)


def open_array_file(path: Path) -> ArrayFile:
    """The arrays of a file. Raises TlcliError for a damaged one."""
    return next(opener(path) for accepts, opener in _KINDS if accepts(path))


def read_idx(path: Path, budget: Budget | None = None) -> np.ndarray:
    """The array of an idx file of any type, gzipped or not. Raises TlcliError for anything else.

    It takes from the budget of the set that the file belongs to, or from one of its own.
    """
    budget = budget or Budget(path.name)
    budget.grow(path.stat().st_size)
    try:
        with _unpack(path) as file:
            return _idx(file, path, budget)
    except (OSError, EOFError, zlib.error) as error:
        raise TlcliError(f"{path.name} cannot be read: {error}.") from None


def _unpack(path: Path) -> Any:
    with open(path, "rb") as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if gzipped else open(path, "rb")


def _idx(file: BinaryIO, path: Path, budget: Budget) -> np.ndarray:
    dtype, shape = _idx_header(file, path)
    size, declares = math.prod(shape) * dtype.itemsize, " x ".join(map(str, shape))
    if size > path.stat().st_size * DEFLATE:
        raise TlcliError(f"{path.name} declares {declares} values, more than it can hold.")
    budget.take(array_cost(shape, size), f"what its {declares} values become")
    content = file.read(size + 1)
    if len(content) != size:
        held = "more" if len(content) > size else f"only {len(content)}"
        raise TlcliError(
            f"{path.name} declares {size} bytes of data and holds {held}: "
            "it is damaged or was not downloaded in full."
        )
    return np.frombuffer(content, dtype).reshape(shape)


def _idx_header(file: BinaryIO, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES or not 1 <= magic[3] <= 4:
        raise TlcliError(
            f"{path.name} is not an idx file: it begins with {magic.hex() or 'nothing'}, expected 0000, a "
            "type of 08 to 0e, and 01 to 04 dimensions."
        )
    sides = file.read(4 * magic[3])
    if len(sides) < 4 * magic[3]:
        raise TlcliError(f"{path.name} ends within its header: it is damaged.")
    return np.dtype(_IDX_TYPES[magic[2]]), struct.unpack(f">{magic[3]}I", sides)


def _is_idx(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith("-ubyte") or path.suffix.lower() == ".idx" or ".idx" in name:
        return True
    return "-idx" in name


def _open_idx(path: Path) -> ArrayFile:
    try:
        with _unpack(path) as file:
            shape = _idx_header(file, path)[1]
    except (OSError, EOFError, zlib.error) as error:
        raise TlcliError(f"{path.name} cannot be read: {error}.") from None
    transposed = "emnist" in path.name.lower() and len(shape) == 3
    return ArrayFile(
        path,
        {ONLY: shape},
        lambda names: dict.fromkeys(names, read_idx(path)),
        layout="whc" if transposed else None,
    )


def _open_npz(path: Path) -> ArrayFile:
    budget = Budget(path.name, path.stat().st_size)
    shapes = array_shapes(path, array_names(path, budget), budget)
    return ArrayFile(path, shapes, lambda names: read_npz(path, names, budget, strings=True))


def _open_npy(path: Path) -> ArrayFile:
    array = read_npy(path, Budget(path.name, path.stat().st_size))
    return ArrayFile(path, {ONLY: array.shape}, lambda names: dict.fromkeys(names, array))


def _open_mat(path: Path) -> ArrayFile:
    budget = Budget(path.name, path.stat().st_size)
    shapes, skipped = matlab.shapes(path), matlab.list_skipped(path)
    inside = matlab.read_structures(path, budget) if skipped and not shapes else {}
    if inside:

        def read(names: Sequence[str]) -> dict[str, np.ndarray]:
            return {name: inside[name] for name in names}

        return ArrayFile(path, {name: array.shape for name, array in inside.items()}, read, columns=True)
    return ArrayFile(
        path, shapes, lambda names: matlab.read(path, names, budget), columns=True, skipped=skipped
    )


def _is_hdf5(path: Path) -> bool:
    from tlcli.store.opening import open_hdf5
    from tlcli.store.schema import FORMATS

    with open(path, "rb") as file:
        if file.read(len(HDF5_SIGNATURE)) != HDF5_SIGNATURE:
            return False
    try:
        with open_hdf5(path) as opened:
            return opened.root_attribute("format") not in FORMATS
    except TlcliError:
        return False  # the reader of tlcli's files explains the fault


def _open_hdf5(path: Path) -> ArrayFile:
    from tlcli.store import foreign

    budget = Budget(path.name, path.stat().st_size)
    shapes, skipped = foreign.array_tree(path, budget)
    return ArrayFile(path, shapes, lambda names: foreign.read_arrays(path, names, budget), skipped=skipped)


def _is_stl10(path: Path) -> bool:
    return path.suffix.lower() == ".bin" and path.stem.rpartition("_")[2] in ("X", "x", "y", "Y")


def _open_stl10(path: Path) -> ArrayFile:
    """Images of STL-10, or their labels: one byte each."""
    size = path.stat().st_size
    images = path.stem[-1] in "Xx"
    if images and size % _STL10:
        raise TlcliError(f"{path.name} has {size} bytes: expected images of {_STL10}, as STL-10 has them.")
    shape = (size // _STL10, 3, 96, 96) if images else (size,)

    def read(names: Sequence[str]) -> dict[str, np.ndarray]:
        Budget(path.name, size).take(size, "its content")
        content = np.frombuffer(path.read_bytes(), np.uint8)
        return dict.fromkeys(names, content.reshape(shape))

    return ArrayFile(path, {ONLY: shape}, read, layout="cwh" if images else None)


def published_names(path: Path) -> dict[int, str]:
    """The class names by label in a file beside: EMNIST's `…-mapping.txt`, STL-10's `class_names.txt`."""
    emnist = path.name.partition("-train-" if "-train-" in path.name else "-test-")[0] + "-mapping.txt"
    try:
        if _is_stl10(path) and (beside := path.with_name("class_names.txt")).is_file():
            return dict(enumerate(beside.read_text()[:_LONGEST_TEXT].split(), start=1))
        if "emnist" in emnist and (beside := path.with_name(emnist)).is_file():
            rows = [line.split() for line in beside.read_text()[:_LONGEST_TEXT].splitlines() if line.strip()]
            return {int(row[0]): chr(int(row[1])) for row in rows}
    except (OSError, ValueError, IndexError, OverflowError):
        return {}  # the class names are the numbers
    return {}


_LONGEST_TEXT = 1 << 20

_KINDS: tuple[tuple[Callable[[Path], bool], Callable[[Path], ArrayFile]], ...] = (
    (lambda path: path.suffix.lower() == ".npz", _open_npz),
    (lambda path: path.suffix.lower() == ".npy", _open_npy),
    (_is_idx, _open_idx),
    (_is_stl10, _open_stl10),
    (_is_hdf5, _open_hdf5),
    (matlab.is_mat, _open_mat),
)
