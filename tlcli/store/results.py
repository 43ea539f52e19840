"""The results format: record to tree and back.

Runs, neighbours, rankings and targets are tables. The arrays of row i of a table are in `trainings/i`,
`sweeps/i`, `tests/i`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.common import check_labels, put_series, take_series
from tlcli.store.records import Neighbours, Ranking, Results, Run, Target
from tlcli.store.tables import put_table, take_table
from tlcli.store.tree import Tree

KEPT_BITS = 12
"""Significant bits of a logit: an error of 0.01 % of its distance to the largest. Gzip removes the other
bits, which are zero, so that a logit takes about as much space as a float16, which MATLAB cannot read."""

_RUN_ARRAYS, _SWEEP, _TEST = "trainings", "sweeps", "tests"


def to_tree(record: Results) -> Tree:
    """The tree of results. Raises TlcliError for two runs of one dataset, arm and number."""
    keys = [run.key for run in record.runs]
    if len(set(keys)) < len(keys):
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise TlcliError(f"Two runs are called {twice!r}; expected one for each dataset, arm and number.")
    return build_tree(record)


def build_tree(record: Results) -> Tree:
    """The tree of results, without a check of the names of runs."""
    tree = Tree(Results.format)
    tree.set_json("", "recipe", record.recipe)
    put_table(tree, "runs", [run_row(run) for run in record.runs])
    put_table(tree, "neighbours", [neighbours_row(found) for found in record.neighbours])
    put_table(tree, "rankings", [vars(ranking) for ranking in record.rankings])
    put_table(tree, "targets", [vars(target) for target in record.targets.values()])
    for number, run in enumerate(record.runs):
        _put_run(tree, f"{_RUN_ARRAYS}/{number}", run)
    for number, found in enumerate(record.neighbours):
        _put_sweep(tree, f"{_SWEEP}/{number}", found)
    for number, target in enumerate(record.targets.values()):
        group = f"{_TEST}/{number}"
        tree.datasets[f"{group}/class_names"] = [str(name) for name in target.class_names]
        tree.datasets[f"{group}/labels"] = np.asarray(target.test_labels, np.int64)
        tree.datasets[f"{group}/source_index"] = np.asarray(target.test_source_index, np.int64)
    return tree


def run_row(run: Run) -> dict[str, Any]:
    """A row of the table `runs`."""
    return {**vars(run), **_last(run.history)}


def neighbours_row(found: Neighbours) -> dict[str, Any]:
    """A row of the table `neighbours`."""
    return {
        **vars(found),
        "arm": found.arm,
        "cv_accuracy": found.cv_accuracy,
        "test_accuracy": found.test_accuracy,
    }


def _last(history: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """The last value of a quantity, which the table repeats so that it can be read alone."""
    return {
        name: float(history[name][-1]) if name in history and len(history[name]) else None
        for name in ("test_accuracy", "test_loss")
    }


def _put_run(tree: Tree, group: str, run: Run) -> None:
    put_series(tree, f"{group}/history", run.history)
    if len(run.predictions):
        tree.datasets[f"{group}/test/predictions"] = np.asarray(run.predictions, np.int64)
    if run.logits is not None:
        tree.datasets[f"{group}/test/logits"] = shorten_logits(run.logits)


def shorten_logits(logits: np.ndarray) -> np.ndarray:
    """Logits minus the largest of each image, rounded to `KEPT_BITS` significant bits: float32, N x classes.

    The softmax does not change. The largest logit stays the largest: it becomes 0 before the rounding.
    """
    shifted = np.asarray(logits - logits.max(axis=1, keepdims=True), np.float32)
    dropped = 24 - KEPT_BITS
    bits = shifted.view(np.uint32)
    half = np.uint32((1 << (dropped - 1)) - 1) + ((bits >> np.uint32(dropped)) & np.uint32(1))
    kept = np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)
    return ((bits + half) & kept).view(np.float32)


def _put_sweep(tree: Tree, group: str, found: Neighbours) -> None:
    arrays = {
        "k": np.asarray(found.ks, np.int64),
        "cv_accuracy": np.asarray(found.cv_accuracies, np.float64),
        "test_accuracy": np.asarray(found.test_accuracies, np.float64),
        "predictions": np.asarray(found.predictions, np.int64),
    }
    tree.datasets.update({f"{group}/{name}": array for name, array in arrays.items() if len(array)})


def from_tree(tree: Tree) -> Results:
    """The results of a tree. Raises TlcliError if tables and arrays do not fit each other."""
    tables = {group: take_table(tree, group) for group in ("runs", "neighbours", "rankings", "targets")}
    arrays = {
        group: _by_number(tree, group, len(tables[table]))
        for group, table in ((_RUN_ARRAYS, "runs"), (_SWEEP, "neighbours"), (_TEST, "targets"))
    }
    rows = zip(tables["targets"], arrays[_TEST], strict=True)
    targets = {row["name"]: _take_target(row, part, i) for i, (row, part) in enumerate(rows)}
    rows = zip(tables["runs"], arrays[_RUN_ARRAYS], strict=True)
    runs = [_take_run(row, part, f"{_RUN_ARRAYS}/{i}", targets) for i, (row, part) in enumerate(rows)]
    rows = zip(tables["neighbours"], arrays[_SWEEP], strict=True)
    found = [_take_neighbours(row, part, f"{_SWEEP}/{i}", targets) for i, (row, part) in enumerate(rows)]
    rankings = [_take_ranking(row, i, targets) for i, row in enumerate(tables["rankings"])]
    return Results(runs, targets, tree.get_json("", "recipe"), neighbours=found, rankings=rankings)


def _take_ranking(row: dict[str, Any], number: int, targets: dict[str, Target]) -> Ranking:
    if row["dataset"] not in targets:
        raise TlcliError(
            f"Row {number} of 'rankings/dataset' names {row['dataset']!r:.60}, which is not a target."
        )
    return Ranking(**row)


def _by_number(tree: Tree, group: str, rows: int) -> list[Tree]:
    """One small tree for each row of a table, with the arrays in the group of its number."""
    parts = [Tree(tree.format) for _ in range(rows)]
    names = {str(number): part for number, part in enumerate(parts)}
    for path, data in tree.below(group).items():
        number, _, rest = path.partition("/")
        if number not in names:
            raise TlcliError(f"It holds {group}/{number}, but the table has {rows} rows.")
        names[number].datasets[rest] = data
    return parts


def _take_target(row: dict[str, Any], arrays: Tree, number: int) -> Target:
    if "labels" not in arrays.datasets:
        raise TlcliError(f"{_TEST}/{number}/labels is missing.")
    names, labels = arrays.datasets["class_names"], arrays.datasets["labels"]
    check_labels(labels, len(names), f"{_TEST}/{number}/labels")
    return Target(
        class_names=names, test_labels=labels, test_source_index=arrays.datasets["source_index"], **row
    )


def _take_run(row: dict[str, Any], arrays: Tree, where: str, targets: dict[str, Target]) -> Run:
    history = take_series(arrays, "history")
    _check_repeated(row, _last(history), where)
    predictions = _take_predictions(row, arrays.datasets.get("test/predictions"), where, targets)
    logits = arrays.datasets.get("test/logits")
    if logits is not None:
        expected = (len(targets[row["dataset"]].test_labels), len(targets[row["dataset"]].class_names))
        if logits.shape != expected or len(predictions) != len(logits):
            raise TlcliError(f"{where}/test/logits has the shape {logits.shape}; expected {expected}.")
        given = logits[np.arange(len(logits)), predictions]
        if (given < logits.max(axis=1)).any():
            raise TlcliError(f"{where}/test/logits has another largest class than the predictions.")
    row |= {name: present_arm(row[name]) for name in ("arm", "selected")}
    row["candidates"] = {present_arm(arm): scores for arm, scores in row["candidates"].items()}
    return Run(**row, history=history, predictions=predictions, logits=logits)


def present_arm(text: str) -> str:
    """The present spelling of an arm: `solved` of `anchored` was called `probe`, as in `lp-ft`."""
    return re.sub(r"^(anchored:(?:.*,)?)probe=", r"\1solved=", text)


def _take_neighbours(row: dict[str, Any], arrays: Tree, where: str, targets: dict[str, Target]) -> Neighbours:
    repeated = {name: row.pop(name) for name in ("arm", "cv_accuracy", "test_accuracy")}
    row["mirrored"] = bool(row["mirrored"])
    found = Neighbours(
        **row,
        predictions=_take_predictions(row, arrays.datasets.get("predictions"), where, targets),
        ks=arrays.datasets.get("k", np.zeros(0, np.int64)),
        cv_accuracies=arrays.datasets.get("cv_accuracy", np.zeros(0)),
        test_accuracies=arrays.datasets.get("test_accuracy", np.zeros(0)),
    )
    _check_repeated(repeated, neighbours_row(found), where)
    return found


def _check_repeated(row: dict[str, Any], derived: Mapping[str, Any], where: str) -> None:
    """Remove from a row the values that repeat the arrays. Raises TlcliError if they differ."""
    for name in [name for name in derived if name in row]:
        known = derived[name]
        known = None if isinstance(known, float) and np.isnan(known) else known
        if (value := row.pop(name)) != known:
            raise TlcliError(f"{where} has {name} {known!r:.60}, and its row in the table {value!r:.60}.")


def _take_predictions(
    row: dict[str, Any], predictions: np.ndarray | None, where: str, targets: dict[str, Target]
) -> np.ndarray:
    name = row["dataset"]
    if name not in targets:
        raise TlcliError(f"{where} names the dataset {name!r:.60}, which is not among the targets.")
    if predictions is None:
        return np.zeros(0, np.int64)
    target = targets[name]
    if len(predictions) != len(target.test_labels):
        raise TlcliError(
            f"{where} has {len(predictions)} predictions; expected {len(target.test_labels)}, one for each "
            f"test image of {name}."
        )
    check_labels(predictions, len(target.class_names), f"{where}/predictions")
    return predictions
