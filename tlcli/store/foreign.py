"""Read plain arrays from HDF5 files of other programs, such as MATLAB 7.3, through the gate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.budget import Budget, array_cost
from tlcli.store.gate import Item
from tlcli.store.opening import SIGNATURE, OpenFile, open_hdf5

_USER_BLOCK = 512


def array_tree(
    path: str | Path, budget: Budget | None = None
) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """The shapes of the numeric arrays that pass the gate, by path, in HDF5's order of axes; and the names of
    the other objects.

    Both leave out the objects that MATLAB keeps for itself (`#refs#`).
    """
    with open_hdf5(path, user_block=_user_block(path), budget=budget) as file:
        items = _items(file)
        shapes = {name: item.shape for name, item in items.items() if _is_plain(item)}
        other = [
            f"{name} ({item.kind if item.kind != 'dataset' else item.dtype or item.problem})"
            for name, item in items.items()
            if name and name not in shapes and item.kind != "group" and not name.startswith("#")
        ]
        return shapes, other


def read_arrays(path: str | Path, names: Sequence[str], budget: Budget) -> dict[str, np.ndarray]:
    """The named arrays, axes as HDF5 has them. Raises TlcliError for one that is refused."""
    with open_hdf5(path, user_block=_user_block(path), budget=budget) as file:
        items = _items(file)
        for name in names:
            if name not in items or not _is_plain(items[name]):
                why = items[name].problem if name in items else ""
                raise TlcliError(f"{file.name} has no readable array {name!r}{': ' + why if why else ''}.")
        for name in names:
            budget.take(array_cost(items[name].shape, 0), f"{name!r:.100}")
        return {name: np.asarray(file.load(items[name])) for name in names}


def _user_block(path: str | Path) -> int:
    """The byte at which HDF5 begins: MATLAB writes 512 bytes of its own first."""
    with open(path, "rb") as file:
        return 0 if file.read(len(SIGNATURE)) == SIGNATURE else _USER_BLOCK


def _items(file: OpenFile) -> dict[str, Item]:
    """The objects of the file. Raises TlcliError if they exceed the budget."""
    items = file.items(strict=False)
    for item in items.values():
        if item.too_large:
            raise TlcliError(f"{file.name} is refused: {item.problem}.")
    return items


def _is_plain(item: Item) -> bool:
    return item.kind == "dataset" and not item.problem and item.dtype != "string" and item.path[0] != "#"
