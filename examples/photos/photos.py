"""Cuts photos of many sizes, three classes, out of those that scikit-learn and matplotlib carry.

    python photos.py FOLDER

FOLDER/train/CLASS/NN.jpg come from the left part of each photo, FOLDER/test/CLASS/NN.jpg from the right,
so that no pixel is in both. The same call makes the same files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
import sklearn.datasets
from PIL import Image

TRAIN, TEST = 40, 20
SMALLEST, LARGEST = 60, 180
"""Sides of a part in pixels."""


def photos() -> dict[str, Path]:
    """A photo for each class."""
    ours = Path(sklearn.datasets.__file__).parent / "images"
    theirs = Path(matplotlib.get_data_path()) / "sample_data"
    return {
        "flower": ours / "flower.jpg",
        "palace": ours / "china.jpg",
        "portrait": theirs / "grace_hopper.jpg",
    }


def main(folder: Path) -> None:
    """Write the folder."""
    for number, (name, path) in enumerate(photos().items()):
        photo = Image.open(path).convert("RGB")
        rng = np.random.default_rng(number)
        border = int(0.6 * photo.width)
        for part, count, left, right in (("train", TRAIN, 0, border), ("test", TEST, border, photo.width)):
            target = folder / part / name
            target.mkdir(parents=True, exist_ok=True)
            for image in range(count):
                width, height = rng.integers(SMALLEST, LARGEST, 2).tolist()
                width, height = min(width, right - left), min(height, photo.height)
                x = int(rng.integers(left, right - width + 1))
                y = int(rng.integers(0, photo.height - height + 1))
                photo.crop((x, y, x + width, y + height)).save(target / f"{image:02}.jpg", quality=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
