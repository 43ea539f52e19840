"""A sheet of sample images: one row for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tlcli.store import Dataset

_COLUMNS = 12
_ROWS = 100
_SIDE = 48
"""Smaller images are enlarged by a whole factor; larger ones keep their size. Pixels."""
_GAP = 4
_PAPER = 255


def write_sheet(dataset: Dataset, path: str, *, force: bool = False) -> None:
    """Write the first training images of every class, in the order of the classes, as a PNG."""
    from PIL import Image

    from tlcli import store

    sheet = compose(dataset)
    picture = Image.fromarray(sheet[:, :, 0] if sheet.shape[2] == 1 else sheet[:, :, :3])
    with store.atomic_file(path, force) as temporary:
        picture.save(temporary, format="PNG")


def compose(dataset: Dataset) -> np.ndarray:
    """uint8, height x width x channels."""
    height, width, channels = dataset.image_shape
    factor = max(1, _SIDE // max(height, width))
    tall, wide = height * factor + _GAP, width * factor + _GAP
    rows = min(dataset.classes, _ROWS)
    sheet = np.full((rows * tall + _GAP, _COLUMNS * wide + _GAP, channels), _PAPER, np.uint8)
    for row in range(rows):
        for column, index in enumerate(np.flatnonzero(dataset.train.labels == row)[:_COLUMNS]):
            image = np.asarray(dataset.train.images[int(index)])
            top, left = _GAP + row * tall, _GAP + column * wide
            enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
            sheet[top : top + height * factor, left : left + width * factor] = enlarged
    return sheet
