"""Further measures: accuracy by class, calibration, and confused classes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from tlcli.analysis import statistics
from tlcli.report.columns import cell_column, cell_table, percent, percents, summary_columns
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.single import draw_confusion
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.contrasts import pair_runs, repetitions, right_answers
from tlcli.report.words import listing, number, plural

MOST_ROWS = 30
"""The most classes of a table on the page."""


@section("measures", "More than accuracy", order=30, folded=True)
def more_measures(study: Study, task: Task) -> Iterable[Block]:
    """Balanced accuracy, macro F1, likelihood and calibration; and the accuracy of each class."""
    cells = [c for c in task.cells if c.classes]
    if not cells:
        return
    yield _measures(task, cells)
    size = max(c.size for c in cells)
    there = [c for c in cells if c.size == size]
    best = task.best(size, there)
    reference = next(
        (c for c in there if c.arm == task.reference and c.variant == best.variant and c is not best), None
    )
    if reference is not None:
        yield _class_differences(task, best, reference)
    yield _by_class(task, cells)


def _measures(task: Task, cells: list[Cell]) -> Table:
    d = task.digits
    columns = [
        cell_column("accuracy", d),
        *summary_columns("balanced", "balanced accuracy", "%", "percent", d, lambda c: c.balanced),
        *summary_columns("f1", "macro F1", "%", "percent", d, lambda c: c.macro_f1),
        *summary_columns("nll", "negative log-likelihood", "nats", "number", 3, lambda c: c.likelihood),
        *summary_columns("ece", "calibration error", "points", "number", d, lambda c: c.calibration),
    ]
    note = (
        "Balanced accuracy: the mean accuracy of the classes. Macro F1: the mean over the classes of the "
        "harmonic mean of precision and recall. Intervals are Student's over three or more runs, on these "
        "test images."
    )
    if any(c.likelihood for c in cells):
        note += (
            " Negative log-likelihood is of the true class; calibration error is the expected one over 15 "
            "bins of confidence (Guo et al. 2017): how far the networks' confidence is from the share that "
            "is right."
        )
    caption = "Measures that count every class alike, and how sure the networks are."
    return cell_table(task, "measures", caption, columns, cells, note)


def _by_class(task: Task, cells: list[Cell]) -> Table:
    """Accuracy of every class for every cell, as a file."""
    there = np.unique(task.target.test_labels).tolist()
    items = [(c, i) for c in cells for i in range(len(task.classes)) if i in there]
    columns = [Column("class", "class", value=lambda item: task.classes[item[1]])]
    label = "accuracy of the class"
    columns += summary_columns(
        "recall", label, "%", "percent", task.digits, lambda item: item[0].recall(item[1])
    )
    return cell_table(task, "classes", "Accuracy by class.", columns, items, of=itemgetter(0), shown=False)


def _class_differences(task: Task, best: Cell, reference: Cell) -> Table:
    """Class by class, the best arm against the reference; all classes are one family."""
    d = task.digits
    pairs = [
        p
        for p in pair_runs(best.runs, reference.runs)
        if p[0].correct is not None and p[1].correct is not None
    ]
    groups, labels = repetitions(pairs), best.runs[0].target.test_labels
    right = [right_answers([[pair[side] for pair in group] for group in groups]) for side in (0, 1)]
    there = np.unique(labels).tolist() if pairs else []
    rows: list[dict[str, Any]] = []
    for i in there:
        mask = labels == i
        sides = [answers[:, mask] for answers in right if answers is not None]
        c = statistics.compare(*sides)
        row: dict[str, Any] = {"class": task.classes[i], "images": int(mask.sum())}
        row |= {"first": percent(float(sides[0].mean())), "second": percent(float(sides[1].mean()))}
        row |= {"class_difference": 100 * c.difference}
        row |= {"class_interval": percents(c.interval(len(there))), "class_p": c.p(len(there))}
        rows.append(row)
    columns = [
        Column("class", "class"),
        Column("images", "test images", "count"),
        Column("first", f"{best.arm} (%)", "percent", d),
        Column("second", f"{reference.arm} (%)", "percent", d),
        Column("class_difference", "difference (points)", "points", d),
        Column("class_interval", "95 % interval (points)", "interval", d),
        Column("class_p", "p", "p"),
    ]
    note = "Interval and p value hold for all classes at once (Bonferroni)."
    if len(groups) == 1:
        note += " One run each: these are two networks."
    caption = f"Accuracy by class of {best.name} and of {reference.name}, at {best.where}, over paired runs."
    shown = len(rows) <= MOST_ROWS
    name = "class-differences"
    return Table(task.id(name), caption, columns, rows, note, shown, file=name, task=task.name)


@section("confusion", "Which classes are confused", order=32, folded=True)
def confusion(study: Study, task: Task) -> Iterable[Block]:
    """The matrix of the best arm at the largest size and of the arms asked for; a file has those of all."""
    cells = [c for c in task.cells if c.confusion is not None]
    if not cells:
        return
    size = max(c.size for c in cells)
    best = task.best(size, [c for c in cells if c.size == size])
    asked = [c for c in cells if c.size == size and c.arm in study.options.confusion and c is not best]
    for i, cell in enumerate([best, *asked]):
        runs = f", mean over {plural(len(cell.runs), 'run')}" if len(cell.runs) > 1 else ""
        caption = (
            f"Confusion matrix of {cell.name} at {cell.where}{runs}: of the test images of each true class "
            "(row), the percentage that was given each class (column)."
        )
        text = _describe(task, cell)
        name = task.id("confusion") + (f"-asked-{i}" if i else "")
        yield Chart(name, caption, f"Confusion matrix. {text}", partial(draw_confusion, cell, task.classes))
        yield Text(text)
    columns = [
        Column("true", "true class", value=lambda item: task.classes[item[1]]),
        Column("predicted", "predicted class", value=lambda item: task.classes[item[2]]),
        Column("images", "test images per run", "number", 2, value=lambda item: item[3]),
    ]
    items = [
        (c, i, j, float(c.confusion[i, j]))
        for c in cells
        if c.confusion is not None
        for i, j in np.argwhere(c.confusion > 0).tolist()
    ]
    caption = "Test images per run by true and predicted class."
    yield cell_table(task, "confusion", caption, columns, items, of=itemgetter(0), shown=False)


def _describe(task: Task, cell: Cell) -> str:
    """The most frequent confusions, in images per run."""
    counts = cell.confusion
    assert counts is not None
    names = task.classes
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:3]
    parts = [
        f"{names[i]} taken for {names[j]} ({number(wrong[i, j], 1)} of {round(counts[i].sum())})"
        for i, j in ((k // len(names), k % len(names)) for k in order)
        if wrong[i, j] > 0
    ]
    if not parts:
        return f"{cell.name} at {cell.where} makes no mistakes on the test images."
    where = f"{cell.name} at {cell.where}"
    return f"The most frequent confusions of {where}, in test images per run: {listing(parts)}."
