"""Choose among candidates on the target's own training images, never on its test part."""

from __future__ import annotations

import dataclasses

import numpy as np

from tlcli.analysis.folds import take_folds
from tlcli.errors import TlcliError
from tlcli.store.records import Dataset, Part
from tlcli.store.stored_images import StoredImages

SMALL = 1_000
"""The most training images for which every fold is held out once; of more, one fold is."""


def split_held_out(dataset: Dataset, seed: int) -> tuple[list[Dataset], str]:
    """Datasets to choose on, and their name in results: each trains on some images and tests on others.

    Args:
        dataset: The dataset. Its validation part, if it has one, is the test part of the only dataset.
            Otherwise a stratified fifth of the training images is; up to 1,000 images every fifth in turn.
        seed: The seed of the folds.

    Raises:
        TlcliError: A class has one training image, so that none can be held out.
    """
    if "validation" in dataset.parts:
        return [_with(dataset, dataset.train, dataset.parts["validation"])], "the validation part"
    taken, name = take_folds(dataset.train.labels, seed, all_up_to=SMALL)
    if not taken:
        raise TlcliError(
            "Alternatives (a|b) are chosen on held-out training images, and a class has only one image.\n"
            "Give one value, or a data set with a validation part (`validation`)."
        )
    made = [_with(dataset, _rows(dataset.train, train), _rows(dataset.train, rest)) for train, rest in taken]
    return made, f"{name} of the training part"


def _rows(part: Part, rows: np.ndarray) -> Part:
    images = part.images
    some = images.subset(rows) if isinstance(images, StoredImages) else np.asarray(images[:])[rows]
    return Part(some, part.labels[rows], part.source_index[rows])


def _with(dataset: Dataset, train: Part, test: Part) -> Dataset:
    return dataclasses.replace(dataset, parts={"train": train, "test": test})
