"""From arrays as people keep them to uint8 images, N x H x W x C, and int64 labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tlcli.data.sampling import holdout
from tlcli.data.source import Source, class_part, listed
from tlcli.errors import TlcliError
from tlcli.store.records import Part

LARGEST_SIDE = 4096
_MOST_CLASSES = 10_000
_BLOCK = 1 << 22
"""Pixels converted at a time."""

Named = Callable[[Sequence[str]], dict[str, np.ndarray]]
"""Reads the arrays of the given names."""

# Names that people give to arrays, compared without regard to case: images and labels of each part.
_SPLIT = {
    "train": (
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
        ("x_trn", "t_trn"),
        ("train_x", "train_y"),
        ("train_data", "train_labels"),
    ),
    "validation": (
        ("x_val", "y_val"),
        ("val_images", "val_labels"),
        ("x_validation", "y_validation"),
        ("x_valid", "y_valid"),
    ),
    "test": (
        ("x_test", "y_test"),
        ("test_images", "test_labels"),
        ("x_tst", "t_tst"),
        ("test_x", "test_y"),
        ("test_data", "test_labels"),
    ),
}
_WHOLE = (("images", "labels"), ("x", "y"), ("x", "t"), ("data", "labels"), ("data", "target"))
_CLASS_NAMES = ("class_names", "classes", "label_names", "names")


def source_from_arrays(name: str, held: Sequence[str], read: Named) -> Source:
    """A source out of named arrays: `x_train y_train x_test y_test`, `images labels`, and other common names.

    Without a test part, one is held out (see `sampling.holdout`). Class names come from an array
    `class_names`; without one, classes are named by the labels that occur. Raises TlcliError naming what is
    expected.
    """
    actual = {key.lower(): key for key in held}
    pairs = {
        part: next((p for p in options if p[0] in actual and p[1] in actual), None)
        for part, options in _SPLIT.items()
    }
    whole = next((p for p in _WHOLE if p[0] in actual and p[1] in actual), None)
    if pairs["train"] is None:
        pairs = {"train": whole}
    if pairs["train"] is None:
        raise TlcliError(
            f"{name} holds {listed(held)}: expected x_train, y_train, x_test and y_test, or images and labels"
        )
    found = {part: (actual[p[0]], actual[p[1]]) for part, p in pairs.items() if p is not None}
    arrays = read([key for pair in found.values() for key in pair])
    names_key = next((actual[key] for key in _CLASS_NAMES if key in actual), None)
    class_names = [str(n) for n in read([names_key])[names_key].ravel()] if names_key else None
    parts = {part: (arrays[x], arrays[y]) for part, (x, y) in found.items()}
    if all(labels.dtype.kind == "U" for _, labels in parts.values()):
        class_names = class_names or sorted({str(n) for _, labels in parts.values() for n in labels.ravel()})
        parts = {
            part: (images, _positions(labels, class_names, name)) for part, (images, labels) in parts.items()
        }
    return assemble(name, parts, class_names)


def assemble(
    name: str, parts: dict[str, tuple[np.ndarray, np.ndarray]], class_names: list[str] | None = None
) -> Source:
    """A source out of images and labels per part (`train`, perhaps `validation` and `test`).

    With names, labels count along them; without, the labels that occur are the classes, their values the
    published numbers.
    """
    labels = {part: as_labels(y, f"the {part} labels of {name}") for part, (_, y) in parts.items()}
    white = {part: pixel_scale(x, f"the {part} images of {name}") for part, (x, _) in parts.items()}
    of_floats = max((white[part] for part, (x, _) in parts.items() if x.dtype.kind == "f"), default=1)
    images = {
        part: as_images(
            x,
            len(labels[part]),
            of_floats if x.dtype.kind == "f" else white[part],
            f"the {part} images of {name}",
        )
        for part, (x, _) in parts.items()
    }
    if len({x.shape[1:] for x in images.values()}) > 1:
        shapes = ", ".join(f"{part} {' x '.join(map(str, x.shape[1:]))}" for part, x in images.items())
        raise TlcliError(f"the images of {name} differ in shape: {shapes}")
    classes = class_names or _occurring(labels, name)
    numbers = _numbers(labels, classes, named=class_names is not None, name=name)
    index = {number: label for label, number in enumerate(numbers)}
    made = {
        part: class_part(x, np.array([index[int(y)] for y in labels[part]], np.int64))
        for part, x in images.items()
    }
    train = made["train"]
    if "test" not in made:
        kept, held = holdout(train.labels)
        made["train"], made["test"] = (Part(train.images[i], train.labels[i], i) for i in (kept, held))
    return Source(
        name, made["train"], made["test"], classes, class_numbers=numbers, validation=made.get("validation")
    )


def pixel_scale(images: np.ndarray, where: str) -> int:
    """The value of white: 1 for floats and booleans up to 1, else 255. Raises TlcliError for other values."""
    if images.dtype.kind not in "buif":
        raise TlcliError(f"{where} are of type {images.dtype}: expected numbers")
    if not images.size:
        raise TlcliError(f"{where} are empty: expected at least one")
    if images.dtype == np.uint8:
        return 255
    low, high = images.min(), images.max()
    if images.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        bad = images.size - int(np.isfinite(images).sum())
        raise TlcliError(f"{where} hold {bad} pixels that are no numbers (NaN or infinite)")
    if low < 0 or high > 255:
        raise TlcliError(f"{where} reach from {low:g} to {high:g}: expected pixels of 0 to 1 or 0 to 255")
    return 1 if images.dtype.kind == "b" or (images.dtype.kind == "f" and high <= 1) else 255


def as_images(images: np.ndarray, n: int, white: int, where: str) -> np.ndarray:
    """n uint8 images N x H x W x C, with `white` (1 or 255) becoming 255.

    Understands N x H x W, N x H x W x C, N x C x H x W, N x D (D pixels of a square, colour plane by plane
    as CIFAR has it), and the same with the images along the last axis, as MATLAB has them.
    """
    if images.ndim < 2 or n not in (images.shape[0], images.shape[-1]):
        raise TlcliError(f"{where} have shape {images.shape} for {n} labels: expected one label per image")
    if images.shape[0] != n:
        images = np.moveaxis(images, -1, 0)
    images = _four_axes(images, where)
    if not all(1 <= side <= LARGEST_SIDE for side in images.shape[1:3]):
        raise TlcliError(f"{where} have shape {images.shape}: expected sides of 1 to {LARGEST_SIDE} pixels")
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    out = np.empty(images.shape, np.uint8)
    step = max(1, _BLOCK // math.prod(images.shape[1:]))
    for start in range(0, n, step):
        block = images[start : start + step]
        scaled = block * (255 / white) if block.dtype.kind != "b" else block * np.uint8(255)
        out[start : start + step] = np.rint(scaled) if scaled.dtype.kind == "f" else scaled
    return out


def as_labels(labels: np.ndarray, where: str) -> np.ndarray:
    """int64 labels out of whole numbers (N, N x 1 or 1 x N) or one-hot rows or columns (N x K or K x N)."""
    if labels.dtype.kind not in "buif":
        raise TlcliError(f"{where} are of type {labels.dtype}: expected whole numbers")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise TlcliError(f"{where} hold values that are no numbers (NaN or infinite)")
    if labels.ndim > 2 or not labels.size:
        raise TlcliError(f"{where} have shape {labels.shape}: expected one label per image")
    if labels.ndim == 2 and 1 not in labels.shape:
        return _from_one_hot(labels, where)
    flat = labels.ravel()
    if (flat != np.floor(flat)).any() or flat.min() < 0 or flat.max() > 2**31:
        raise TlcliError(f"{where} reach from {flat.min():g} to {flat.max():g}: expected whole numbers >= 0")
    return flat.astype(np.int64)


def _from_one_hot(labels: np.ndarray, where: str) -> np.ndarray:
    for axis in (1, 0):
        if ((labels == 1).sum(axis) == 1).all() and ((labels != 0).sum(axis) == 1).all():
            return labels.argmax(axis).astype(np.int64)
    raise TlcliError(
        f"{where} have shape {labels.shape} and are not one-hot: expected a single 1 and else 0 per image"
    )


def _positions(labels: np.ndarray, class_names: list[str], name: str) -> np.ndarray:
    """Labels given as names, as numbers along the class names."""
    position = {n: i for i, n in enumerate(class_names)}
    unknown = {str(n) for n in labels.ravel()} - position.keys()
    if unknown:
        raise TlcliError(f"{name} has a label {min(unknown)!r:.100} that is none of its class names")
    return np.array([position[str(n)] for n in labels.ravel()], np.int64)


def _four_axes(images: np.ndarray, where: str) -> np.ndarray:
    """N x H x W x C, C 1 or 3."""
    if images.ndim == 2:
        for channels in (1, 3):
            side = math.isqrt(images.shape[1] // channels)
            if side and side * side * channels == images.shape[1]:
                return images.reshape(-1, channels, side, side).transpose(0, 2, 3, 1)
        raise TlcliError(
            f"{where} have {images.shape[1]} values each: expected a square of pixels, grey or colour"
        )
    if images.ndim == 3:
        return images[..., None]
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images.transpose(0, 2, 3, 1)
    raise TlcliError(f"{where} have shape {images.shape}: expected N x height x width, with 1 or 3 channels")


def _occurring(labels: dict[str, np.ndarray], name: str) -> list[str]:
    values = np.unique(np.concatenate(list(labels.values())))
    if len(values) > _MOST_CLASSES:
        raise TlcliError(f"{name} has {len(values)} different labels: expected {_MOST_CLASSES} at most")
    return [str(value) for value in values]


def _numbers(labels: dict[str, np.ndarray], classes: list[str], *, named: bool, name: str) -> list[int]:
    if not named:
        return [int(value) for value in classes]
    highest = max(int(y.max()) for y in labels.values())
    if highest >= len(classes):
        raise TlcliError(
            f"{name} has a label {highest} out of range: there are {len(classes)} class names, "
            f"so that labels go from 0 to {len(classes) - 1}"
        )
    return list(range(len(classes)))
