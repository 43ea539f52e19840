"""The embeddings format: record to tree and back."""

from __future__ import annotations

import numpy as np

from tlcli.store.common import PARTS, check_labels, put_classes, take_classes
from tlcli.store.records import EmbeddingPart, Embeddings
from tlcli.store.tree import Tree


def to_tree(record: Embeddings) -> Tree:
    tree = Tree(Embeddings.format)
    tree.set("", "layer", record.layer)
    tree.set("", "mirrored", int(record.mirrored))
    tree.set("", "source", record.source)
    if record.notes:
        tree.datasets["notes"] = list(record.notes)
    put_classes(tree, record.class_names, record.class_original)
    for name, part in record.parts.items():
        tree.datasets[f"{name}/embeddings"] = np.asarray(part.embeddings, np.float32)
        tree.datasets[f"{name}/labels"] = np.asarray(part.labels, np.int64)
        tree.datasets[f"{name}/source_index"] = np.asarray(part.source_index, np.int64)
    return tree


def from_tree(tree: Tree) -> Embeddings:
    """The embeddings of a tree. Raises TlcliError for labels out of range."""
    data = tree.datasets
    parts = {
        name: EmbeddingPart(data[f"{name}/embeddings"], data[f"{name}/labels"], data[f"{name}/source_index"])
        for name in PARTS
        if f"{name}/labels" in data
    }
    names, original = take_classes(tree)
    for name, part in parts.items():
        check_labels(part.labels, len(names), f"{name}/labels")
    layer, mirrored = tree.get("", "layer"), bool(tree.get("", "mirrored"))
    return Embeddings(
        parts,
        layer,
        names,
        original,
        mirrored=mirrored,
        source=tree.get("", "source"),
        notes=list(data.get("notes", [])),
    )
