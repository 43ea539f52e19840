"""Arrays out of a `.npz` file that may come from a stranger: no pickles, no more memory than it holds."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tlcli.errors import TlcliError

LARGEST = 8 << 30
"""Bytes that one array may take."""

_KINDS = "buif"


def array_names(path: Path) -> list[str]:
    """The names of the arrays in the file."""
    with _open(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_npz(path: Path, names: Sequence[str], *, strings: bool = False) -> dict[str, np.ndarray]:
    """The named arrays: numbers, or with `strings` also fixed-width text.

    Raises TlcliError for a missing name, an array of Python objects (a pickle, which could run code) and
    one that declares more than the file holds or than `LARGEST` bytes.
    """
    kinds = _KINDS + ("US" if strings else "")
    with _open(path) as archive:
        members = set(archive.namelist())
        missing = [name for name in names if name + ".npy" not in members]
        if missing:
            held = ", ".join(sorted(m.removesuffix(".npy") for m in members)) or "nothing"
            raise TlcliError(f"{path.name} has no array {missing[0]!r}: it holds {held}")
        return {name: _read(archive, path, name, kinds) for name in names}


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise TlcliError(f"{path.name} cannot be read as .npz: {error}") from None


def _read(archive: zipfile.ZipFile, path: Path, name: str, kinds: str) -> np.ndarray:
    member = archive.getinfo(name + ".npy")
    try:
        with archive.open(member) as file:
            shape, fortran, dtype = _header(file)  # type: ignore[arg-type]
            if dtype.hasobject:
                raise TlcliError(f"array {name!r} of {path.name} holds Python objects, which could run code: "
                                 "save it again as numbers")
            if dtype.kind not in kinds:
                raise TlcliError(f"array {name!r} of {path.name} is of type {dtype}: expected numbers")
            size = math.prod(shape) * dtype.itemsize
            if size > LARGEST or size > member.file_size:
                bound = "allowed" if size > LARGEST else "the file holds"
                raise TlcliError(f"array {name!r} of {path.name} declares {shape} {dtype}, "
                                 f"{size} bytes: more than {bound}")
            content = file.read(size)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError) as error:
        raise TlcliError(f"array {name!r} of {path.name} cannot be read: {error}") from None
    if len(content) != size:
        raise TlcliError(f"array {name!r} of {path.name} ends early: {len(content)} of {size} bytes")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype of a `.npy` stream; raises ValueError."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"unknown .npy version {version}")
