"""Tables: one dataset for each column, all of one length. Missing values are -1, NaN or an empty text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlcli.store.elements import Array
from tlcli.store.schema import RESULTS
from tlcli.store.tree import Tree, from_json, to_json


def columns(group: str) -> dict[str, Array]:
    """The columns of a table of results, by name."""
    return {
        name: rule
        for rule in RESULTS.arrays
        for above, _, name in [rule.path.rpartition("/")]
        if above == group
    }


def put_table(tree: Tree, group: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store rows, each with a value for every column or None. Without rows there is no table."""
    for name, rule in columns(group).items() if rows else ():
        if rule.required == "if known" and all(row[name] is None for row in rows):
            continue
        values = [_store(rule, row[name], name) for row in rows]
        path = f"{group}/{name}"
        tree.datasets[path] = values if rule.dtype == "string" else np.array(values, rule.dtype)


def take_table(tree: Tree, group: str) -> list[dict[str, Any]]:
    """The rows that `put_table` stored."""
    taken = {
        name: [_take(rule, value) for value in _plain(tree.datasets[f"{group}/{name}"])]
        for name, rule in columns(group).items()
        if f"{group}/{name}" in tree.datasets
    }
    return [dict(zip(taken, row, strict=True)) for row in zip(*taken.values(), strict=True)]


def _plain(data: Any) -> list[Any]:
    return data if isinstance(data, list) else data.tolist()


def _store(rule: Array, value: Any, name: str) -> Any:
    if rule.values == "objects":
        return to_json(value, name)
    if rule.dtype == "string":
        return str(value)
    if value is None:
        return -1 if rule.dtype == "int64" else math.nan
    return int(value) if rule.dtype == "int64" else float(value)


def _take(rule: Array, value: Any) -> Any:
    if rule.values == "objects":
        return from_json(value, rule.path)
    missing = (rule.values == "count" and value == -1) or (rule.dtype == "float64" and math.isnan(value))
    return None if missing else value
