"""The course of training: mean curves, and the images that each arm needs to reach a level."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from tlcli.report import plots
from tlcli.report.columns import cell_table
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.entry import by
from tlcli.report.words import at_most, count, listing, percent, plural

NEAR = 0.01


@section("curves", "The course of training", order=16)
def course(study: Study, task: Task) -> Iterable[Block]:
    """A chart per variant, and a table of the images that each arm needs to reach a level."""
    drawn = [c for c in task.cells if c.curve is not None]
    if not drawn:
        return
    told = convergence(task)
    for i, (variant, cells) in enumerate(by(drawn, lambda c: c.variant).items()):
        several = any(c.curve and len(c.curve.values) > 1 for c in cells)
        caption = "Test accuracy against the training images seen (repeats counted)"
        caption += ": mean over the runs; the band is one standard deviation." if several else "."
        if plots.is_cut(cells):
            caption += " The steep beginning is cut off below."
        caption = (f"{variant}: " if variant else "") + caption
        alt = f"Learning curves of test accuracy, a panel per number of training images. {told}"
        name = task.id("curves") + (f"-variant-{i + 1}" if i else "")
        yield Chart(name, caption, alt, partial(plots.curves, cells, study.looks))
    yield _speed(task, drawn)
    if told:
        yield Text(told)


def end_of_reference(task: Task, cell: Cell) -> float | None:
    """The accuracy that the reference of a cell ends with."""
    if task.reference is None:
        return None
    found = task.at(size=cell.size, variant=cell.variant, arm=task.reference)
    return found[0].mean if found else None


def _speed(task: Task, drawn: list[Cell]) -> Table:
    rows: list[dict[str, Any]] = []
    for c in drawn:
        curve, level = c.curve, end_of_reference(task, c)
        assert curve is not None
        row = {
            "first": 100 * curve.mean[0],
            "first_at": curve.seen[0],
            "near": curve.images_to_reach(curve.mean[-1] - NEAR),
            "reaches": None if level is None else curve.images_to_reach(level),
            "rising": "yes" if curve.rising else "",
        }
        rows.append(c.key | row)
    starts = at_most(list(dict.fromkeys(count(r["first_at"]) for r in rows)))
    columns = [
        Column("first_at", "first measured at (images seen)", "count", shown=False),
        Column("first", f"accuracy after {starts} images (%)", "percent", task.digits),
        Column("near", "within 1 point of its end (images)", "count"),
    ]
    rising = any(r["rising"] for r in rows)
    note = "Rising: the last fifth of the curve is more than half a point above the fifth before." * rising
    if task.reference is not None:
        columns.append(Column("reaches", f"where {task.reference} ends (images)", "count"))
        if any(r["reaches"] is None for r in rows):
            note = f"{note} A dash: not within this training.".strip()
    columns.append(Column("rising", "still rising", shown=rising))
    caption = "How soon each arm gets where, read off the mean curves."
    return cell_table(task, "speed", caption, columns, rows, note)


def convergence(task: Task) -> str:
    """The images at which the mean curves reach the reference's end, at the smallest and the largest size."""
    sentences = []
    drawn = [c for c in task.cells if c.curve is not None and c.arm != task.reference]
    sizes = sorted({c.size for c in drawn})
    for size in dict.fromkeys((sizes[0], sizes[-1])) if sizes else ():
        cells = [c for c in drawn if c.size == size and c.variant == task.variants[0]]
        level = end_of_reference(task, cells[0]) if cells else None
        if level is None:
            continue
        reached = {c.arm: c.curve.images_to_reach(level) for c in cells if c.curve is not None}
        soon = [f"{arm} after {count(at)} images" for arm, at in reached.items() if at is not None]
        late = [arm for arm, at in reached.items() if at is None]
        variant = f" with {task.variants[0]}" if task.variants[0] else ""
        text = f"At {plural(size, 'training image')}{variant}, {task.reference} ends at "
        text += f"{percent(level, task.digits)}."
        text += f" The mean curve reaches that with {listing(soon)}." if soon else ""
        text += f" That is not reached in this training with {listing(late, 'or')}." if late else ""
        sentences.append(text)
    return " ".join(sentences)
