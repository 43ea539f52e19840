"""Nearest neighbours on embeddings: accuracy against k, and the k chosen without the test set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from tlcli.report.columns import cell_table
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.axes import MOST_PANELS, spread
from tlcli.report.plots.single import draw_neighbours
from tlcli.report.registry import section
from tlcli.report.study import Cell, Entry, Study, Task
from tlcli.report.study.entry import by
from tlcli.report.words import at_most, clean, count, listing, plural, points

MOST_TOLD = 6
"""Arms with a sentence of their own."""


@section("neighbours", "Nearest neighbours on the embeddings", order=24)
def neighbours(study: Study, task: Task) -> Iterable[Block]:
    """A panel per size and arm, and the table of the chosen k."""
    cells = [cell for c in task.cells if (cell := [e for e in c.runs if is_whole(e)])]
    panels = [group for cell in cells for group in by(cell, lambda e: tuple(e.search.ks)).values()]
    if not panels:
        return
    drawn = [panels[i] for i in spread(range(len(panels)), MOST_PANELS)]
    entries = [e for cell in cells for e in cell]
    caption = (
        "Accuracy of the k nearest neighbours against k: by leave-one-out on the training images (dashed), "
        "from which k was chosen (line and dot), and on the test images (solid). All panels share one scale."
    )
    if len(entries) > len(panels):
        caption += " Curves are means over the training sets of one size, each with a k of its own."
    if len(drawn) < len(panels):
        caption += f" Drawn are {len(drawn)} of {len(panels)} pairs of size and arm."
    text = _describe(task)
    yield Chart(
        task.id("neighbours"), caption, f"Accuracy against k. {text}", partial(draw_neighbours, drawn)
    )
    yield _table(task, entries)
    yield Text(text)
    yield Text(_picking(entries, task.digits))


def is_whole(e: Entry) -> bool:
    """Whether the curves have a value for each k."""
    k, cv = len(e.search.ks), len(e.search.cv_accuracies)
    return k > 0 and len(e.search.test_accuracies) == k and cv in (0, k)


def _table(task: Task, entries: Sequence[Entry]) -> Table:
    d = task.digits
    repeated = len({(e.size, e.arm, e.variant) for e in entries}) < len(entries)
    of_run, best = "test accuracy of the run (%)", "best k on the test images (%)"
    columns = [
        Column("dataset", "training set", shown=repeated, value=lambda e: clean(e.target.name)),
        Column("layer", "layer", value=lambda e: clean(e.search.layer)),
        Column("k", "k chosen", "count", value=lambda e: e.search.ks[e.chosen_position]),
        Column("cv", "leave-one-out (%)", "percent", d, value=_left_out),
        Column("run_accuracy", of_run, "percent", d, value=lambda e: 100 * e.measured),
        Column("best", best, "percent", d, value=lambda e: 100 * e.search.test_accuracies[_best_position(e)]),
        Column("best_k", "which is", "count", value=lambda e: e.search.ks[_best_position(e)]),
    ]
    note = "The best k on the test images is given for information: choosing k on them overstates accuracy."
    caption = "Nearest neighbours: the chosen k and its accuracy."
    return cell_table(task, "neighbours", caption, columns, entries, note)


def _best_position(e: Entry) -> int:
    """The position of the k that is best on the test images, among those with a test accuracy."""
    return int(np.nanargmax(e.search.test_accuracies))


def _left_out(e: Entry) -> float | None:
    curve = e.search.cv_accuracies
    return 100 * float(curve[e.chosen_position]) if len(curve) else None


def _describe(task: Task) -> str:
    """The accuracy of each arm at each size, with its k."""
    cells = [c for c in task.cells if any(is_whole(e) for e in c.runs)]
    arms = by(cells, lambda c: c.name)
    sentences = []
    for name, group in list(arms.items())[:MOST_TOLD]:
        parts = [f"{c.percent} with k = {_ks(c)} at {count(c.size)}" for c in group]
        sentences.append(f"{name} reaches {listing(parts)} training images.")
    if len(arms) > MOST_TOLD:
        sentences.append(f"{plural(len(arms) - MOST_TOLD, 'more arm is', 'more arms are')} in the table.")
    if any(len(c.runs) > 1 for c in cells):
        sentences.append("These are means over the training sets of one size.")
    return " ".join(sentences)


def _ks(cell: Cell) -> str:
    ks = [int(e.search.ks[e.chosen_position]) for e in cell.runs if is_whole(e)]
    return str(ks[0]) if min(ks) == max(ks) else f"{min(ks)} to {max(ks)}"


def _picking(entries: Sequence[Entry], digits: int) -> str:
    """The largest apparent gain of choosing k on the test set, at each size."""
    honest = [e for e in entries if not e.chosen_on_test]
    if not honest:
        return "k was chosen on the test images here, which overstates these accuracies."
    gains = {
        size: max(float(e.search.test_accuracies[_best_position(e)]) - e.measured for e in group)
        for size, group in sorted(by(honest, lambda e: e.size).items())
    }
    parts = [f"{points(gain, digits)} at {count(size)}" for size, gain in gains.items() if gain > 0]
    if not parts:
        return (
            "k was chosen by leave-one-out on the training images; no other k is better on the test images."
        )
    return (
        "k was chosen by leave-one-out on the training images. Chosen on the test images it would make the "
        f"accuracy look better by up to {at_most(parts)} training images."
    )
