"""Folds are those of scikit-learn; small classes get fewer, and many images one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from tlcli.analysis.folds import draw_folds, take_folds


@pytest.mark.parametrize(("smallest", "folds"), [(1, 0), (2, 2), (4, 4), (5, 5), (9, 5)])
def test_folds_follow_the_smallest_class(smallest: int, folds: int) -> None:
    labels = np.repeat([0, 1, 2], [20, smallest, 12])
    found = draw_folds(labels, seed=3)
    assert len(found) == folds
    if folds:
        expected = StratifiedKFold(folds, shuffle=True, random_state=3).split(labels, labels)
        for (train, held), (plain_train, plain_held) in zip(found, expected, strict=True):
            assert train.tolist() == plain_train.tolist()
            assert held.tolist() == plain_held.tolist()


def test_many_images_are_held_out_once() -> None:
    labels = np.arange(50) % 5
    assert take_folds(labels, 0, all_up_to=50)[1] == "5 folds"
    (one,), name = take_folds(labels, 0, all_up_to=49)
    assert name == "one of 5 folds"
    assert len(one[1]) == 10
    assert take_folds(np.array([0, 0, 1]), 0, all_up_to=50)[0] == []
