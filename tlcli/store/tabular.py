"""The content of files as tidy tables: a dictionary of columns of equal length, None for missing values.

Other programs read them: `tlcli dump` writes them as CSV, `Results.to_dataframe` makes them a
`pandas.DataFrame`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from tlcli.errors import UsageError
from tlcli.store.records import Checkpoint, Neighbours, Record, Results, Run
from tlcli.store.results import neighbours_row, run_row
from tlcli.store.tables import columns
from tlcli.text import did_you_mean, escape_csv

Row = dict[str, Any]
Table = dict[str, list[Any]]

WHO = ("dataset", "size", "arm", "run", "seed")
"""The columns that identify a run, in every table of runs."""


def names(record: Record) -> list[str]:
    """The tables that a record has, the main one first."""
    return list(_TABLES[record.format])


def table(record: Record, name: str = "") -> Table:
    """One table of a record; the main one without a name.

    Raises:
        UsageError: The record has no table of that name.
    """
    known = _TABLES[record.format]
    if name and name not in known:
        has = ", ".join(known)
        noun = record.format.removeprefix("tlcli-")
        raise UsageError(f"`table`: received {name!r}; a file of kind {noun} has the tables {has}.")
    rows = list(known[name or next(iter(known))](record))
    every = dict.fromkeys(column for row in rows for column in row)
    return {column: [row.get(column) for row in rows] for column in every}


def select(found: Table, wanted: Sequence[str]) -> Table:
    """Some columns of a table, in the order given.

    Raises:
        UsageError: The table has no such column.
    """
    for name in wanted:
        if name not in found:
            hint = did_you_mean(name, list(found)) or f" The table has {', '.join(found)}."
            raise UsageError(f"`columns`: there is no column {name!r}.{hint}")
    return {name: found[name] for name in wanted}


def write_csv(stream: TextIO, found: Table) -> None:
    """Write a table: a line of names, then a line for each row.

    A missing value is an empty field. Numbers have `.` and an ASCII minus; true and false are 1 and 0; nested
    values are JSON. A quote precedes a text that a spreadsheet would compute."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(found)
    writer.writerows([_text(value) for value in row] for row in zip(*found.values(), strict=True))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str):
        return escape_csv(value)
    return repr(value)


def _plain(value: Any) -> Any:
    """A plain value; None for NaN, an empty text and an empty object."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if value == "" or value == {} else value


def _runs(record: Results) -> Iterator[Row]:
    """A row for each run with all its values; the shared recipe is in columns `recipe_...`."""
    shared = {f"recipe_{name}": _plain(value) for name, value in record.recipe.items()}
    for run in record.runs:
        row = run_row(run)
        yield {name: _plain(row[name]) for name in columns("runs")} | shared


def _identify_run(run: Run) -> Row:
    return {name: getattr(run, name) for name in WHO}


def _history(record: Results) -> Iterator[Row]:
    for run in record.runs:
        yield from ({**_identify_run(run), **row} for row in _along(run.history))


def _along(series: Mapping[str, np.ndarray]) -> Iterator[Row]:
    """A row for each step of arrays of one length."""
    for values in zip(*series.values(), strict=True):
        yield {name: _plain(value) for name, value in zip(series, values, strict=True)}


def _neighbours(record: Results) -> Iterator[Row]:
    for found in record.neighbours:
        row = neighbours_row(found)
        yield {name: _plain(row[name]) for name in columns("neighbours")}


def _sweeps(record: Results) -> Iterator[Row]:
    for found in record.neighbours:
        for i, k in enumerate(found.ks.tolist()):
            measured = {"cv_accuracy": found.cv_accuracies, "test_accuracy": found.test_accuracies}
            yield {
                "dataset": found.dataset,
                "size": found.size,
                "arm": found.arm,
                "k": k,
                **{name: _plain(values[i]) if i < len(values) else None for name, values in measured.items()},
            }


def _rankings(record: Results) -> Iterator[Row]:
    for ranking in record.rankings:
        yield {name: _plain(getattr(ranking, name)) for name in columns("rankings")}


def _targets(record: Results) -> Iterator[Row]:
    for target in record.targets.values():
        yield {
            **{name: _plain(getattr(target, name)) for name in columns("targets")},
            "classes": len(target.class_names),
            "test_images": len(target.test_labels),
        }


def _predictions(record: Results) -> Iterator[Row]:
    """A row for each run, or classification by neighbours, and test image."""
    both: list[Run | Neighbours] = [*record.runs, *record.neighbours]
    for one in both:
        target = record.targets[one.dataset]
        logits = one.logits if isinstance(one, Run) else None
        sure = _confidence(logits) if logits is not None else [None] * len(one.predictions)
        run = _identify_run(one) if isinstance(one, Run) else {n: getattr(one, n, None) for n in WHO}
        for i, predicted in enumerate(one.predictions.tolist()):
            label = int(target.test_labels[i])
            yield {
                **run,
                "source_index": int(target.test_source_index[i]),
                "class": target.class_names[label],
                "predicted": target.class_names[predicted],
                "right": predicted == label,
                "confidence": _plain(sure[i]),
            }


def _confidence(logits: np.ndarray) -> list[float]:
    """The softmax of the predicted class."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return (1 / np.exp(shifted).sum(axis=1)).tolist()


def _curves(record: Checkpoint) -> Iterator[Row]:
    yield from _along(record.history)


def _images(record: Any) -> Iterator[Row]:
    """A row for each image of a dataset, or vector of embeddings."""
    for name, part in record.parts.items():
        for label, position in zip(part.labels.tolist(), part.source_index.tolist(), strict=True):
            yield {"part": name, "source_index": position, "label": label, "class": record.class_names[label]}


_TABLES: dict[str, dict[str, Callable[[Any], Iterable[Row]]]] = {
    "tlcli-results": {
        "runs": _runs,
        "history": _history,
        "neighbours": _neighbours,
        "sweeps": _sweeps,
        "rankings": _rankings,
        "targets": _targets,
        "predictions": _predictions,
    },
    "tlcli-checkpoint": {"history": _curves},
    "tlcli-dataset": {"images": _images},
    "tlcli-embeddings": {"images": _images},
}
