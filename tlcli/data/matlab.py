"""Read and write MATLAB's `.mat` files: plain numeric and text variables, versions 5 and 7.3."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data import matlab_headers
from tlcli.errors import TlcliError
from tlcli.store.budget import TEXT, Budget, array_cost

HEADER_V5, HEADER_V73 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"

_LONGEST = 2**31 - 1
"""The most bytes of a variable in a version 5 file."""


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

        return {name: shape[::-1] for name, shape in foreign.array_tree(path)[0].items()}
    return {variable.name: variable.shape for variable in _variables(path).values()}


def list_skipped(path: Path) -> list[str]:
    """The structures, cells and other variables without numbers or text, each with its class."""
    if _is_v73(path):
        from tlcli.store import foreign

        return foreign.array_tree(path)[1]
    with _plain_words(path):
        return [
            f"{v.name} ({v.kind})" for v in matlab_headers.variables(path) if v.kind in matlab_headers.OTHERS
        ]


def read_structures(path: Path, budget: Budget) -> dict[str, np.ndarray]:
    """The arrays of numbers in the structures of a file of version 5, by path:
    `dataset/train/images`."""
    if _is_v73(path):
        return {}
    with _plain_words(path):
        return dict(matlab_headers.structure_arrays(path, budget))


def read(path: Path, names: Sequence[str], budget: Budget | None = None) -> dict[str, np.ndarray]:
    """The named variables, in MATLAB's order of axes. Raises TlcliError for a damaged or too large file.

    They take from the given budget, or from a new one.
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
                "variable at most; ask for fewer images, or for an .h5 file."
            )
    with store.atomic_file(path, force) as temporary, open(temporary, "r+b") as file:
        scipy.io.savemat(file, dict(variables), do_compression=True, oned_as="column")
        file.seek(0)
        file.write((HEADER_V5 + b", written by tlcli").ljust(116))  # scipy writes the time of day


def _is_v73(path: Path) -> bool:
    with open(path, "rb") as file:
        start = file.read(len(HEADER_V5))
    if start not in (HEADER_V5, HEADER_V73):
        raise TlcliError(
            f"{path.name} begins with {start[:8]!r}: expected a MATLAB file of version 5 or "
            "7.3; save it again with -v7 or -v7.3."
        )
    return start == HEADER_V73


def _variables(path: Path) -> dict[str, matlab_headers.Variable]:
    found: dict[str, matlab_headers.Variable] = {}
    with _plain_words(path):
        for variable in matlab_headers.variables(path):
            if variable.name in found:
                raise ValueError(f"it holds {variable.name!r:.80} twice")
            if variable.kind not in matlab_headers.OTHERS:
                found[variable.name] = variable
    return found


@contextlib.contextmanager
def _plain_words(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, struct.error, zlib.error) as error:
        raise TlcliError(f"{path.name} cannot be read as a MATLAB file: {error}.") from None


def _load(path: Path, names: Sequence[str]) -> dict[str, Any]:
    import scipy.io

    try:
        with open(path, "rb") as file:
            return scipy.io.loadmat(file, variable_names=list(names))
    except MemoryError:
        raise TlcliError(f"{path.name} declares more data than there is memory for.") from None
    except Exception as error:  # scipy raises many kinds of errors on a damaged file
        why = str(error).split("\n")[0] or type(error).__name__
        raise TlcliError(f"{path.name} cannot be read as a MATLAB file: {why:.200}.") from None
