"""Find the folders of a tree that are the parts, and those that are the classes.

The classes are the folders of the first level that has several, below wrapper folders and the folders of the
parts. A tree with two equally likely readings is refused.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

from tlcli.data.decoding import SUFFIXES, Readable
from tlcli.data.listing import Folder
from tlcli.data.parts import UNLABELLED, assign
from tlcli.data.source import list_names, show
from tlcli.errors import TlcliError

_ARRAYS = (".npz", ".npy", ".mat", ".h5", ".hdf5", ".bin", ".idx", "-ubyte", "-ubyte.gz")
"""Endings of files of arrays."""

Files = dict[str, list[Readable]]
"""The images of each class, by path."""


@dataclass
class Reading:
    """The reading of a tree."""

    parts: dict[str, Files]
    unlabelled: dict[str, Folder] = field(default_factory=dict)
    """The folders of parts without class folders, by part."""
    note: str = ""
    """The reading in one line, for the user."""
    groups: dict[Readable, int] = field(default_factory=dict)
    """The group of each image, from a table."""


def read_levels(root: Folder, warnings: list[str]) -> Reading:
    """The images of each part and class. Without folders of parts, all images are the part `train`.

    Raises TlcliError for a tree without class folders, and for one with two equally likely readings.
    """
    if not root.count:
        raise TlcliError(
            f"The folder {show(root.name)} holds no images: expected a folder for each class, "
            f"with {', '.join(SUFFIXES)} files.{_arrays_in(root)}"
        )
    level = _through_wrappers(root)
    parts = _part_folders(level, warnings)
    if parts:
        return _read_parts(level, parts, warnings)
    inside = _parts_in_classes(level)
    if inside:
        return _read_parts_in_classes(level, inside, warnings)
    _refuse_same_folders(level)
    classes = _class_files(level, level.folders, warnings)
    if not classes:
        raise TlcliError(
            f"The {level.count} images of {show(root.name)} lie in no class folders: expected a folder for "
            "each "
            "class, or a table of labels (`labels` FILE.csv)."
        )
    where = f"the folders of {_path(level, root)}"
    return Reading({"train": classes}, note=f"{root.name}: the classes are {where}: {list_names(classes)}.")


def _through_wrappers(folder: Folder) -> Folder:
    """The first folder below wrappers: folders that hold one folder of folders and nothing else."""
    while not folder.images and len(folder.folders) == 1:
        only = folder.folders[0]
        if only.images:
            return folder
        folder = only
    return folder


def _part_folders(level: Folder, warnings: list[str]) -> dict[str, Folder]:
    """The folders of a level that are parts; none if its folders are classes."""
    folders = {folder.name: folder for folder in level.folders}
    assigned = assign(folders)
    if not assigned:
        return {}
    for part, names in assigned.items():
        if len(names) > 1:
            raise TlcliError(
                f"In {_path(level)}, {' and '.join(map(show, names))} are both called like the {part} part: "
                "leave one of them, or name one as the data set and the other with `test_dataset`."
            )
    found = {part: folders[names[0]] for part, names in assigned.items()}
    beside = [name for name in folders if name not in {folder.name for folder in found.values()}]
    if not _through_wrappers(found["train"]).folders or _through_wrappers(found["train"]).images:
        if len(found) == 1:
            return {}  # a class may be called `train`
        both = " and ".join(show(folder.name) for folder in found.values())
        raise TlcliError(
            f"The folders {both} of {_path(level)} are called like parts, and hold images without class "
            "folders: "
            "give a table of labels (`labels` FILE.csv), or other names if they are classes."
        )
    if len(found) == 1 and beside:
        name = show(found["train"].name)
        raise TlcliError(
            f"{_path(level)} can be read in two ways: {name} is the training part or a class beside "
            f"{list_names(beside)}. Name the folder of the training part, and the other with `test_dataset`, "
            f"or rename {name}."
        )
    if beside:
        warnings.append(f"Folders beside those of the parts are not read: {list_names(beside)}.")
    return found


def _read_parts(level: Folder, folders: dict[str, Folder], warnings: list[str]) -> Reading:
    train = _through_wrappers(folders["train"])
    _refuse_same_folders(train)
    files = {"train": _class_files(train, train.folders, warnings)}
    unlabelled: dict[str, Folder] = {}
    for part, folder in folders.items():
        if part == "train":
            continue
        found = _class_level(folder, set(files["train"])) if part != UNLABELLED else None
        if found is None:
            unlabelled[part] = folder
        else:
            files[part] = _class_files(found, found.folders, warnings)
    of_parts = ", ".join(f"{part} from {_path(folders[part])}" for part in files)
    note = f"{level.name}: {of_parts}; the classes are {list_names(files['train'])}."
    return Reading(files, unlabelled, note)


def _class_level(folder: Folder, classes: set[str]) -> Folder | None:
    """The level of a part whose folders are classes of the training part; None if there is none."""
    while not classes & {class_name(child.name) for child in folder.folders}:
        if folder.images or len(folder.folders) != 1:
            return None
        folder = folder.folders[0]
    return folder


def _parts_in_classes(level: Folder) -> dict[str, dict[str, Folder]]:
    """The folders of the parts within each class folder, if every class has them."""
    inside = {}
    for folder in level.folders:
        names = assign(child.name for child in folder.folders) if not folder.images else {}
        if len(names) > 1 and all(len(same) == 1 for same in names.values()):
            children = {child.name: child for child in folder.folders}
            inside[folder.name] = {part: children[same[0]] for part, same in names.items()}
    if inside and len(inside) < len(level.folders):
        other = next(folder for folder in level.folders if folder.name not in inside)
        raise TlcliError(
            f"In {_path(level)}, {show(next(iter(inside)))} holds folders of parts, and {show(other.name)} "
            "does not: "
            "give all classes the same parts."
        )
    return inside


def _read_parts_in_classes(
    level: Folder, inside: dict[str, dict[str, Folder]], warnings: list[str]
) -> Reading:
    parts: dict[str, Files] = {}
    for name, folders in inside.items():
        for part, folder in folders.items():
            parts.setdefault(part, {})[class_name(name)] = list(folder.below())
    parts.pop(UNLABELLED, None)
    note = (
        f"{level.name}: the classes are {list_names(inside)}; each holds folders of the parts "
        f"{list_names(parts)}."
    )
    return Reading(parts, note=note)


def _refuse_same_folders(level: Folder) -> None:
    """Refuse a level whose folders all hold the same folders: either may be the classes."""
    below = [tuple(child.name for child in folder.folders) for folder in level.folders if not folder.images]
    if (
        len(level.folders) > 1
        and len(below) == len(level.folders)
        and len(set(below)) == 1
        and len(below[0]) > 1
    ):
        above = [folder.name for folder in level.folders]
        raise TlcliError(
            f"{_path(level)} can be read in two ways: each of its folders {list_names(above)} holds folders "
            f"{list_names(below[0])}, and either may be the classes. Name one folder of classes as "
            "the data set (and another with `test_dataset`), or give a table of labels (`labels` FILE.csv)."
        )


def _class_files(level: Folder, folders: list[Folder], warnings: list[str]) -> Files:
    """The images of each class folder, at any depth below it."""
    files: Files = {}
    for folder in folders:
        name = class_name(folder.name)
        if name in files:
            raise TlcliError(
                f"Two folders of {_path(level)} are both the class {name!r:.100}: class names must differ."
            )
        files[name] = list(folder.below())
    warnings += [f"The folder {_path(folder)} has no images in it and is left out." for folder in level.empty]
    stray: Counter[str] = Counter()
    if level.images:
        stray["images outside of class folders"] = len(level.images)
    for folder in folders:
        for below in folder.walk():
            stray.update(f"{PurePath(f.name).suffix.lower() or 'nameless'} files" for f in below.others)
    if stray:
        counted = list_names(f"{count} {what}" for what, count in stray.items())
        warnings.append(f"Not read are {counted} in {_path(level)}.")
    return files


def class_name(folder_name: str) -> str:
    """The name in Unicode form NFC, so that equal names look equal; bytes that are not UTF-8 are replaced."""
    text = folder_name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return unicodedata.normalize("NFC", text)


def _path(folder: Folder, root: Folder | None = None) -> str:
    """The name of a folder in messages."""
    return show(folder.path or folder.name, 200) + "/"


def _arrays_in(root: Folder) -> str:
    """A hint at files of arrays in a folder without images."""
    arrays = [file.name for file in root.others if file.name.lower().endswith(_ARRAYS)]
    if not arrays:
        return ""
    return f" It holds {list_names(arrays)}: name that for training, and the other with `test_dataset`."
