"""The 1,797 handwritten digits that scikit-learn carries: 8 x 8 pixels of 0...16. No download."""

from __future__ import annotations

from tlcli.data.sampling import holdout
from tlcli.data.source import Request, Source, SourceInfo, class_part, published
from tlcli.store.records import Part

SCALE = 15
"""Pixels of 0...16 become 0...240: a whole factor, so that dividing by 15 gives the published values back."""


INFO = SourceInfo("digits", "handwritten digits, carried by scikit-learn", 1442, 355, 10, (8, 8, 1))


@published(INFO)
def load(request: Request) -> Source:
    """The published set has no test part: every fifth image of each digit, in the published order, is one.

    `source_index` is the position among all 1,797.
    """
    import numpy as np
    from sklearn.datasets import load_digits

    published_set = load_digits()
    images = (published_set.images[..., None] * SCALE).astype(np.uint8)
    labels = published_set.target.astype(np.int64)

    def part(index: np.ndarray) -> Part:
        return class_part(images[index], labels[index], index)

    train, test = holdout(labels)
    return Source("digits", part(train), part(test), [str(digit) for digit in range(10)])
