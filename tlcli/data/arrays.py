"""Turn files of arrays of many forms into uint8 images, N x H x W x C, and int64 labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlcli.data.array_choice import choose_arrays, describe_contents, test_file_beside
from tlcli.data.array_files import ArrayFile, open_array_file, published_names
from tlcli.data.array_names import CLASS_NAMES
from tlcli.data.layout import arrange
from tlcli.data.scale import find_whites, to_bytes
from tlcli.data.source import Raw, Request, Source, complete, show
from tlcli.data.tables import LabelTable, read_table
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget

Names = list[str] | dict[int, str] | None
"""The names of the classes in the order of the labels, or by label; None if only labels are known."""

_MOST_CLASSES = 10_000
_BLOCK = 1 << 22
"""Pixels converted at a time."""


@dataclass
class Pair:
    """The images and labels of a part as a file has them."""

    images: np.ndarray
    labels: np.ndarray
    where: str
    """The name of the images in messages."""
    layout: str | None = None
    columns: bool = False


def load_arrays(path: Path, request: Request) -> Source:
    """The source in a file of arrays, with the test part in another file if one is given.

    Without a test part, `source.complete` holds one out. Raises TlcliError, which says what is expected.
    """
    file = open_array_file(path)
    raw = Raw(path.name.removesuffix(".gz").rpartition(".")[0] or path.name)
    pairs, names = _read_pairs(file, request, raw)
    if request.test_path is not None:
        others, other_names = _read_pairs(open_array_file(request.test_path), request, raw)
        chosen = next(part for part in ("test", "", "train", "validation") if part in others)
        pairs["test"], names = others[chosen], names or other_names
        raw.notes.append(f"The test part is {show(request.test_path.name)}.")
    elif "test" not in pairs and (beside := test_file_beside(path)):
        raw.warnings.append(
            f"{show(beside)} lies beside {show(path.name)} and is not read; "
            "`test_dataset` takes it as the test part."
        )
    if "" in pairs:
        pairs["train"] = pairs.pop("")
    if "train" not in pairs:
        raise TlcliError(
            f"{show(path.name)} holds only a {next(iter(pairs))} part: name the training part first."
        )
    assemble(raw, pairs, request, names)
    return complete(raw, request)


def assemble(raw: Raw, pairs: dict[str, Pair], request: Request, names: Names) -> None:
    """Bring images and labels of all parts to one form, and name the classes.

    With names, labels count along them; without, the labels that occur are the classes, their values the
    published numbers.
    """
    labels = {part: pair.labels for part, pair in pairs.items()}
    if all(y.dtype.kind == "U" for y in labels.values()):
        texts = (
            names if isinstance(names, list) else sorted({str(n) for y in labels.values() for n in y.ravel()})
        )
        labels, names = {part: _positions(y, texts, raw.name) for part, y in labels.items()}, texts
    labels = {part: as_labels(y, f"The {part} labels of {raw.name}") for part, y in labels.items()}
    whites = find_whites(
        {pair.where: pair.images for pair in pairs.values()}, raw.name, request.white, raw.warnings, raw.notes
    )
    images = {
        part: as_images(
            pair.images,
            len(labels[part]),
            whites[pair.where],
            pair.where,
            request.layout or pair.layout,
            columns=pair.columns,
        )
        for part, pair in pairs.items()
    }
    if len({x.shape[1:] for x in images.values()}) > 1 and request.fit.size is None:
        shapes = ", ".join(f"{part} {' x '.join(map(str, x.shape[1:]))}" for part, x in images.items())
        raise TlcliError(
            f"The images of {raw.name} differ in shape: {shapes}; give `image_size` to bring all to one."
        )
    if isinstance(names, dict):
        raw.class_numbers = [int(value) for value in _distinct_labels(labels, raw.name)]
        raw.class_names = [names.get(number, str(number)) for number in raw.class_numbers]
    elif not _name_digits(raw, images["train"], labels, names):
        raw.class_names = names or _distinct_labels(labels, raw.name)
        raw.class_numbers = _numbers(labels, raw.class_names, named=names is not None, name=raw.name)
    index = {number: label for label, number in enumerate(raw.class_numbers)}
    for part, x in images.items():
        raw.parts[part] = (x, np.array([index[int(y)] for y in labels[part]], np.int64))


def as_images(
    images: np.ndarray,
    n: int,
    white: float,
    where: str,
    layout: str | None = None,
    *,
    columns: bool = False,
) -> np.ndarray:
    """n uint8 images, N x H x W x C, `white` becoming 255, from any layout that `arrange` understands."""
    images = arrange(images, n, where, layout, columns=columns)
    if images.dtype == np.uint8 and white == 255:
        return np.ascontiguousarray(images)
    out = np.empty(images.shape, np.uint8)
    step = max(1, _BLOCK // math.prod(images.shape[1:]))
    for start in range(0, n, step):
        out[start : start + step] = to_bytes(images[start : start + step], white)
    return out


def as_labels(labels: np.ndarray, where: str) -> np.ndarray:
    """int64 labels out of whole numbers (N, or N and ones) or one-hot rows or columns (N x K or K x N)."""
    if labels.dtype.kind not in "buif":
        raise TlcliError(f"{where} are of type {labels.dtype}: expected whole numbers.")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise TlcliError(f"{where} hold values that are not numbers (NaN or infinite).")
    if not labels.size or (labels.ndim > 2 and labels.size != max(labels.shape)):
        raise TlcliError(f"{where} have shape {labels.shape}: expected one label per image.")
    if labels.ndim == 2 and 1 not in labels.shape:
        return _from_one_hot(labels, where)
    flat = labels.ravel()
    if (flat != np.floor(flat)).any() or flat.min() < 0 or flat.max() > 2**31:
        raise TlcliError(f"{where} reach from {flat.min():g} to {flat.max():g}: expected whole numbers >= 0.")
    return flat.astype(np.int64)


def _read_pairs(file: ArrayFile, request: Request, raw: Raw) -> tuple[dict[str, Pair], Names]:
    """The arrays of each part of a file, and the class names that it has."""
    choice = choose_arrays(file, request)
    raw.notes += choice.notes
    arrays = file.read(list(choice.images.values()))
    table = _table(request, raw)
    pairs = {}
    for part, key in choice.images.items():
        if table is not None:
            labels = _from_table(table, raw, len(choice.images))
        else:
            other, name = choice.labels[part]
            labels = other.read([name])[name]
        where = f"The {part or 'train'} images of {file.path.name}"
        columns = file.columns and not (emnist := key.startswith("dataset/"))
        layout = "whc" if file.columns and emnist and arrays[key].ndim == 2 else file.layout
        pairs[part] = Pair(arrays[key], labels, where, layout, columns)
    taken = {*choice.images.values(), *(name for _, name in choice.labels.values())}
    return pairs, _class_names(file, taken)


def _table(request: Request, raw: Raw) -> LabelTable | None:
    return (
        None
        if request.table is None
        else read_table(request.table, request.table.name, Budget(request.table.name))
    )


def _from_table(table: LabelTable, raw: Raw, parts: int) -> np.ndarray:
    """The labels, and the groups, of images that have no files."""
    if table.files or table.parts or parts > 1:
        raise TlcliError(
            f"The table {show(table.name)} names files or parts, and arrays have none: expected a column "
            "`label` (and "
            "perhaps `group`), one row for each image, in their order."
        )
    if table.groups:
        known: dict[str, int] = {}
        raw.groups["train"] = np.array(
            [known.setdefault(g or f"\0{i}", len(known)) for i, g in enumerate(table.groups)], np.int64
        )
    if all(label.isdigit() and len(label) < 10 for label in table.labels):
        return np.array([int(label) for label in table.labels], np.int64)
    return np.array(table.labels)


def _class_names(file: ArrayFile, taken: set[str]) -> Names:
    """The names of the classes, from an array, or from what the sets EMNIST and STL-10 bring along."""
    mapping = next((name for name in file.shapes if name.rpartition("/")[2] == "mapping"), None)
    if mapping is not None:
        return {int(row[0]): chr(int(row[1])) for row in file.read([mapping])[mapping]}
    published = published_names(file.path)
    if published:
        return published
    key = next((k for name in CLASS_NAMES for k in file.shapes if k.lower() == name), None)
    if key is not None and key not in taken:
        return [str(name) for name in file.read([key])[key].ravel()]
    return None


def _name_digits(raw: Raw, images: np.ndarray, labels: dict[str, np.ndarray], names: Names) -> bool:
    """Give the class 10 of SVHN, the digit 0, its number and name. Returns whether the set is SVHN."""
    occurring = {int(value) for y in labels.values() for value in np.unique(y)}
    if names is not None or images.shape[1:] != (32, 32, 3) or occurring != set(range(1, 11)):
        return False
    for part, y in labels.items():
        labels[part] = np.where(y == 10, 0, y)
    raw.class_names, raw.class_numbers = [str(digit) for digit in range(10)], list(range(10))
    raw.notes.append(f"{raw.name} has the labels 1 to 10 of SVHN: 10 is the digit 0.")
    return True


def _from_one_hot(labels: np.ndarray, where: str) -> np.ndarray:
    for axis in (1, 0):
        if ((labels == 1).sum(axis) == 1).all() and ((labels != 0).sum(axis) == 1).all():
            return labels.argmax(axis).astype(np.int64)
    raise TlcliError(
        f"{where} have shape {labels.shape} and are not one-hot: expected a single 1 and else 0 per image."
    )


def _positions(labels: np.ndarray, class_names: list[str], name: str) -> np.ndarray:
    """Labels given as names, as numbers along the class names."""
    position = {n: i for i, n in enumerate(class_names)}
    unknown = {str(n) for n in labels.ravel()} - position.keys()
    if unknown:
        raise TlcliError(f"{name} has a label {min(unknown)!r:.100} that is none of its class names.")
    return np.array([position[str(n)] for n in labels.ravel()], np.int64)


def _distinct_labels(labels: dict[str, np.ndarray], name: str) -> list[str]:
    """The labels of all parts, each once, in order. Raises TlcliError for too many."""
    values = np.unique(np.concatenate(list(labels.values())))
    if len(values) > _MOST_CLASSES:
        raise TlcliError(f"{name} has {len(values)} different labels: expected {_MOST_CLASSES} at most.")
    return [str(value) for value in values]


def _numbers(labels: dict[str, np.ndarray], classes: Sequence[str], *, named: bool, name: str) -> list[int]:
    if not named:
        return [int(value) for value in classes]
    highest = max(int(y.max()) for y in labels.values())
    if highest >= len(classes):
        raise TlcliError(
            f"{name} has a label {highest} out of range: there are {len(classes)} class names, "
            f"so that labels go from 0 to {len(classes) - 1}."
        )
    return list(range(len(classes)))


__all__ = ["Pair", "as_images", "as_labels", "assemble", "describe_contents", "load_arrays"]
