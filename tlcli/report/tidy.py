"""Tidy tables for other programs: a row for each run, each measurement along a training, each answer."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from tlcli.report.columns import percent
from tlcli.report.document import Column, Table
from tlcli.report.study import Entry, Study
from tlcli.report.study.entry import last
from tlcli.report.words import clean
from tlcli.text import escape_csv

MEASURED = (
    ("train_loss", "training loss", 1.0),
    ("train_accuracy", "accuracy while training (%)", 100.0),
    ("test_loss", "test loss", 1.0),
    ("test_accuracy", "test accuracy (%)", 100.0),
)
Value = Callable[[Entry], Any]
IDENTITY: tuple[tuple[Column, Value], ...] = (
    (Column("dataset", "training set"), lambda e: clean(e.target.name)),
    (Column("size", "training images", "count"), lambda e: e.size),
    (Column("arm", "arm"), lambda e: e.arm),
    (Column("variant", "variant"), lambda e: e.variant),
    (Column("base", "base"), lambda e: clean(e.base) if e.base else ""),
    (Column("run", "run", "count"), lambda e: e.number),
    (Column("seed", "seed", "count"), lambda e: e.seed),
)
"""What a run is told apart by, beside its task."""
KNOWN: tuple[tuple[Column, Value], ...] = (
    (Column("method", "method"), lambda e: e.method),
    (Column("relation", "relation"), lambda e: e.relation),
    (Column("copy", "layers copied", "count"), lambda e: e.copied or None),
    (Column("samples", "images seen", "count"), lambda e: e.samples or None),
    (Column("run_seconds", "seconds", "number", 3), lambda e: e.seconds),
    (Column("run_accuracy", "test accuracy (%)", "percent", 4), lambda e: percent(e.accuracy)),
    (Column("run_train", "training accuracy (%)", "percent", 4), lambda e: percent(e.train_accuracy)),
    (Column("test_loss", "test loss", "number", 5), lambda e: last(e.history, "test_loss")),
    (Column("train_loss", "training loss", "number", 5), lambda e: last(e.history, "train_loss")),
    (Column("run_before", "source before (%)", "percent", 4), lambda e: percent(e.before)),
    (Column("run_after", "source after (%)", "percent", 4), lambda e: percent(e.after)),
    (Column("parameters", "parameters", "count"), lambda e: e.parameters or None),
    (Column("trained", "trained parameters", "count"), lambda e: e.trained),
    (Column("k", "k", "count"), lambda e: e.k),
    (Column("precision", "precision"), lambda e: e.precision),
    (Column("file", "file"), lambda e: e.file),
)
TASK = Column("task", "task")


def tables(study: Study) -> list[Table]:
    """`runs`, `curves` and, on request, `predictions` (without the rows, which `predictions` writes)."""
    if not study.entries:
        return []
    answers = Table("predictions", "The answer of every run for every test image.", [], [], shown=False)
    return [_runs(study), _curves(study), *([answers] if study.options.predictions else [])]


def _identities(study: Study) -> list[tuple[Entry, dict[str, Any]]]:
    names = {id(e): t.name for t in study.tasks for e in t.entries}
    return [
        (e, {"task": names.get(id(e), clean(e.target.name))} | {c.key: value(e) for c, value in IDENTITY})
        for e in study.entries
    ]


def _runs(study: Study) -> Table:
    rows = [row | {c.key: value(e) for c, value in KNOWN} for e, row in _identities(study)]
    columns = [TASK, *(c for c, _ in (*IDENTITY, *KNOWN))]
    return Table(
        "runs", "Every run: what it is, its accuracies, what it forgot, its time.", columns, rows, shown=False
    )


def _curves(study: Study) -> Table:
    rows: list[dict[str, Any]] = []
    for e, row in _identities(study):
        seen = e.history.get("samples_seen", ())
        there = [(q, scale) for q, _, scale in MEASURED if q in e.history]
        kept = {q: (e.history[q], scale) for q, scale in there if len(e.history[q]) == len(seen)}
        for i, at in enumerate(seen):
            rows.append(row | {"seen": at} | {f"curve_{q}": scale * v[i] for q, (v, scale) in kept.items()})
    columns = [
        TASK,
        *(c for c, _ in IDENTITY),
        Column("seen", "images seen", "count"),
        *(Column(f"curve_{q}", label, "percent" if s > 1 else "number", 4) for q, label, s in MEASURED),
    ]
    return Table("curves", "Every measurement of every run.", columns, rows, shown=False)


def predictions(study: Study) -> str:
    """A CSV file with a row for each run and test image: what it is, and what the run says it is."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head = [TASK, *(c for c, _ in IDENTITY)]
    more = ["position in the published set", "label", "prediction"]
    writer.writerow([*(c.label for c in head), *more])
    for e, row in _identities(study):
        if e.correct is not None:
            run = [escape_csv("" if row[c.key] is None else row[c.key]) for c in head]
            names = dict(enumerate(escape_csv(clean(n)) for n in e.target.class_names))
            images, labels = e.target.test_source_index.tolist(), e.target.test_labels.tolist()
            told = ([names.get(i, i) for i in x] for x in (labels, e.predictions.tolist()))
            for image in zip(images, *told, strict=True):
                writer.writerow([*run, *image])
    return buffer.getvalue()
