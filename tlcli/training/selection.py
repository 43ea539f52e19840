"""Choosing among candidates on the target's own training images, never on its test part."""

from __future__ import annotations

import dataclasses

import numpy as np

from tlcli.store.records import Dataset, Part

FOLDS = 5
SMALL = 1_000
"""Up to so many training images every fold is held out once; beyond, one fold is enough."""


def held_out(dataset: Dataset, seed: int) -> list[Dataset]:
    """Datasets to choose on: each trains on a share of the training images and tests on the rest of them.

    Args:
        dataset: Its validation part is what is tested on where it has one, and then there is one dataset.
            Otherwise a fifth of the training images, stratified; up to 1,000 images every fifth in turn.
        seed: Of the folds.
    """
    if "validation" in dataset.parts:
        return [_with(dataset, dataset.train, dataset.parts["validation"])]
    from sklearn.model_selection import StratifiedKFold

    labels = dataset.train.labels
    folds = max(2, min(FOLDS, int(np.bincount(labels).min())))
    cuts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    taken = list(cuts)[: folds if len(labels) <= SMALL else 1]
    return [_with(dataset, _rows(dataset.train, train), _rows(dataset.train, rest)) for train, rest in taken]


def _rows(part: Part, rows: np.ndarray) -> Part:
    return Part(np.asarray(part.images[:])[rows], part.labels[rows], part.source_index[rows])


def _with(dataset: Dataset, train: Part, test: Part) -> Dataset:
    return dataclasses.replace(dataset, parts={"train": train, "test": test})
