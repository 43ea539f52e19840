"""Describe any HDF5 file, reading only what a summary needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store import checks, schema, version_1
from tlcli.store.elements import Format
from tlcli.store.gate import Item
from tlcli.store.opening import OpenFile, open_hdf5
from tlcli.store.reading import take_provenance
from tlcli.store.records import Provenance, notes_of
from tlcli.store.schema_parts import PARTS
from tlcli.store.tables import take_table
from tlcli.store.tree import Tree, base_name


@dataclass(frozen=True)
class Entry:
    """One object of the tree: a group, a dataset, or an object that tlcli would not follow."""

    path: str
    """The path from the root, which is `/`."""
    kind: str
    """`group`, `dataset`, `soft link`, `external link`, `virtual dataset`, `named type`, ..."""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    chunks: tuple[int, ...] | None = None
    compression: str = ""
    """The filters, for example `shuffle, gzip, fletcher32`."""
    storage: int = 0
    """Bytes in the file."""
    attributes: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    """The reason why tlcli would refuse to read it, or empty."""


@dataclass(frozen=True)
class FileDescription:
    """The description of a file for `inspect`."""

    name: str
    kind: str
    """`tlcli-dataset`, ...; `hdf5` for a file that tlcli did not write."""
    sentence: str
    size: int
    """Bytes of the file."""
    entries: tuple[Entry, ...]
    provenance: Provenance | None = None
    class_counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Images per class, by part (dataset, embeddings) or by target (results)."""
    details: dict[str, Any] = field(default_factory=dict)
    """Key figures of the kind: shapes, parameters, methods, the options."""
    problems: tuple[str, ...] = ()
    """The reasons why `read` would refuse it, from the outline alone; `verify` checks data and digests."""


def describe(path: str | Path) -> FileDescription:
    """Describe a file, or stdin for `-`. Links out of the file are not followed.

    Raises TlcliError only if HDF5 cannot open it.
    """
    with open_hdf5(path) as file:
        items = file.items(strict=False)
        found = file.root_attribute("format")
        entries = tuple(_entry(items[path]) for path in sorted(items, key=lambda path: path.split("/")))
        problems = tuple(item.problem for item in items.values() if item.problem)
        if not isinstance(found, str) or found not in schema.FORMATS:
            return FileDescription(
                base_name(path), "hdf5", _foreign_sentence(items), file.size, entries, problems=problems
            )
        old = file.root_attribute("format_version") == 1
        try:
            tree = version_1.translate(_small_tree(file, (version_1 if old else schema).FORMATS[found]))
            summary = _SUMMARIES[found](tree, items)
            provenance = take_provenance(tree, base_name(path))
        except (TlcliError, KeyError, TypeError, ValueError, AttributeError) as error:
            sentence = f"calls itself {found}, but tlcli would not read it"
            return FileDescription(
                base_name(path), found, sentence, file.size, entries, problems=problems or (str(error),)
            )
    sentence, counts, details = summary
    return FileDescription(base_name(path), found, sentence, file.size, entries, provenance, counts, details)


def _small_tree(file: OpenFile, kind: Format) -> Tree:
    """The tree without images, embeddings, weights and other large arrays, which stay in the file."""
    items = file.items()
    datasets = {path: item for path, item in items.items() if item.kind == "dataset"}
    attributes = {path: item.attributes for path, item in items.items() if item.attributes}
    groups = [path for path, item in items.items() if item.kind == "group"]
    checks.check_outline(kind, {p: (i.dtype, i.shape) for p, i in datasets.items()}, attributes, groups)
    small = {path: file.load(item) for path, item in datasets.items() if _is_small(path, item)}
    checks.check_values(kind, small)
    return Tree(kind.name, small, attributes)


def _is_small(path: str, item: Item) -> bool:
    """Whether a summary needs the array: texts, labels, tables of results and, in version 1, curves."""
    if item.dtype == "string" or path.endswith("/labels"):
        return True
    tabular = path.startswith(("runs/", "neighbours/", "rankings/", "targets/"))
    return tabular and not path.endswith(("/predictions", "/source_index"))


def _entry(item: Item) -> Entry:
    return Entry(
        "/" + item.path,
        item.kind,
        item.shape,
        item.dtype,
        item.chunks,
        ", ".join(item.filters),
        item.storage,
        dict(item.attributes),
        item.problem,
    )


Summary = tuple[str, dict[str, dict[str, int]], dict[str, Any]]


def _foreign_sentence(items: dict[str, Item]) -> str:
    datasets = sum("dataset" in item.kind for item in items.values())
    groups = sum(item.kind == "group" for item in items.values()) - 1
    links = sum("link" in item.kind for item in items.values())
    counts = [_count(groups, "group"), _count(datasets, "dataset")]
    counts += [f"{_count(links, 'link')} (not followed)"] if links else []
    return f"an HDF5 file that tlcli did not write: {', '.join(counts)}"


def _dataset(tree: Tree, items: dict[str, Item]) -> Summary:
    counts, names = _class_counts(tree)
    shape = items["train/images"].shape[1:]
    source = tree.get("", "source")
    sentence = (
        f"dataset{f' of {source}' if source else ''}, {_classes(names)}, {_sizes(counts)} images of "
        f"{'x'.join(map(str, shape))}"
    )
    return (
        sentence,
        counts,
        {
            "source": source,
            "image_shape": shape,
            "classes": len(names),
            "sizes": _totals(counts),
            "options": tree.get_json("", "options"),
            "notes": notes_of(tree.get_json("", "options")),
        },
    )


def _embeddings(tree: Tree, items: dict[str, Item]) -> Summary:
    counts, names = _class_counts(tree)
    width = items["train/embeddings"].shape[1]
    layer = tree.get("", "layer")
    mirrored = " and mirror images" if tree.get("", "mirrored") else ""
    sentence = (
        f"embeddings of layer {layer}{mirrored}, {width} wide, {_classes(names)}, {_sizes(counts)} images"
    )
    return (
        sentence,
        counts,
        {
            "layer": layer,
            "width": width,
            "classes": len(names),
            "sizes": _totals(counts),
            "notes": list(tree.datasets.get("notes", [])),
        },
    )


def _checkpoint(tree: Tree, items: dict[str, Item]) -> Summary:
    names = tree.datasets.get("classes/names", [])
    shape = tree.get_json("", "input_shape")
    weights = [item for path, item in items.items() if item.kind == "dataset" and path.startswith("weights/")]
    parameters = sum(int(np.prod(item.shape, dtype=np.int64)) for item in weights)
    architecture, seen = tree.get("", "architecture"), tree.get("", "samples_seen")
    unfinished = "" if tree.get("", "complete") else ", interrupted"
    sentence = (
        f"checkpoint of {architecture}, {parameters:,} parameters, for images of "
        f"{'x'.join(map(str, shape))}, {_classes(names) if names else 'no head'}, after {seen:,} "
        f"samples{unfinished}"
    )
    return (
        sentence,
        {},
        {
            "architecture": architecture,
            "parameters": parameters,
            "input_shape": tuple(shape),
            "classes": len(names),
            "samples_seen": seen,
            "complete": bool(tree.get("", "complete")),
            "seed": tree.get("", "seed"),
            "options": tree.get_json("", "options"),
            "recipe": tree.get_json("", "recipe"),
            "notes": list(tree.datasets.get("notes", [])),
        },
    )


def _results(tree: Tree, items: dict[str, Item]) -> Summary:
    runs, neighbours = take_table(tree, "runs"), take_table(tree, "neighbours")
    rankings = take_table(tree, "rankings")
    targets = [row["name"] for row in take_table(tree, "targets")]
    noted_of = zip(targets, tree.datasets.get("targets/notes", []), strict=False)
    notes = [f"{name}: {text}" for name, text in noted_of if text]
    arms = list(dict.fromkeys(row["arm"] for row in [*runs, *neighbours]))
    counts = {
        name: _per_class(tree.datasets[f"tests/{i}/labels"], tree.datasets[f"tests/{i}/class_names"])
        for i, name in enumerate(targets)
    }
    made = [_count(len(runs), "run")] if runs else []
    made += [_count(len(neighbours), "classification") + " by neighbours"] if neighbours else []
    made += [f"a ranking of {_count(len(rankings), 'base')}"] if rankings else []
    if rankings and not arms:
        sentence = f"results of {' and '.join(made)} for {', '.join(targets)}"
        return sentence, counts, {"rankings": rankings, "datasets": targets, "notes": notes}
    sentence = (
        f"results of {' and '.join(made) or 'nothing'}: {_count(len(targets), 'dataset')}, "
        f"{_count(len(arms), 'arm')} ({_shorten(arms)})"
    )
    details = {
        "runs": len(runs),
        "neighbours": len(neighbours),
        "datasets": targets,
        "arms": arms,
        "accuracies": _accuracies([*runs, *neighbours]),
        "recipe": tree.get_json("", "recipe"),
        "notes": notes,
    }
    return sentence, counts, details


def _accuracies(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation of the test accuracy of each arm on each dataset, in the order of rows.

    `mean` is None if nothing was measured, `sd` with fewer than two runs; `seconds`, the median of the runs,
    is None if none was recorded.
    """
    cells: dict[tuple[str, int, str], list[float]] = {}
    seconds: dict[tuple[str, int, str], list[float]] = {}
    for row in rows:
        key = (row["dataset"], row["size"], row["arm"])
        for found, value in ((cells, row["test_accuracy"]), (seconds, row.get("seconds"))):
            found.setdefault(key, []).extend([] if value is None else [value])
    return [
        {
            "dataset": dataset,
            "size": size,
            "arm": arm,
            "runs": len(found),
            "mean": float(np.mean(found)) if found else None,
            "sd": float(np.std(found, ddof=1)) if len(found) > 1 else None,
            "seconds": float(np.median(took)) if (took := seconds[dataset, size, arm]) else None,
        }
        for (dataset, size, arm), found in cells.items()
    ]


_SUMMARIES = {
    "tlcli-dataset": _dataset,
    "tlcli-embeddings": _embeddings,
    "tlcli-checkpoint": _checkpoint,
    "tlcli-results": _results,
}


def _class_counts(tree: Tree) -> tuple[dict[str, dict[str, int]], list[str]]:
    names = tree.datasets["classes/names"]
    found = (part for part in PARTS if f"{part}/labels" in tree.datasets)
    return {part: _per_class(tree.datasets[f"{part}/labels"], names) for part in found}, names


def _per_class(labels: np.ndarray, names: list[str]) -> dict[str, int]:
    counts = np.bincount(labels[labels < len(names)], minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))


def _totals(counts: dict[str, dict[str, int]]) -> dict[str, int]:
    return {part: sum(per_class.values()) for part, per_class in counts.items()}


def _sizes(counts: dict[str, dict[str, int]]) -> str:
    """For example `200 training and 3,969 test`."""
    words = {"train": "training"}
    sizes = [f"{size:,} {words.get(part, part)}" for part, size in _totals(counts).items()]
    return f"{', '.join(sizes[:-1])} and {sizes[-1]}"


def _classes(names: list[str]) -> str:
    return f"{_count(len(names), 'class', 'classes')} ({_shorten(names)})"


def _shorten(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 10 else f"{', '.join(names[:8])}, ... {names[-1]}"


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
