"""Files of arrays: `.npz`, `.npy`, `.mat`, HDF5 that others wrote, idx, STL-10's `.bin`; see `arrays`."""

from __future__ import annotations

from pathlib import Path

from tlcli.data import digit_halves, matlab
from tlcli.data.array_files import is_array_file
from tlcli.data.arrays import load_arrays
from tlcli.data.source import Request, Source, path_reader

OPTIONS = ("white", "layout", "test", "table", "test_path", "images_key", "labels_key")


@path_reader(is_array_file, options=OPTIONS)
def load(path: Path, request: Request) -> Source:
    """Two halves of the digits (see `digit_halves`) where a MATLAB file has their variables, else any images
    and labels."""
    if matlab.is_mat(path) and digit_halves.is_halves(matlab.shapes(path)):
        return digit_halves.read_halves(path, request)
    return load_arrays(path, request)
