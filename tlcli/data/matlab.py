"""Reading and writing MATLAB's `.mat` files: plain numeric and text variables, versions 5 and 7.3."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data import matlab_headers
from tlcli.errors import TlcliError
from tlcli.store.budget import TEXT, Budget, array_cost

HEADER_V5, HEADER_V73 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"

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
    return {variable.name: variable.shape for variable in _variables(path).values()}


def read(path: Path, names: Sequence[str], budget: Budget | None = None) -> dict[str, np.ndarray]:
    """The named variables, in MATLAB's order of axes. Raises TlcliError for what is damaged or too large.

    They take from the budget of the file, or from one of this call's own.
    """
    budget = budget or Budget(path.name, path.stat().st_size)
    if _is_v73(path):
        from tlcli.store import foreign

        return {name: array.T for name, array in foreign.read_arrays(path, names, budget).items()}
    held = _variables(path)
    for name in names:
        variable = held[name]
        cost = array_cost(variable.shape, variable.size)
        budget.take(cost + (TEXT * variable.size if variable.kind == "char" else 0), f"{name!r:.100}")
    found = _load(path, names)
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


def _variables(path: Path) -> dict[str, matlab_headers.Variable]:
    found: dict[str, matlab_headers.Variable] = {}
    try:
        for variable in matlab_headers.variables(path):
            if variable.name in found:
                raise ValueError(f"it holds {variable.name!r:.80} twice")
            found[variable.name] = variable
    except (ValueError, OSError, struct.error, zlib.error) as error:
        raise TlcliError(f"{path.name} cannot be read as a MATLAB file: {error}") from None
    return found


def _load(path: Path, names: Sequence[str]) -> dict[str, Any]:
    import scipy.io

    try:
        with open(path, "rb") as file:
            return scipy.io.loadmat(file, variable_names=list(names))
    except MemoryError:
        raise TlcliError(f"{path.name} declares more data than there is memory for") from None
    except Exception as error:  # scipy raises nearly anything on a damaged file
        why = str(error).split("\n")[0] or type(error).__name__
        raise TlcliError(f"{path.name} cannot be read as a MATLAB file: {why:.200}") from None
