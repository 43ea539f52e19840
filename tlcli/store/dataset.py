"""The dataset format: record to tree and back."""

from __future__ import annotations

import numpy as np

from tlcli.store.common import PARTS, check_labels, put_classes, take_classes
from tlcli.store.records import Dataset, Part
from tlcli.store.tree import Tree


def to_tree(record: Dataset) -> Tree:
    """The tree of a dataset. Lazy images stay lazy."""
    tree = Tree(Dataset.format)
    tree.set("", "source", record.source)
    tree.set_json("", "options", record.options)
    put_classes(tree, record.class_names, record.class_original)
    for name, part in record.parts.items():
        tree.datasets[f"{name}/images"] = part.images
        tree.datasets[f"{name}/labels"] = np.asarray(part.labels, np.int64)
        tree.datasets[f"{name}/source_index"] = np.asarray(part.source_index, np.int64)
    return tree


def from_tree(tree: Tree) -> Dataset:
    """The dataset of a tree. Raises TlcliError for labels out of range."""
    data = tree.datasets
    parts = {
        name: Part(data[f"{name}/images"], data[f"{name}/labels"], data[f"{name}/source_index"])
        for name in PARTS
        if f"{name}/labels" in data
    }
    names, original = take_classes(tree)
    for name, part in parts.items():
        check_labels(part.labels, len(names), f"{name}/labels")
    return Dataset(parts, names, original, tree.get("", "source"), tree.get_json("", "options"))
