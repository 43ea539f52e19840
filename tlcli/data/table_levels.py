"""Read the parts and classes of a tree of images from a table of labels instead of its folders."""

from __future__ import annotations

from pathlib import Path

from tlcli.data.decoding import Readable
from tlcli.data.levels import Files, Reading, class_name
from tlcli.data.listing import Folder
from tlcli.data.parts import PARTS, assign
from tlcli.data.source import list_names, show
from tlcli.data.tables import find_annotations, match_images, read_table
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget


def read_by_table(tree: Folder, path: Path, warnings: list[str], budget: Budget) -> Reading:
    """The reading of a table: its labels, its parts or else those of the folders, and its groups.

    Raises TlcliError for a group in two parts.
    """
    table = read_table(path, path.name, budget)
    found = match_images(table, tree, warnings)
    if found.without_row:
        warnings.append(
            f"{found.without_row} images are not in the table {show(table.name)} and are left out."
        )
    of_folder = _part_folders(tree)
    parts: dict[str, Files] = {}
    groups: dict[Readable, int] = {}
    numbers: dict[str, int] = {}
    stands: dict[int, str] = {}
    for image, below, row in zip(found.images, found.paths, found.rows, strict=True):
        part = table.parts[row] if table.parts else _part_of_path(below, of_folder)
        parts.setdefault(part, {}).setdefault(class_name(table.labels[row]), []).append(image)
        if table.groups:
            group = table.groups[row] or f"\0{row}"
            groups[image] = numbers.setdefault(group, len(numbers))
            if stands.setdefault(groups[image], part) != part:
                raise TlcliError(
                    f"The table {show(table.name)} has the group {group!r:.100} in the "
                    f"{stands[groups[image]]} and in "
                    f"the {part} part: expected each group in one."
                )
    if "train" not in parts:
        raise TlcliError(
            f"The table {show(table.name)} has no training images: its parts are {list_names(parts)}."
        )
    known = {part: parts[part] for part in PARTS if part in parts}
    counts = ", ".join(f"{sum(map(len, files.values()))} {part}" for part, files in known.items())
    note = f"{tree.name}: {counts} images of {list_names(known['train'])}, by the table {show(table.name)}."
    return Reading(known, note=note, groups=groups)


def read_annotated(folder: Folder, classes: set[str], warnings: list[str], budget: Budget) -> Files | None:
    """The images of a part by the table that lies in its folder; None where there is none of these
    classes."""
    file = find_annotations(folder)
    if file is None:
        return None
    table = read_table(file, str(file.name), budget)
    if not classes & set(table.labels):
        return None
    found = match_images(table, folder, warnings)
    files: Files = {}
    for image, row in zip(found.images, found.rows, strict=True):
        files.setdefault(class_name(table.labels[row]), []).append(image)
    return files


def _part_folders(tree: Folder) -> dict[str, str]:
    """The part of each folder with the name of one, if the folders of a level are parts."""
    level = tree
    while not level.images and len(level.folders) == 1:
        level = level.folders[0]
    found: dict[str, str] = {}
    for part, names in assign(folder.name for folder in level.folders).items():
        found |= {f"{level.path}/{name}".lstrip("/"): part for name in names}
    return found


def _part_of_path(path: str, of_folder: dict[str, str]) -> str:
    return next((part for folder, part in of_folder.items() if path.startswith(folder + "/")), "train")
