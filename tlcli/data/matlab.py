"""Reading and writing MATLAB's `.mat` files: plain numeric and text variables, versions 5 and 7.3."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import TlcliError

HEADER_V5, HEADER_V73 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"

_ITEM_BYTES = {
    "double": 8,
    "single": 4,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
    "logical": 1,
    "char": 2,
}
_EXPANSION = 1032
"""Times that deflate expands at most: what a file of a given size can hold."""
_LONGEST = 2**31 - 1
"""Bytes of one variable in a version 5 file."""


def is_mat(path: Path) -> bool:
    """Whether a file begins like a `.mat` file or has that ending."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(len(HEADER_V5))
    return start in (HEADER_V5, HEADER_V73) or path.suffix.lower() == ".mat"


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The numeric and text variables in a file and their shapes, in MATLAB's order of axes."""
    if _is_v73(path):
        from tlcli.store import foreign

        return {name: shape[::-1] for name, shape in foreign.array_shapes(path).items()}
    return {name: shape for name, shape, kind in _whosmat(path) if kind in _ITEM_BYTES}


def read(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named variables, in MATLAB's order of axes. Raises TlcliError for what is damaged or too large."""
    if _is_v73(path):
        from tlcli.store import foreign

        return {name: array.T for name, array in foreign.read_arrays(path, names).items()}
    held = {name: (shape, kind) for name, shape, kind in _whosmat(path)}
    limit = path.stat().st_size * _EXPANSION
    for name in names:
        shape, kind = held[name]
        if math.prod(shape) * _ITEM_BYTES[kind] > limit:
            raise TlcliError(f"{name} in {path.name} declares the shape {shape}: more than it can hold")
    found = _scipy(path, "loadmat", variable_names=list(names))
    return {name: np.asarray(found[name]) for name in names}


def write(path: Path, variables: Mapping[str, np.ndarray], *, force: bool = False) -> None:
    """Write a version 5 file, compressed and without a date, complete or not at all."""
    import scipy.io

    from tlcli import store

    for name, array in variables.items():
        if array.nbytes > _LONGEST:
            raise TlcliError(
                f"{name} would have {array.nbytes} bytes, and a .mat file holds {_LONGEST} per "
                "variable at most; ask for fewer images, or for an .h5 file"
            )
    with store.atomic_file(path, force) as temporary, open(temporary, "r+b") as file:
        scipy.io.savemat(file, dict(variables), do_compression=True, oned_as="column")
        file.seek(0)
        file.write((HEADER_V5 + b", written by tlcli").ljust(116))  # scipy writes the time of day here


def _is_v73(path: Path) -> bool:
    with open(path, "rb") as file:
        start = file.read(len(HEADER_V5))
    if start not in (HEADER_V5, HEADER_V73):
        raise TlcliError(
            f"{path.name} begins with {start[:8]!r}: expected a MATLAB file of version 5 or "
            "7.3; save it again with -v7 or -v7.3"
        )
    return start == HEADER_V73


def _whosmat(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    return [(str(name), tuple(shape), str(kind)) for name, shape, kind in _scipy(path, "whosmat")]


def _scipy(path: Path, function: str, **options: Any) -> Any:
    import scipy.io

    try:
        with open(path, "rb") as file:
            return getattr(scipy.io, function)(file, **options)
    except MemoryError:
        raise TlcliError(f"{path.name} declares more data than there is memory for") from None
    except Exception as error:  # scipy raises nearly anything on a damaged file
        why = str(error).split("\n")[0] or type(error).__name__
        raise TlcliError(f"{path.name} cannot be read as a MATLAB file: {why}") from None
