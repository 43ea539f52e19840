"""Choose among candidates on the target's own training images, never on its test part."""

from __future__ import annotations

import dataclasses

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.records import Dataset, Part
from tlcli.store.stored_images import StoredImages

FOLDS = 5
SMALL = 1_000
"""The most training images for which every fold is held out once; of more, one fold is."""


def split_held_out(dataset: Dataset, seed: int) -> tuple[list[Dataset], str]:
    """Datasets to choose on, and their name in results: each trains on some images and tests on others.

    Args:
        dataset: The dataset. Its validation part, if it has one, is the test part of the only dataset.
        Otherwise a
            stratified fifth of the training images is; up to 1,000 images every fifth in turn.
        seed: The seed of the folds.

    Raises:
        TlcliError: A class has one training image, so that none can be held out.
    """
    if "validation" in dataset.parts:
        return [_with(dataset, dataset.train, dataset.parts["validation"])], "the validation part"
    from sklearn.model_selection import StratifiedKFold

    labels = dataset.train.labels
    folds = min(FOLDS, int(np.bincount(labels, minlength=dataset.classes).min()))
    if folds < 2:
        raise TlcliError(
            "Alternatives (a|b) are chosen on held-out training images, and a class has only one image.\n"
            "Give one value, or a data set with a validation part (`validation`)."
        )
    cuts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    taken = list(cuts)[: folds if len(labels) <= SMALL else 1]
    what = f"{folds} folds of the training part" if len(taken) > 1 else f"one of {folds} folds held out"
    made = [_with(dataset, _rows(dataset.train, train), _rows(dataset.train, rest)) for train, rest in taken]
    return made, what


def _rows(part: Part, rows: np.ndarray) -> Part:
    images = part.images
    some = images.subset(rows) if isinstance(images, StoredImages) else np.asarray(images[:])[rows]
    return Part(some, part.labels[rows], part.source_index[rows])


def _with(dataset: Dataset, train: Part, test: Part) -> Dataset:
    return dataclasses.replace(dataset, parts={"train": train, "test": test})
