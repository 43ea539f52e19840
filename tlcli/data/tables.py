"""Labels in a table: one line for each image, with its file, its label, and perhaps its part and its
group."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.data.decoding import Readable
from tlcli.data.image_room import size_of
from tlcli.data.listing import Folder, is_image
from tlcli.data.parts import part_of
from tlcli.data.source import list_names, show
from tlcli.errors import TlcliError
from tlcli.store.budget import ROW_RATIO, Budget

SUFFIXES = (".csv", ".tsv", ".txt")

_LONGEST_PATH = 64
"""The most steps of a path to compare; of a longer path the last ones."""

_COLUMNS = {
    "file": "file filename file_name filepath path image image_id image_name image_path img name id",
    "label": "label labels class class_name classname category target y species breed",
    "part": "part split set subset partition fold",
    "group": "group group_id patient patient_id subject subject_id burst scene sequence",
}


@dataclass
class LabelTable:
    """The rows of a table. `files` is empty if the rows are in the order of the images."""

    name: str
    files: list[str]
    labels: list[str]
    parts: list[str]
    """Empty where there is no such column."""
    groups: list[str]
    """Empty where there is no such column; an empty cell is a group of its own."""

    def __len__(self) -> int:
        return len(self.labels)


def read_table(file: Readable, name: str, budget: Budget) -> LabelTable:
    """Read a table separated by commas, semicolons, tabs or spaces, with or without names of columns.

    Without names, the first column is the file and the second the label; others are ignored. Raises
    TlcliError for a file that is not a table.
    """
    try:
        size = size_of(file)
        if isinstance(file, Path):
            budget.grow(size)
        budget.take(size * ROW_RATIO, f"the rows of the table {show(name)}")
        with file.open("rb") as opened:
            content = opened.read(size)
    except OSError as error:
        raise TlcliError(f"The table {show(name)} cannot be read: {error.strerror}.") from None
    text = content.decode("utf-8-sig", "replace").replace("\0", "\ufffd")
    first = text.split("\n", 1)[0]
    separator = next((sign for sign in "\t;," if sign in first), " ")
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise TlcliError(f"The table {show(name)} cannot be read: {error}.") from None
    if not rows:
        raise TlcliError(f"The table {show(name)} is empty: expected a file and a label in each line.")
    columns, rows = _layout(rows, name)
    short = next((i for i, row in enumerate(rows) if len(row) <= max(columns.values())), None)
    if short is not None:
        raise TlcliError(
            f"The table {show(name)} has {len(rows[short])} cells in the row of "
            f"{list_names(rows[short][:1])}."
        )

    def column(what: str) -> list[str]:
        return [row[columns[what]].strip() for row in rows] if what in columns else []

    labels = column("label")
    if "" in labels:
        raise TlcliError(f"The table {show(name)} has no label in row {labels.index('') + 1}.")
    return LabelTable(name, column("file"), labels, [_part(p, name) for p in column("part")], column("group"))


def _layout(rows: list[list[str]], name: str) -> tuple[dict[str, int], list[list[str]]]:
    """The meaning of the columns, and the rows without their names. Raises TlcliError if no column is the
    label, or several may be."""
    columns = _columns(rows[0])
    if columns:
        rows = rows[1:]
    elif len(rows[0]) == 1:
        columns = {"label": 0}
    else:
        columns = {"file": 0, "label": 1}
        if len(rows) > 1 and not is_image(rows[0][0]) and (is_image(rows[1][0]) or _names_file(rows[0][0])):
            if len(rows[0]) > 2:
                raise TlcliError(
                    f"The table {show(name)} has the columns {list_names(rows[0])}: expected one called "
                    "`label`."
                )
            rows = rows[1:]  # of two columns, the second is the label, whatever it is called
    if not rows:
        raise TlcliError(f"The table {show(name)} has names of columns alone: expected a row for each image.")
    return columns, rows


def _names_file(cell: str) -> bool:
    return cell.strip().lower().replace(" ", "_") in _COLUMNS["file"].split()


def _columns(row: Sequence[str]) -> dict[str, int]:
    """The meaning of the columns, if the first row names a label column; of several names the first that
    fits."""
    cells = [cell.strip().lower().replace(" ", "_") for cell in row]
    found = {}
    for what, names in _COLUMNS.items():
        position = next((cells.index(name) for name in names.split() if name in cells), None)
        if position is not None:
            found[what] = position
    if "label" not in found or found.get("file") == found["label"]:
        return {}
    return found


def _part(cell: str, name: str) -> str:
    found = part_of(cell)
    if found is None or found[1]:
        raise TlcliError(
            f"The table {show(name)} has the part {cell!r:.100}: expected train, validation or test."
        )
    return found[0]


@dataclass
class LabelledImages:
    """The images of a tree that a table names."""

    images: list[Readable]
    """The images in the order of the tree."""
    paths: list[str]
    rows: list[int]
    """The row of each image."""
    without_row: int
    """Images that the table does not name."""


def match_images(table: LabelTable, folder: Folder, warnings: list[str]) -> LabelledImages:
    """The images below a folder that a table names, by their path or its last steps.

    The table may have the path from the folder or from elsewhere, the file's name alone, or that without
    its ending. What it names and is not there is counted in `warnings`. Raises TlcliError where nothing
    fits, or one name fits several images.
    """
    if not table.files:
        raise TlcliError(
            f"The table {show(table.name)} has no column `file`: expected one beside the labels."
        )
    images: list[Readable] = []
    paths: list[str] = []
    for below in folder.walk():
        for image in below.images:
            images.append(image)
            paths.append(f"{below.path}/{_name(image)}".removeprefix(folder.path).lstrip("/"))
    order = sorted(range(len(paths)), key=lambda i: paths[i])
    index = _index_paths(paths)
    row_of: dict[int, int] = {}
    missing: list[str] = []
    for row, cell in enumerate(table.files):
        position = _find(cell, index)
        if position is None:
            missing.append(cell)
        elif position < 0:
            raise TlcliError(
                f"The table {show(table.name)} names {cell!r:.100}, which fits several images: give paths."
            )
        elif row_of.setdefault(position, row) != row and table.labels[row_of[position]] != table.labels[row]:
            raise TlcliError(f"The table {show(table.name)} has two labels for {cell!r:.100}.")
    if not row_of:
        raise TlcliError(
            f"The table {show(table.name)} names none of the {len(images)} images of {show(folder.name)}: "
            f"it begins with {table.files[0]!r:.100}, an image is {paths[order[0]]!r:.100}."
        )
    if missing:
        warnings.append(
            f"The table {show(table.name)} names {len(missing)} images that are not there: "
            f"{list_names(missing, 5)}."
        )
    known = [position for position in order if position in row_of]
    return LabelledImages(
        [images[i] for i in known],
        [paths[i] for i in known],
        [row_of[i] for i in known],
        len(images) - len(known),
    )


def find_annotations(folder: Folder) -> Any:
    """The table of labels that lies in a folder with its images, such as `val_annotations.txt`; or None."""
    found = [
        file
        for below in folder.walk()
        for file in below.others
        if _name(file).lower().endswith(SUFFIXES)
        and any(word in _name(file).lower() for word in ("annotation", "label"))
    ]
    return found[0] if len(found) == 1 else None


def _name(file: Any) -> str:
    return str(file.name)


def _index_paths(paths: Iterable[str]) -> dict[str, int]:
    """The position of each path by the path, its name, and its name without ending; -1 for several."""
    index: dict[str, int] = {}
    for position, path in enumerate(paths):
        name = path.rpartition("/")[2]
        for key in {path, name, name.rpartition(".")[0]}:
            index[key] = position if key not in index else -1
    return {**index, **{path: position for position, path in enumerate(paths)}}


def _find(cell: str, index: dict[str, int]) -> int | None:
    steps = cell.replace("\\", "/").removeprefix("./").strip("/").split("/")
    path = "/".join(steps[-_LONGEST_PATH:])
    while path:
        if path in index:
            return index[path]
        _, slash, path = path.partition("/")
        if not slash:
            return None
    return None
