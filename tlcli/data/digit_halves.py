"""Two halves of the digits in one MATLAB file: the layout of the course SML2016, sheet 3.

Its variables are `X_trn69_P`, `t_trn69_P`, `X_tst69`, `t_tst69`, and so on.

The digits are the first and the last class of a set, P the share of its training images that a variable
has. X are pixels of 0 to 1 (N x height x width, x 3 for colour), t is one-hot (N x classes). Files written
here also have, per set, `classes69` and `names69` (the published numbers and names), `i_trn69_P` and
`i_tst69` (positions in the published set, from 0) and `source`. The key of classes that are not a range of
digits is `c` and their numbers, joined by `c`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlcli.data import matlab
from tlcli.data.arrays import as_images, as_labels
from tlcli.data.scale import find_whites
from tlcli.data.source import Request, Source, class_part, list_names, show
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget
from tlcli.store.records import Dataset, Part

_TRAIN = re.compile(r"X_trn(\d\d|c[0-9a-f]+)(?:_(.+))?")
_PARTS = {"trn": "train", "val": "validation", "tst": "test"}


@dataclass
class _ClassSet:
    """The images of one set of classes, labels along `numbers`."""

    numbers: list[int]
    names: list[str]
    parts: dict[str, Part]


def is_halves(names: Iterable[str]) -> bool:
    """Whether variables have the names of this layout."""
    return any(_TRAIN.fullmatch(name) for name in names)


def read_halves(path: Path, request: Request) -> Source:
    """All sets of classes in the file as one source; if a set has several training sets, the largest.

    Rows of pixels run row by row, unless `request` has another layout.
    """
    shapes, budget = matlab.shapes(path), Budget(path.name, path.stat().st_size)
    warnings: list[str] = []
    tails: dict[str, list[str]] = {}
    for name in shapes:
        if match := _TRAIN.fullmatch(name):
            tails.setdefault(match[1], []).append(f"_{match[2]}" if match[2] else "")
    notes: list[str] = []
    arrays = {
        key: _read_set(path, shapes, key, _largest(shapes, key, tails[key], warnings), budget)
        for key in sorted(tails)
    }
    pixels = {
        f"{n} of {path.name}": x for read in arrays.values() for n, x in read.items() if n.startswith("X_")
    }
    whites = find_whites(pixels, path.name, request.white, warnings, notes)
    sets = [_class_set(path, key, read, whites, request.layout) for key, read in arrays.items()]
    numbers = [number for s in sets for number in s.numbers]
    if len(set(numbers)) < len(numbers):
        raise TlcliError(f"{path.name} has a class in two of its sets {', '.join(sorted(tails))}.")
    _check_one_shape(path, [part.images.shape[1:] for s in sets for part in s.parts.values()])
    source = _texts(matlab.read(path, ["source"], budget)["source"]) if "source" in shapes else []
    names = dict(zip(numbers, [n for s in sets for n in s.names], strict=True))
    ranked = sorted(numbers)
    parts = {
        part: _join_parts([(s.parts[part], s.numbers) for s in sets if part in s.parts], ranked)
        for part in _PARTS.values()
        if any(part in s.parts for s in sets)
    }
    return Source(
        (source and source[0]) or path.stem,
        parts["train"],
        parts["test"],
        [names[number] for number in ranked],
        warnings,
        ranked,
        parts.get("validation"),
        notes=notes,
    )


def write_mat(datasets: Dataset | Sequence[Dataset], path: str | Path, *, force: bool = False) -> None:
    """Write one or several datasets of the same published set as a MATLAB file in that layout.

    Byte-identical for the same datasets. Raises TlcliError where two want to store different images under
    one name, where a variable would be too large for the format, and what `store.atomic_file` raises.
    """
    given = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    variables: dict[str, np.ndarray] = {}
    for dataset in given:
        for name, array in _variables(dataset).items():
            if name in variables and not np.array_equal(variables[name], array):
                raise TlcliError(f"Two datasets have different images for {name}: write them to two files.")
            variables[name] = array
    matlab.write(Path(path), variables, force=force)


def _variables(dataset: Dataset) -> dict[str, np.ndarray]:
    key, tail = _key(dataset.class_original.tolist()), _tail(dataset)
    variables = {
        f"classes{key}": dataset.class_original,
        f"names{key}": np.array(dataset.class_names),
        "source": np.array([dataset.source]),
    }
    for short, part_name in _PARTS.items():
        if part_name in dataset.parts:
            part = dataset.parts[part_name]
            name = f"{short}{key}" if short == "tst" else f"{short}{key}{tail}"
            pixels = np.asarray(part.images, np.float32) / np.float32(255)
            variables[f"X_{name}"] = pixels[..., 0] if pixels.shape[3] == 1 else pixels
            variables[f"t_{name}"] = np.eye(dataset.classes)[part.labels]
            variables[f"i_{name}"] = part.source_index
    return variables


def _key(numbers: Sequence[int]) -> str:
    """`69` for a range of digits, else the numbers themselves, or a digest where there are many."""
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)) and numbers[-1] < 10:
        return f"{numbers[0]}{numbers[-1]}"
    joined = "".join(f"c{number}" for number in numbers)
    return joined if len(joined) <= 24 else "c" + hashlib.sha256(joined.encode()).hexdigest()[:12]


def _tail(dataset: Dataset) -> str:
    """The proportion or size that was asked for, as MATLAB takes it in a name: `_0_01`, `_n100`."""
    proportion, size = dataset.options.get("proportion"), dataset.options.get("size")
    if proportion is not None:
        return "_" + str(proportion).replace(".", "_").replace("-", "m")
    return f"_n{size}" if size is not None else ""


def _largest(shapes: dict[str, tuple[int, ...]], key: str, tails: list[str], warnings: list[str]) -> str:
    def images(tail: str) -> int:
        return max(shapes.get(f"t_trn{key}{tail}", ()), default=0)

    chosen = max(tails, key=lambda tail: (images(tail), tail))
    if len(tails) > 1:
        warnings.append(
            f"Of {len(tails)} training sets of the classes {key}, the largest is read: "
            f"{show(f'X_trn{key}{chosen}')} with {images(chosen)} images."
        )
    return chosen


def _read_set(
    path: Path, shapes: dict[str, tuple[int, ...]], key: str, tail: str, budget: Budget
) -> dict[str, np.ndarray]:
    """The variables of one set of classes, without the tails of their names."""
    suffixes = {short: f"{short}{key}" + (tail if short != "tst" else "") for short in _PARTS}
    if f"X_{suffixes['val']}" not in shapes:
        del suffixes["val"]
    wanted = [f"{letter}_{suffix}" for suffix in suffixes.values() for letter in "Xt"]
    missing = [name for name in wanted if name not in shapes]
    if missing:
        raise TlcliError(f"{path.name} has no variable {show(missing[0])}: it holds {list_names(shapes)}.")
    optional = [f"classes{key}", f"names{key}", *(f"i_{suffix}" for suffix in suffixes.values())]
    return matlab.read(path, wanted + [name for name in optional if name in shapes], budget)


def _class_set(
    path: Path, key: str, arrays: dict[str, np.ndarray], whites: dict[str, float], layout: str | None
) -> _ClassSet:
    numbers = _class_numbers(path, key, arrays)
    names = _texts(arrays[f"names{key}"]) if f"names{key}" in arrays else []
    suffixes = [name.removeprefix("X_") for name in arrays if name.startswith("X_")]
    parts = {
        _PARTS[suffix[:3]]: _part(path, suffix, arrays, numbers, whites[f"X_{suffix} of {path.name}"], layout)
        for suffix in suffixes
    }
    return _ClassSet(numbers, names if len(names) == len(numbers) else [str(n) for n in numbers], parts)


def _texts(array: np.ndarray) -> list[str]:
    """The texts in a variable; none where it holds numbers, as text does in version 7.3."""
    return [str(text).rstrip() for text in array.ravel()] if array.dtype.kind == "U" else []


def _check_one_shape(path: Path, shapes: Sequence[tuple[int, ...]]) -> None:
    different = sorted(set(shapes))
    if len(different) > 1:
        raise TlcliError(
            f"The images of {path.name} differ in shape: "
            f"{', '.join(' x '.join(map(str, shape)) for shape in different)}."
        )


def _class_numbers(path: Path, key: str, arrays: dict[str, np.ndarray]) -> list[int]:
    if f"classes{key}" in arrays:
        return [int(n) for n in as_labels(arrays[f"classes{key}"], f"classes{key} of {path.name}")]
    if not key.isdigit() or key[0] > key[1]:
        raise TlcliError(f"{path.name} has no variable classes{key} that says which classes X_trn{key} has.")
    return list(range(int(key[0]), int(key[1]) + 1))


def _part(
    path: Path,
    suffix: str,
    arrays: dict[str, np.ndarray],
    numbers: list[int],
    white: float,
    layout: str | None,
) -> Part:
    """Labels may be one-hot, count from 0 along the classes, or be the published numbers themselves."""
    where = f"t_{suffix} of {path.name}"
    labels = as_labels(arrays[f"t_{suffix}"], where)
    if labels.max() >= len(numbers) and set(labels.tolist()) <= set(numbers):
        labels = np.array([numbers.index(label) for label in labels], np.int64)
    if labels.max() >= len(numbers):
        raise TlcliError(
            f"{where} has a label {labels.max()}: expected 0 to {len(numbers) - 1}, or the "
            f"classes {numbers[0]} to {numbers[-1]} themselves."
        )
    images = as_images(arrays[f"X_{suffix}"], len(labels), white, f"X_{suffix} of {path.name}", layout)
    return class_part(images, labels, _positions(path, f"i_{suffix}", arrays, len(labels)))


def _positions(path: Path, variable: str, arrays: dict[str, np.ndarray], n: int) -> np.ndarray:
    """The positions of n images in the published set; without the variable, those in the file."""
    if variable not in arrays:
        return np.arange(n)
    index = as_labels(arrays[variable].ravel(), f"{variable} of {path.name}")
    if len(index) != n:
        raise TlcliError(f"{variable} of {path.name} has {len(index)} values: expected {n}.")
    return index


def _join_parts(parts: list[tuple[Part, list[int]]], ranked: list[int]) -> Part:
    """One part of several, labels along `ranked`. Positions are kept where they are the published ones."""
    labels = [np.searchsorted(ranked, np.array(numbers)[part.labels]) for part, numbers in parts]
    index = np.concatenate([part.source_index for part, _ in parts])
    if len(np.unique(index)) < len(index):
        index = np.arange(len(index))
    images = np.concatenate([np.asarray(part.images) for part, _ in parts])
    return class_part(images, np.concatenate(labels), index)
