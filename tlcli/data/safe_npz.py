"""Read arrays from a `.npz` file that may be hostile: no pickles, no more memory than the file declares and
holds."""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tlcli.data.source import list_names
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget, array_cost
from tlcli.store.zips import open_archive

_KINDS = "buif"


def array_names(path: Path, budget: Budget) -> list[str]:
    """The names of the arrays in the file."""
    with _open(path, budget) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_npz(
    path: Path, names: Sequence[str], budget: Budget | None = None, *, strings: bool = False
) -> dict[str, np.ndarray]:
    """The named arrays: numbers, or with `strings` also fixed-width text; bytes are decoded as UTF-8.

    Raises TlcliError for a missing name, an array of Python objects (a pickle, which could run code) and
    one that declares more than the file holds or than the budget has left (by default one of the file's own).
    """
    kinds = _KINDS + ("US" if strings else "")
    budget = budget or Budget(path.name, path.stat().st_size)
    with _open(path, budget) as archive:
        members = set(archive.namelist())
        missing = [name for name in names if name + ".npy" not in members]
        if missing:
            held = list_names(member.removesuffix(".npy") for member in members)
            raise TlcliError(f"{path.name} has no array {missing[0]!r}: it holds {held}.")
        return {name: _read(archive, path, name, kinds, budget) for name in names}


def array_shapes(path: Path, names: Sequence[str], budget: Budget) -> dict[str, tuple[int, ...]]:
    """The shapes in the headers of the named arrays; `()` for one that cannot be read, which `read_npz`
    reports."""
    shapes: dict[str, tuple[int, ...]] = {}
    with _open(path, budget) as archive:
        for name in names:
            try:
                with archive.open(name + ".npy") as file:
                    shapes[name] = _header(file)[0]  # type: ignore[arg-type]
            except Exception:  # zipfile and numpy raise many kinds of errors on a damaged file
                shapes[name] = ()
    return shapes


def read_npy(path: Path, budget: Budget) -> np.ndarray:
    """The numbers in a `.npy` file. Raises TlcliError as `read_npz` does."""
    where = f"The array of {path.name}"
    try:
        with open(path, "rb") as file:
            shape, fortran, dtype = _header(file)
            if dtype.hasobject:
                raise TlcliError(
                    f"{where} holds Python objects, which could run code: save it again as numbers."
                )
            if dtype.kind not in _KINDS:
                raise TlcliError(f"{where} is of type {dtype}: expected numbers.")
            size = _size(shape, dtype, path.stat().st_size - file.tell(), where)
            budget.take(array_cost(shape, size), "the array")
            return np.frombuffer(file.read(size), dtype).reshape(shape, order="F" if fortran else "C")
    except TlcliError:
        raise
    except Exception as error:  # as above
        raise TlcliError(f"{where} cannot be read: {error!s:.200}.") from None


def _open(path: Path, budget: Budget) -> zipfile.ZipFile:
    return open_archive(path, budget, ".npz")


def _read(archive: zipfile.ZipFile, path: Path, name: str, kinds: str, budget: Budget) -> np.ndarray:
    where = f"array {name!r} of {path.name}"
    member = archive.getinfo(name + ".npy")
    try:
        with archive.open(member) as file:
            shape, fortran, dtype = _header(file)  # type: ignore[arg-type]
            if dtype.hasobject:
                raise TlcliError(
                    f"{where} holds Python objects, which could run code: save it again as numbers."
                )
            if dtype.kind not in kinds:
                raise TlcliError(f"{where} is of type {dtype}: expected numbers.")
            size = _size(shape, dtype, member.file_size, where)
            budget.take(array_cost(shape, size), f"array {name!r:.100}")
            content = file.read(size)
        if len(content) != size:
            raise TlcliError(f"{where} ends early: {len(content)} of {size} bytes.")
        array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
        return _as_text(array, content) if dtype.kind in "US" else array
    except TlcliError:
        raise
    except Exception as error:  # as above
        raise TlcliError(f"{where} cannot be read: {error!s:.200}.") from None


def _as_text(array: np.ndarray, content: bytes) -> np.ndarray:
    """Check that an array of text has valid characters. Raises ValueError."""
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8")
    signs = np.frombuffer(content, np.dtype("u4").newbyteorder(array.dtype.byteorder))
    if signs.max(initial=0) > sys.maxunicode:
        raise ValueError("it holds numbers that are not Unicode characters")
    return array


def _size(shape: tuple[int, ...], dtype: np.dtype, held: int, where: str) -> int:
    """The bytes of an array, if that many are there."""
    size = math.prod(shape) * dtype.itemsize
    if any(n < 0 for n in shape):
        raise TlcliError(f"{where} declares the shape {shape}: expected sizes from 0.")
    if size > held:
        raise TlcliError(f"{where} declares {shape} {dtype}, {size} bytes: more than the file holds.")
    return size


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype of a `.npy` stream; raises ValueError."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"unknown .npy version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        return read(file)
    except Exception as error:  # numpy parses it as Python and raises many kinds of errors
        raise ValueError(f"its header is damaged ({str(error)[:100]!r})") from error
