"""Image files in class folders, with or without folders of parts above them, or with a table of labels.

The whole may also be a zip or a tar archive; it is read where it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data.decoding import Readable
from tlcli.data.file_images import FileImages, FileSet
from tlcli.data.levels import Reading, read_levels
from tlcli.data.listing import Folder, list_tree
from tlcli.data.source import Raw, Request, Source, complete, path_reader, show
from tlcli.data.table_levels import read_annotated, read_by_table
from tlcli.data.tarred import SUFFIXES as TARS
from tlcli.data.tarred import open_tar
from tlcli.data.zipped import open_zip
from tlcli.store.budget import Budget


def _accepts(path: Path) -> bool:
    return path.is_dir() or path.name.lower().endswith((".zip", *TARS))


@path_reader(_accepts, options=("white", "test", "table", "test_path"))
def load(path: Path, request: Request) -> Source:
    """Classes in alphabetical order; where every name is a number, these are the classes' published numbers.

    Images lie at any depth below their class. `source_index` counts the images of a part (of the whole
    folder where there are no parts) by class, then by path. Without an image size, all images must have the
    size of the first.
    """
    raw = Raw(path.stem if path.is_file() else path.resolve().name)
    budget = Budget(path.name)
    roots = [_root(path, budget)]
    tree = list_tree(roots[0], raw.warnings)
    reading = _read(tree, request, raw, budget)
    if request.test_path is not None:
        roots.append(_root(request.test_path, budget))
        reading = _with_test(reading, list_tree(roots[1], raw.warnings), request, raw, budget)
    raw.notes.append(reading.note)
    for part, folder in reading.unlabelled.items():
        raw.warnings.append(
            f"The folder {show(folder.path or folder.name)}/ ({part}) has no class folders: its "
            f"{folder.count} "
            "images are left out."
        )
    names = sorted({name for files in reading.parts.values() for name in files})
    numbers = _published_numbers(names)
    raw.class_names = [name for _, name in sorted(zip(numbers, names, strict=True))]
    raw.class_numbers = sorted(numbers)
    files = {part: _flat(of_class, raw.class_names) for part, of_class in reading.parts.items()}
    shared = FileSet(roots, request.fit, request.white, raw.warnings, raw.notes, request.progress, budget)
    shared.hold([file for listed, _ in files.values() for file in listed])
    for part, (listed, labels) in files.items():
        raw.parts[part] = (FileImages(listed, shared), labels)
        if reading.groups:
            raw.groups[part] = np.array([reading.groups[file] for file in listed], np.int64)
    return complete(raw, request)


def _read(tree: Folder, request: Request, raw: Raw, budget: Budget) -> Reading:
    if request.table is not None:
        return read_by_table(tree, request.table, raw.warnings, budget)
    reading = read_levels(tree, raw.warnings)
    for part in list(reading.unlabelled):
        files = read_annotated(reading.unlabelled[part], set(reading.parts["train"]), raw.warnings, budget)
        if files is not None:
            reading.parts[part] = files
            del reading.unlabelled[part]
    return reading


def _with_test(reading: Reading, tree: Folder, request: Request, raw: Raw, budget: Budget) -> Reading:
    """The reading with the whole of another tree as its test part."""
    other = _read(tree, request, raw, budget)
    chosen = next((part for part in ("test", "train") if part in other.parts), "validation")
    parts = {part: files for part, files in reading.parts.items() if part != "test"}
    parts["test"] = other.parts[chosen]
    if len(other.parts) > 1:
        raw.warnings.append(f"Of {show(tree.name)}, only the {chosen} part is read, as the test part.")
    groups = {**reading.groups}
    start = max(groups.values(), default=-1) + 1
    groups |= {file: start + group for file, group in other.groups.items()}
    if bool(reading.groups) != bool(other.groups):
        groups = {}
    note = f"{reading.note} The test part is {show(tree.name)}."
    return Reading(parts, {**reading.unlabelled, **other.unlabelled}, note, groups)


def _root(path: Path, budget: Budget) -> Any:
    if path.is_dir():
        return path
    budget.grow(path.stat().st_size)
    return open_zip(path, budget) if path.name.lower().endswith(".zip") else open_tar(path, budget)


def _flat(files: dict[str, list[Readable]], ranked: Sequence[str]) -> tuple[list[Readable], np.ndarray]:
    listed = [file for name in ranked for file in files.get(name, ())]
    labels = np.repeat(np.arange(len(ranked)), [len(files.get(name, ())) for name in ranked])
    return listed, labels


def _published_numbers(names: Sequence[str]) -> list[int]:
    if all(re.fullmatch("[0-9]{1,9}", name) for name in names) and len({int(n) for n in names}) == len(names):
        return [int(name) for name in names]
    return list(range(len(names)))
