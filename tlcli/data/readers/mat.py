"""A MATLAB file: the variables of the transfer lab (see `lab`), or those of `.npz` files (see `arrays`)."""

from __future__ import annotations

from pathlib import Path

from tlcli.data import lab, matlab
from tlcli.data.arrays import source_from_arrays
from tlcli.data.source import Request, Source, path_reader
from tlcli.store.budget import Budget


@path_reader(matlab.is_mat)
def load(path: Path, request: Request) -> Source:
    """Version 5 and 7.3; structures, cells and objects are passed by."""
    names = list(matlab.shapes(path))
    if lab.is_lab(names):
        return lab.read_lab(path)
    budget = Budget(path.name, path.stat().st_size)
    return source_from_arrays(path.stem, names, lambda wanted: matlab.read(path, wanted, budget))
