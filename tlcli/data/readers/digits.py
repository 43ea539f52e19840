"""The 1,797 handwritten digits that scikit-learn carries: 8 x 8 pixels of 0...16. No download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tlcli.data.sampling import holdout
from tlcli.data.source import Request, Source, SourceInfo, class_part, published
from tlcli.store.records import Part

INFO = SourceInfo("digits", "handwritten digits, carried by scikit-learn", 1442, 355, 10, (8, 8, 1))

CLASSES = [str(digit) for digit in range(10)]

SCALE = 15
"""Pixels of 0...16 become 0...240: a whole factor, so that dividing by 15 gives the published values back."""


@published(INFO, class_names=CLASSES)
def load(request: Request) -> Source:
    """The published set has no test part: every fifth image of each digit, in the published order, is one.

    `source_index` is the position among all 1,797.
    """
    table = _table()
    images = (table[:, :64] * SCALE).astype(np.uint8).reshape(-1, 8, 8, 1)
    labels = table[:, 64].astype(np.int64)

    def part(index: np.ndarray) -> Part:
        return class_part(images[index], labels[index], index)

    train, test = holdout(labels)
    return Source("digits", part(train), part(test), list(CLASSES))


def _table() -> np.ndarray:
    """1,797 rows of 64 pixels and a label, from scikit-learn's file: importing it takes over a second."""
    spec = find_spec("sklearn")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    path = folder / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    published_set = load_digits()
    return np.column_stack([published_set.data, published_set.target])
