"""A `.npz` file with images and labels; see `arrays.source_from_arrays` for the names it may use."""

from __future__ import annotations

from pathlib import Path

from tlcli.data.arrays import source_from_arrays
from tlcli.data.safe_npz import array_names, read_npz
from tlcli.data.source import Request, Source, path_reader
from tlcli.store.budget import Budget


def _accepts(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".npz"


@path_reader(_accepts)
def load(path: Path, request: Request) -> Source:
    """Pickled objects in the file are refused, never loaded."""
    budget = Budget(path.name, path.stat().st_size)
    names = array_names(path, budget)
    return source_from_arrays(path.stem, names, lambda names: read_npz(path, names, budget, strings=True))
