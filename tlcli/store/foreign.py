"""Plain arrays out of MATLAB's version 7.3 files, which are HDF5 files, through the gate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.budget import Budget, array_cost
from tlcli.store.gate import Item
from tlcli.store.opening import OpenFile, open_hdf5

_USER_BLOCK = 512


def array_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The numeric arrays in the root of a file that pass the gate, and their shapes as HDF5 has them."""
    with open_hdf5(path, user_block=_USER_BLOCK) as file:
        return {name: item.shape for name, item in _items(file).items() if _is_plain(item)}


def read_arrays(path: str | Path, names: Sequence[str], budget: Budget) -> dict[str, np.ndarray]:
    """The named arrays of the root, axes as HDF5 has them. Raises TlcliError for one that is refused."""
    with open_hdf5(path, user_block=_USER_BLOCK, budget=budget) as file:
        items = _items(file)
        for name in names:
            if name not in items or not _is_plain(items[name]):
                why = items[name].problem if name in items else ""
                raise TlcliError(f"{file.name} has no readable array {name!r}{': ' + why if why else ''}.")
        for name in names:
            budget.take(array_cost(items[name].shape, 0), f"{name!r:.100}")
        return {name: np.asarray(file.load(items[name])) for name in names}


def _items(file: OpenFile) -> dict[str, Item]:
    """What the file holds. Raises TlcliError for more than the budget allows, which no reader should miss."""
    items = file.items(strict=False)
    for item in items.values():
        if item.too_large:
            raise TlcliError(f"{file.name} is refused: {item.problem}.")
    return items


def _is_plain(item: Item) -> bool:
    return item.kind == "dataset" and not item.problem and "/" not in item.path and item.dtype != "string"
