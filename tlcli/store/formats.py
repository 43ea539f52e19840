"""The four kinds of record, each with its way to a tree and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tlcli.store import checkpoint, checks, dataset, digest, embeddings, results, schema, version_1
from tlcli.store.records import Checkpoint, Dataset, Embeddings, Record, Results
from tlcli.store.tree import Tree

KINDS: tuple[type, ...] = (Dataset, Checkpoint, Embeddings, Results)

_TO_TREE: dict[str, Callable[[Any], Tree]] = {
    Dataset.format: dataset.to_tree,
    Checkpoint.format: checkpoint.to_tree,
    Embeddings.format: embeddings.to_tree,
    Results.format: results.to_tree,
}
_FROM_TREE: dict[str, Callable[[Tree], Record]] = {
    Dataset.format: dataset.from_tree,
    Checkpoint.format: checkpoint.from_tree,
    Embeddings.format: embeddings.from_tree,
    Results.format: results.from_tree,
}


def to_tree(record: Record) -> Tree:
    """The tree of a record, without its provenance."""
    return _TO_TREE[record.format](record)


def from_tree(tree: Tree) -> Record:
    """The record of a tree whose outline has been checked. Raises TlcliError for wrong values."""
    old = tree.has("", "format_version") and tree.get("", "format_version") == 1
    checks.check_values((version_1.TRANSLATED if old else schema.FORMATS)[tree.format], tree.datasets)
    return _FROM_TREE[tree.format](tree)


def check_tree(tree: Tree) -> None:
    """Refuse to write a tree that reading would refuse. Raises TlcliError."""
    outline = {path: (digest.dtype_of(data), digest.shape_of(data)) for path, data in tree.datasets.items()}
    checks.check_names({*tree.datasets, *tree.attributes})
    checks.check_outline(schema.FORMATS[tree.format], outline, tree.attributes)
    from_tree(tree)
