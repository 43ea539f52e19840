"""Stratified folds of training images, to hold out in turn."""

from __future__ import annotations

import numpy as np

FOLDS = 5


def draw_folds(labels: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices of the images to train on and of those held out (int64), for each of five folds.

    There are as many folds as the smallest class has images if it has fewer than five; none if it has one.
    The folds are those of scikit-learn's `StratifiedKFold` with `shuffle` and `random_state=seed`.
    """
    from sklearn.model_selection import StratifiedKFold

    folds = min(FOLDS, int(np.unique(labels, return_counts=True)[1].min()))
    if folds < 2:
        return []
    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels))


def take_folds(
    labels: np.ndarray, seed: int, all_up_to: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    """All folds of at most `all_up_to` images, the first fold of more; and their name in results."""
    folds = draw_folds(labels, seed)
    name = f"{len(folds)} folds" if folds else ""
    return (folds, name) if len(labels) <= all_up_to or not folds else (folds[:1], f"one of {name}")
