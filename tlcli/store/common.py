"""Parts that several formats share: class names, histories, and checks that a schema cannot express."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.tree import Tree

PARTS = ("train", "validation", "test")
HISTORY_ORDER = ("samples_seen", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def put_classes(tree: Tree, names: Iterable[str], original: np.ndarray) -> None:
    tree.datasets["classes/names"] = [str(name) for name in names]
    tree.datasets["classes/original"] = np.asarray(original, np.int64)


def take_classes(tree: Tree) -> tuple[list[str], np.ndarray]:
    return tree.datasets["classes/names"], tree.datasets["classes/original"]


def put_series(tree: Tree, group: str, series: Mapping[str, np.ndarray]) -> None:
    """Store arrays along an axis, counts as int64 and measurements as float64."""
    for name, values in series.items():
        array = np.asarray(values)
        kind = np.int64 if array.dtype.kind in "iub" else np.float64
        tree.datasets[f"{group}/{name}"] = array.astype(kind)


def take_series(tree: Tree, group: str) -> dict[str, np.ndarray]:
    """The arrays of a group, the axis first."""
    found = tree.below(group)
    return {name: found[name] for name in sorted(found, key=_series_order)}


def _series_order(name: str) -> tuple[int, str]:
    return (HISTORY_ORDER.index(name) if name in HISTORY_ORDER else len(HISTORY_ORDER), name)


def check_counts(counts: Mapping[str, int], where: str, most: int | None = None) -> None:
    """Refuse counts below 0, and above `most`."""
    for name, value in counts.items():
        if value < 0 or (most is not None and value > most):
            expected = "0 or more" if most is None else f"0 to {most:,}"
            raise TlcliError(f"The attribute {name!r} of {where} is {value}; expected {expected}.")


def check_labels(labels: np.ndarray, classes: int, where: str) -> None:
    """Refuse labels outside 0...classes-1."""
    if labels.size and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        wrong = int(labels.max()) if int(labels.max()) >= classes else int(labels.min())
        raise TlcliError(f"{where} holds the label {wrong}; expected 0...{classes - 1}.")
