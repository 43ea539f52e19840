"""The checkpoint format: record to tree and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.checks import MOST_SAMPLES
from tlcli.store.common import check_counts, check_labels, put_classes, put_series, take_classes, take_series
from tlcli.store.records import Checkpoint
from tlcli.store.tree import Tree

CHANNEL_ORDERS = ("rgb", "bgr")


def to_tree(record: Checkpoint) -> Tree:
    tree = Tree(Checkpoint.format)
    tree.set("", "architecture", record.architecture)
    tree.set_json("", "options", record.options)
    tree.set("", "plugin", record.plugin)
    tree.set("", "plugin_sha256", record.plugin_sha256)
    tree.set_json("", "input_shape", list(record.input_shape))
    tree.set("", "channel_order", record.channel_order)
    tree.set("", "source", record.source)
    tree.set_json("", "recipe", record.recipe)
    tree.set("", "seed", int(record.seed))
    tree.set("", "samples_seen", int(record.samples_seen))
    tree.set("", "complete", int(record.complete))
    tree.datasets["preprocessing/mean"] = np.asarray(record.mean, np.float32)
    tree.datasets["preprocessing/std"] = np.asarray(record.std, np.float32)
    if record.class_names:
        put_classes(tree, record.class_names, record.class_original)
    if record.train_source_index is not None:
        tree.datasets["train/source_index"] = np.asarray(record.train_source_index, np.int64)
    if record.notes:
        tree.datasets["notes"] = list(record.notes)
    tree.put_ordered("weights", record.weights)
    tree.put_ordered("state", record.state)
    put_series(tree, "history", record.history)
    if record.test_predictions is not None:
        tree.datasets["test/predictions"] = np.asarray(record.test_predictions, np.int64)
    return tree


def from_tree(tree: Tree) -> Checkpoint:
    """The checkpoint of a tree. Raises TlcliError if its parts contradict each other."""
    headless = "classes/names" not in tree.datasets
    names, original = ([], np.zeros(0, np.int64)) if headless else take_classes(tree)
    order = tree.get("", "channel_order")
    if order not in CHANNEL_ORDERS:
        raise TlcliError(
            f"The attribute 'channel_order' is {order!r:.60}; expected {' or '.join(CHANNEL_ORDERS)}."
        )
    check_counts({"seed": tree.get("", "seed")}, "the file")
    check_counts({"samples_seen": tree.get("", "samples_seen")}, "the file", MOST_SAMPLES)
    predictions = tree.datasets.get("test/predictions")
    if predictions is not None:
        check_labels(predictions, len(names), "test/predictions")
    return Checkpoint(
        architecture=tree.get("", "architecture"),
        options=tree.get_json("", "options"),
        input_shape=_input_shape(tree.get_json("", "input_shape"), len(tree.datasets["preprocessing/mean"])),
        class_names=names,
        class_original=original,
        mean=tree.datasets["preprocessing/mean"],
        std=tree.datasets["preprocessing/std"],
        weights=tree.take_ordered("weights"),
        recipe=tree.get_json("", "recipe"),
        seed=tree.get("", "seed"),
        samples_seen=tree.get("", "samples_seen"),
        complete=bool(tree.get("", "complete")),
        history=take_series(tree, "history"),
        test_predictions=predictions,
        state=tree.take_ordered("state"),
        channel_order=order,
        source=tree.get("", "source"),
        train_source_index=tree.datasets.get("train/source_index"),
        plugin=tree.get("", "plugin"),
        plugin_sha256=tree.get("", "plugin_sha256"),
        notes=list(tree.datasets.get("notes", [])),
    )


def _input_shape(value: Any, channels: int) -> tuple[int, int, int]:
    fine = len(value) == 3 and all(type(n) is int and 0 < n < 2**20 for n in value) and value[2] == channels
    if not fine:
        raise TlcliError(
            f"The attribute 'input_shape' is {value!r:.60}; expected height, width and {channels} channels."
        )
    return value[0], value[1], value[2]
