"""Choose the arrays of a file that are the images and labels of each part: by key, name, order or shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tlcli.data.array_files import ONLY, ArrayFile, is_array_file, open_array_file
from tlcli.data.array_names import IMAGES, LABELS, ArrayName, choose_by_name, positional_names, read_name
from tlcli.data.parts import PARTS, part_of, words_of
from tlcli.data.source import Request, list_names, show
from tlcli.errors import TlcliError, UsageError

_SUFFIXES = (".gz", ".npz", ".npy", ".mat", ".h5", ".hdf5", ".bin", ".idx")
_MOST_BESIDE = 10_000
"""The most files of a folder to search for labels."""


@dataclass
class Choice:
    """The arrays of images by part (empty: the whole), and the arrays of labels with their files."""

    images: dict[str, str]
    labels: dict[str, tuple[ArrayFile, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def choose_arrays(file: ArrayFile, request: Request) -> Choice:
    """The images and labels of each part. Labels may be in a file beside of a like name (`train-labels` for
    `train-imgs`).

    Raises TlcliError, which says what the file holds, if names, order and shapes leave the choice open.
    """
    held = list(file.shapes)
    if request.images_key is not None:
        return _by_key(file, request)
    named = choose_by_name(held)
    choice = Choice(
        named.images,
        {part: (file, key) for part, key in named.labels.items()} if named.labels else {},
        named.notes,
    )
    if file.single:
        choice = Choice({file_name(file.path).part: held[0]})
    elif not choice.images and positional_names(held):
        choice = _by_order(file, positional_names(held))
    elif not choice.images or not _pairs(choice):
        choice = _by_shape(file, choice)
    if request.labels_key is not None:
        choice.labels = dict.fromkeys(choice.images, _labels_by_key(file, request.labels_key))
    elif request.table is None:
        _add_labels_beside(file, choice)
    paired = _pairs(choice) if request.table is None else list(choice.images)
    if "train" in paired or "" not in paired:
        paired = [part for part in paired if part]
    if not paired:
        raise TlcliError(describe_contents(file))
    without = [part for part in choice.images if part and part not in paired]
    if without:
        choice.notes.append(
            f"The {' and '.join(without)} images of {file.path.name} have no labels and are left out."
        )
    choice.images = {part: choice.images[part] for part in paired if not (part == "" and "train" in paired)}
    return choice


def describe_contents(file: ArrayFile) -> str:
    """The arrays that a file holds, and those expected."""
    if file.single:
        return (
            f"{show(file.path.name)} holds one array: expected its labels in just one file beside it "
            "with a similar name, or in `labels` FILE, an array or a table."
        )
    skipped = f" Not read are {list_names(file.skipped)}." if file.skipped else ""
    return (
        f"{show(file.path.name)} holds {list_names(file.shapes)}: expected x_train, y_train, x_test and "
        f"y_test, or images and labels; say with `images` and `labels` which they are.{skipped}"
    )


def file_name(path: Path) -> ArrayName:
    """The meaning of the only array of a file by the file's name: images, unless it says labels."""
    stem = path.name
    while stem.lower().endswith(_SUFFIXES):
        stem = stem.rpartition(".")[0]
    part, rest = part_of(stem) or ("", tuple(words_of(stem)))
    return read_name(stem) or ArrayName(IMAGES, part, 0, rest)


def test_file_beside(path: Path) -> str:
    """The name of the file beside this one that is named as its test part; empty if there is none."""
    own = file_name(path)
    if own.part != "train":
        return ""
    found = [
        other
        for other in _files_beside(path)
        if (n := file_name(other)).part == "test" and _is_alike(n, own, own.role)
    ]
    return found[0].name if len(found) == 1 else ""


def _is_alike(one: ArrayName, other: ArrayName, role: str) -> bool:
    """Whether a name has this role, and its other words are those of the other name."""
    return one.role == role and one.rest == other.rest


def _files_beside(path: Path) -> list[Path]:
    """The files of arrays in the folder of a file, without the file itself."""
    try:
        names = sorted(path.resolve().parent.iterdir())[:_MOST_BESIDE]
    except OSError:
        return []
    return [
        other
        for other in names
        if other.name != path.name
        and other.name.lower().endswith((*_SUFFIXES, "-ubyte"))
        and is_array_file(other)
    ]


def _pairs(choice: Choice) -> list[str]:
    return [part for part in ("", *PARTS) if part in choice.images and part in choice.labels]


def _by_key(file: ArrayFile, request: Request) -> Choice:
    key = _key(file, request.images_key or "", "images")
    choice = Choice({"": key})
    if request.labels_key is not None:
        choice.labels[""] = _labels_by_key(file, request.labels_key)
    elif request.table is None:
        shapes = {name: shape for name, shape in file.shapes.items() if name != key}
        fitting = [name for name, shape in shapes.items() if _is_labels(shape, file.shapes[key])]
        if len(fitting) != 1:
            raise TlcliError(
                f"{show(file.path.name)} holds {list_names(shapes)} beside {show(key)}: say with `labels` "
                "which the labels are."
            )
        choice.labels[""] = (file, fitting[0])
    return choice


def _key(file: ArrayFile, key: str, parameter: str) -> str:
    matching = [name for name in file.shapes if name == key] or [
        name for name in file.shapes if name.lower() == key.strip("/").lower()
    ]
    if len(matching) != 1:
        raise UsageError(
            f"`{parameter}` {key}: {show(file.path.name)} has no such array; "
            f"it holds {list_names(file.shapes)}."
        )
    return matching[0]


def _labels_by_key(file: ArrayFile, key: str) -> tuple[ArrayFile, str]:
    """An array of the file itself, or the only one of another file."""
    path = Path(key)
    if key not in file.shapes and is_array_file(path):
        other = open_array_file(path)
        return other, _only_labels(other)
    return file, _key(file, key, "labels")


def _only_labels(file: ArrayFile) -> str:
    named = choose_by_name(file.shapes).labels
    candidates = list(file.shapes) if len(file.shapes) == 1 else list(named.values())
    if len(candidates) != 1:
        raise TlcliError(describe_contents(file))
    return candidates[0]


def _by_order(file: ArrayFile, keys: Sequence[str]) -> Choice:
    """`np.savez(x, y, x_test, y_test)`, or `(x, x_test, y, y_test)`: the shapes tell images from labels."""
    deep = any(len(file.shapes[key]) > 2 for key in keys)
    labels = [k for k in keys if _is_flat(file.shapes[k]) or (deep and len(file.shapes[k]) == 2)]
    images = [key for key in keys if key not in labels]
    parts = {1: ("",), 2: ("train", "test"), 3: ("train", "validation", "test")}.get(len(images))
    if parts is None or len(labels) != len(images):
        raise TlcliError(describe_contents(file))
    pairs = ", ".join(f"{x} and {y}" for x, y in zip(images, labels, strict=True))
    return Choice(
        dict(zip(parts, images, strict=True)),
        {part: (file, key) for part, key in zip(parts, labels, strict=True)},
        [
            f"{file.path.name}: the images and labels are {pairs}, in the order of the parts "
            f"{', '.join(parts)}."
        ]
        if len(parts) > 1
        else [],
    )


def _by_shape(file: ArrayFile, choice: Choice) -> Choice:
    """The only array that has the shape of images, and the only one of labels that fit it."""
    deep = [key for key, shape in file.shapes.items() if len(shape) in (3, 4) and max(shape) > 1]
    images = list(choice.images.values()) or deep
    if len(images) != 1:
        return choice
    fitting = [
        key
        for key, shape in file.shapes.items()
        if key != images[0] and _is_labels(shape, file.shapes[images[0]])
    ]
    if len(fitting) != 1:
        return Choice({"": images[0]}, choice.labels, choice.notes)
    note = f"{file.path.name}: the images are {images[0]}, the labels {fitting[0]}, by their shapes."
    return Choice({"": images[0]}, {"": (file, fitting[0])}, [note])


def _is_flat(shape: tuple[int, ...]) -> bool:
    return len(shape) == 1 or (len(shape) > 1 and sorted(shape)[-2] == 1)


def _is_labels(shape: tuple[int, ...], images: tuple[int, ...]) -> bool:
    return _is_flat(shape) and max(shape) in (*images[:1], *images[-1:])


def _add_labels_beside(file: ArrayFile, choice: Choice) -> None:
    """The labels of images that have none in the file, from the file beside that is called alike."""
    missing = [part for part in choice.images if part not in choice.labels]
    if len(choice.images) != 1 or not missing:
        return
    own = file_name(file.path)
    found = [
        other
        for other in _files_beside(file.path)
        if (n := file_name(other)).part == own.part and _is_alike(n, own, LABELS)
    ]
    found = [other for other in found if other.suffix == file.path.suffix] or found
    if len(found) == 1:
        other = open_array_file(found[0])
        key = ONLY if ONLY in other.shapes else _only_labels(other)
        choice.labels[missing[0]] = (other, key)
        choice.notes.append(f"The labels of {file.path.name} are those of {found[0].name}.")
