"""Tidy tables for other programs: a row for each run, each measurement along a training, each answer."""

from __future__ import annotations

import csv
import io
from typing import Any

from tlcli.report.columns import MEASURED, percent
from tlcli.report.document import Column, Table, rows_of
from tlcli.report.study import Study
from tlcli.report.study.entry import last
from tlcli.report.words import clean
from tlcli.text import escape_csv

IDENTITY = (
    Column("dataset", "training set", value=lambda e: clean(e.target.name)),
    Column("size", "training images", "count", value=lambda e: e.size),
    Column("arm", "arm", value=lambda e: e.arm),
    Column("variant", "variant", value=lambda e: e.variant),
    Column("base", "base", value=lambda e: clean(e.run.base) if e.run.base else ""),
    Column("run", "run", "count", value=lambda e: e.number),
    Column("seed", "seed", "count", value=lambda e: e.seed),
)
"""The columns that identify a run, beside its task."""
KNOWN = (
    Column("method", "method", value=lambda e: e.method),
    Column("relation", "relation", value=lambda e: e.training.relation),
    Column("copy", "layers copied", "count", value=lambda e: e.copied or None),
    Column("samples", "images seen", "count", value=lambda e: e.samples or None),
    Column("run_seconds", "seconds", "number", 3, value=lambda e: e.training.seconds),
    Column("run_accuracy", "test accuracy (%)", "percent", 4, value=lambda e: percent(e.accuracy)),
    Column("run_train", "training accuracy (%)", "percent", 4, value=lambda e: percent(e.train_accuracy)),
    Column("test_loss", "test loss", "number", 5, value=lambda e: last(e.history, "test_loss")),
    Column("train_loss", "training loss", "number", 5, value=lambda e: last(e.history, "train_loss")),
    Column("run_before", "source before (%)", "percent", 4, value=lambda e: percent(e.before)),
    Column("run_after", "source after (%)", "percent", 4, value=lambda e: percent(e.after)),
    Column("parameters", "parameters", "count", value=lambda e: e.parameters or None),
    Column("trained", "trained parameters", "count", value=lambda e: e.training.trainable_parameters),
    Column("k", "k", "count", value=lambda e: e.search.k or None),
    Column("precision", "precision", value=lambda e: e.precision),
    Column("file", "file", value=lambda e: e.file),
)


def tables(study: Study) -> list[Table]:
    """`runs`, `curves` and, on request, `predictions` (without the rows, which `predictions` writes)."""
    if not study.entries:
        return []
    answers = Table("predictions", "The answer of every run for every test image.", [], [], shown=False)
    return [_runs(study), _curves(study), *([answers] if study.options.predictions else [])]


def _identity(study: Study) -> list[Column]:
    """The columns that tell runs apart."""
    names = {id(e): t.name for t in study.tasks for e in t.entries}
    return [Column("task", "task", value=lambda e: names.get(id(e), clean(e.target.name))), *IDENTITY]


def _runs(study: Study) -> Table:
    columns = [*_identity(study), *KNOWN]
    caption = "Every run: what it is, its accuracies, what it forgot, its time."
    return Table("runs", caption, columns, rows_of(columns, study.entries), shown=False)


def _curves(study: Study) -> Table:
    identity = _identity(study)
    rows: list[dict[str, Any]] = []
    for e, row in zip(study.entries, rows_of(identity, study.entries), strict=True):
        seen = e.history.get("samples_seen", ())
        there = [(q, scale) for q, (_, _, scale) in MEASURED.items() if q in e.history]
        values = {f"curve_{q}": scale * e.history[q] for q, scale in there if len(e.history[q]) == len(seen)}
        for i, at in enumerate(seen):
            rows.append(row | {"seen": at} | {key: v[i] for key, v in values.items()})
    measured = (Column(f"curve_{q}", label, kind, 4) for q, (label, kind, _) in MEASURED.items())
    columns = [*identity, Column("seen", "images seen", "count"), *measured]
    return Table("curves", "Every measurement of every run.", columns, rows, shown=False)


def predictions(study: Study) -> str:
    """A CSV file with a row for each run and test image: its class, and the prediction of the run."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head = _identity(study)
    more = ["position in the published set", "label", "prediction"]
    writer.writerow([*(c.label for c in head), *more])
    for e, row in zip(study.entries, rows_of(head, study.entries), strict=True):
        if e.correct is not None:
            run = [escape_csv("" if row[c.key] is None else row[c.key]) for c in head]
            names = dict(enumerate(escape_csv(clean(n)) for n in e.target.class_names))
            images, labels = e.target.test_source_index.tolist(), e.target.test_labels.tolist()
            named = ([names.get(i, i) for i in x] for x in (labels, e.predictions.tolist()))
            for image in zip(images, *named, strict=True):
                writer.writerow([*run, *image])
    return buffer.getvalue()
