"""Tidy tables for other programs: a row per run with all values, and the measurements during training."""

from __future__ import annotations

from typing import Any

from tlcli.report.columns import percent
from tlcli.report.document import Column, Table
from tlcli.report.study import Study
from tlcli.report.study.entry import last
from tlcli.report.words import clean

MEASURED = (
    ("train_loss", "training loss", 1.0),
    ("train_accuracy", "accuracy while training (%)", 100.0),
    ("test_loss", "test loss", 1.0),
    ("test_accuracy", "test accuracy (%)", 100.0),
)


def _name(name: str) -> str:
    return clean(name) if name else ""


def tables(study: Study) -> list[Table]:
    """`runs` and `curves`, as files alone."""
    return [_runs(study), _curves(study)] if study.entries else []


def _runs(study: Study) -> Table:
    names = {id(e): t.name for t in study.tasks for e in t.entries}
    rows: list[dict[str, Any]] = []
    for e in study.entries:
        row = {
            "task": names.get(id(e), clean(e.target.name)),
            "dataset": clean(e.target.name),
            "size": e.size,
        }
        row |= {
            "arm": e.arm,
            "method": e.method,
            "variant": e.variant,
            "base": _name(e.base),
        }
        row |= {"relation": e.relation, "copy": e.copied or None, "run": e.number, "seed": e.seed}
        row |= {"samples": e.samples or None, "run_accuracy": percent(e.accuracy)}
        row |= {"run_train": percent(e.train_accuracy), "test_loss": last(e.history, "test_loss")}
        row |= {"run_before": percent(e.before), "run_after": percent(e.after)}
        row |= {"parameters": e.parameters or None, "trained": e.trained, "k": e.k, "precision": e.precision}
        row |= {"file": e.file}
        rows.append(row)
    columns = [
        Column("task", "task"),
        Column("dataset", "training set"),
        Column("size", "training images", "count"),
        Column("arm", "arm"),
        Column("method", "method"),
        Column("variant", "variant"),
        Column("base", "base"),
        Column("relation", "relation"),
        Column("copy", "layers copied", "count"),
        Column("run", "run", "count"),
        Column("seed", "seed", "count"),
        Column("samples", "images seen", "count"),
        Column("run_accuracy", "test accuracy (%)", "percent", 4),
        Column("run_train", "training accuracy (%)", "percent", 4),
        Column("test_loss", "test loss", "number", 5),
        Column("run_before", "source before (%)", "percent", 4),
        Column("run_after", "source after (%)", "percent", 4),
        Column("parameters", "parameters", "count"),
        Column("trained", "trained parameters", "count"),
        Column("k", "k", "count"),
        Column("precision", "precision"),
        Column("file", "file"),
    ]
    return Table("runs", "Every run.", columns, rows, shown=False)


def _curves(study: Study) -> Table:
    names = {id(e): t.name for t in study.tasks for e in t.entries}
    rows: list[dict[str, Any]] = []
    for e in study.entries:
        seen = e.history.get("samples_seen", ())
        there = [(q, scale) for q, _, scale in MEASURED if q in e.history]
        kept = {q: (e.history[q], scale) for q, scale in there if len(e.history[q]) == len(seen)}
        for i, at in enumerate(seen):
            row: dict[str, Any] = {
                "task": names.get(id(e), clean(e.target.name)),
                "size": e.size,
                "arm": e.arm,
            }
            row |= {"variant": e.variant, "dataset": clean(e.target.name), "base": _name(e.base)}
            row |= {"run": e.number, "seed": e.seed}
            rows.append(row | {"seen": at} | {f"curve_{q}": scale * v[i] for q, (v, scale) in kept.items()})
    columns = [
        Column("task", "task"),
        Column("dataset", "training set"),
        Column("size", "training images", "count"),
        Column("arm", "arm"),
        Column("variant", "variant"),
        Column("base", "base"),
        Column("run", "run", "count"),
        Column("seed", "seed", "count"),
        Column("seen", "images seen", "count"),
        *(Column(f"curve_{q}", label, "percent" if s > 1 else "number", 4) for q, label, s in MEASURED),
    ]
    return Table("curves", "Every measurement of every run.", columns, rows, shown=False)
