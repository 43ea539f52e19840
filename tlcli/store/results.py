"""The results format: record to tree and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.common import check_counts, check_labels, put_series, take_series
from tlcli.store.records import Results, Run, Target
from tlcli.store.tree import Tree

_TEXTS = ("method", "arm", "dataset")
_COUNTS = ("size", "run", "seed", "parameters", "trainable_parameters")

# Of a run's further values those that are computed with.
_MORE_TEXTS = {"architecture", "base", "base_sha256", "relation", "layer", "metric", "weights", "selected_on"}
_MORE_COUNTS = {"copy", "freeze", "batch_size", "samples", "k", "left_out"}
_MORE_SHARES = {"cv_accuracy", "source_accuracy_before", "source_accuracy_after"}
_UNKNOWN_OR_SHARES = {"train_accuracy", "base_accuracy"}


def to_tree(record: Results) -> Tree:
    tree = Tree(Results.format)
    tree.set_json("", "recipe", record.recipe)
    for position, run in enumerate(record.runs):
        _put_run(tree, position, run)
    for position, target in enumerate(record.targets.values()):
        _put_target(tree, position, target)
    return tree


def _put_run(tree: Tree, position: int, run: Run) -> None:
    group = f"runs/{run.key}"
    if group in tree.attributes:
        raise TlcliError(f"Two runs have the key {run.key!r}; expected each key once.")
    tree.set(group, "position", position)
    for name in _TEXTS:
        tree.set(group, name, str(getattr(run, name)))
    for name in _COUNTS:
        tree.set(group, name, int(getattr(run, name)))
    tree.set_json(group, "attributes", run.attributes)
    put_series(tree, f"{group}/history", run.history)
    put_series(tree, f"{group}/curves", run.curves)
    if len(run.predictions):
        tree.datasets[f"{group}/test/predictions"] = np.asarray(run.predictions, np.int64)


def _put_target(tree: Tree, position: int, target: Target) -> None:
    group = f"targets/{target.name}"
    tree.set(group, "position", position)
    tree.set(group, "content_sha256", target.content_sha256)
    tree.set(group, "train_size", int(target.train_size))
    tree.set(group, "source", target.source)
    tree.datasets[f"{group}/classes/names"] = [str(name) for name in target.class_names]
    tree.datasets[f"{group}/test/labels"] = np.asarray(target.test_labels, np.int64)
    tree.datasets[f"{group}/test/source_index"] = np.asarray(target.test_source_index, np.int64)


def from_tree(tree: Tree) -> Results:
    """The results of a tree. Raises TlcliError where runs and targets do not fit each other."""
    targets = {name: _take_target(tree, name) for name in _members(tree, "targets")}
    parts = _by_run(tree)
    runs = [_take_run(parts[key], key, targets) for key in _members(tree, "runs")]
    return Results(runs, targets, tree.get_json("", "recipe"))


def _members(tree: Tree, group: str) -> list[str]:
    """The names directly below a group, in the order of their attribute `position`."""
    prefix = group + "/"
    found = {
        path: attributes
        for path, attributes in tree.attributes.items()
        if path.startswith(prefix) and "/" not in path[len(prefix) :]
    }
    return [path[len(prefix) :] for path in sorted(found, key=lambda path: found[path]["position"])]


def _by_run(tree: Tree) -> dict[str, Tree]:
    """One small tree for each run, so that a run is looked up without a search through all."""
    runs: dict[str, Tree] = {}
    for path, attributes in tree.attributes.items():
        if path.startswith("runs/"):
            key = path.split("/")[1]
            runs.setdefault(key, Tree(tree.format)).attributes[path[len("runs/") + len(key) :]] = attributes
    for path, data in tree.datasets.items():
        if path.startswith("runs/"):
            _, key, rest = path.split("/", 2)
            runs.setdefault(key, Tree(tree.format)).datasets[rest] = data
    return runs


def _take_run(tree: Tree, key: str, targets: dict[str, Target]) -> Run:
    name = tree.get("", "dataset")
    if name not in targets:
        raise TlcliError(f"runs/{key} names the dataset {name!r:.60}, which is not among the targets.")
    predictions = tree.datasets.get("test/predictions", np.zeros(0, np.int64))
    if len(predictions):
        target = targets[name]
        if len(predictions) != len(target.test_labels):
            raise TlcliError(
                f"runs/{key} has {len(predictions)} predictions; expected "
                f"{len(target.test_labels)}, one for each test image of {name}."
            )
        check_labels(predictions, len(target.class_names), f"runs/{key}/test/predictions")
    texts = {name: tree.get("", name) for name in _TEXTS}
    counts = {name: tree.get("", name) for name in _COUNTS}
    check_counts(counts, f"runs/{key}")
    attributes = tree.get_json("", "attributes")
    _check_attributes(attributes, f"runs/{key}")
    history, curves = take_series(tree, "history"), take_series(tree, "curves")
    if curves.get("k", np.zeros(0, np.int64)).dtype.kind != "i":
        raise TlcliError(f"runs/{key}/curves/k has the type {curves['k'].dtype}; expected int64.")
    return Run(
        key=key,
        **texts,
        **counts,
        attributes=attributes,
        history=history,
        predictions=predictions,
        curves=curves,
    )


def _check_attributes(attributes: dict[str, Any], where: str) -> None:
    """Refuse what a reader would take for something else; names that are not known here may hold anything."""
    for name, value in attributes.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _MORE_TEXTS:
            fits, expected = isinstance(value, str), "a text"
        elif name in _MORE_COUNTS:
            fits, expected = number and isinstance(value, int) and value >= 0, "a count"
        elif name in _MORE_SHARES:
            fits, expected = number and 0 <= value <= 1, "a number from 0 to 1"
        elif name in _UNKNOWN_OR_SHARES:
            fits, expected = value is None or (number and 0 <= value <= 1), "a number from 0 to 1, or null"
        else:
            continue
        if not fits:
            raise TlcliError(f"the attribute {name!r} of {where} is {value!r:.60}; expected {expected}.")


def _take_target(tree: Tree, name: str) -> Target:
    group = f"targets/{name}"
    names = tree.datasets[f"{group}/classes/names"]
    labels = tree.datasets[f"{group}/test/labels"]
    check_labels(labels, len(names), f"{group}/test/labels")
    check_counts({"train_size": tree.get(group, "train_size")}, group)
    return Target(
        name,
        tree.get(group, "content_sha256"),
        tree.get(group, "train_size"),
        names,
        labels,
        tree.datasets[f"{group}/test/source_index"],
        tree.get(group, "source"),
    )
