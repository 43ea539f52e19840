"""The course of training: mean curves, and the images that each arm needs to reach a level."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tlcli.report.columns import cell_table
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.arms import draw_curves, is_cut
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.entry import by
from tlcli.report.study.grid import at_ends
from tlcli.report.words import at_most, count, listing, percent

NEAR = 0.01


@section("curves", "The course of training", order=16)
def course(study: Study, task: Task) -> Iterable[Block]:
    """A chart per variant, and a table of the images that each arm needs to reach a level."""
    drawn = [c for c in task.cells if c.curve is not None]
    if not drawn:
        return
    text = convergence(task)
    for i, (variant, cells) in enumerate(by(drawn, lambda c: c.variant).items()):
        several = any(c.curve and len(c.curve.values) > 1 for c in cells)
        caption = "Test accuracy against the training images seen (repeats counted)"
        caption += ": mean over the runs; the band is one standard deviation." if several else "."
        if is_cut(cells):
            caption += " The steep beginning is cut off below."
        caption = (f"{variant}: " if variant else "") + caption
        alt = f"Learning curves of test accuracy, a panel per number of training images. {text}"
        name = task.id("curves") + (f"-variant-{i + 1}" if i else "")
        yield Chart(name, caption, alt, partial(draw_curves, cells, study.looks))
    yield _speed(task, drawn)
    if text:
        yield Text(text)


def end_of_reference(task: Task, cell: Cell) -> float | None:
    """The accuracy that the reference of a cell ends with."""
    if task.reference is None:
        return None
    found = task.at(size=cell.size, variant=cell.variant, arm=task.reference)
    return found[0].mean if found else None


def _speed(task: Task, drawn: list[Cell]) -> Table:
    def reaches(c: Cell) -> int | None:
        level = end_of_reference(task, c)
        return None if level is None or c.curve is None else c.curve.images_to_reach(level)

    starts = at_most(list(dict.fromkeys(count(c.curve.seen[0]) for c in drawn if c.curve)))
    start, at = f"accuracy after {starts} images (%)", "first measured at (images seen)"
    columns = [
        Column("first_at", at, "count", shown=False, value=lambda c: c.curve.seen[0]),
        Column("first", start, "percent", task.digits, value=lambda c: 100 * c.curve.mean[0]),
        Column("near", "within 1 point of its end (images)", "count", value=_near),
    ]
    rising = any(c.curve.rising for c in drawn if c.curve)
    note = "Rising: the last fifth of the curve is more than half a point above the fifth before." * rising
    if task.reference is not None:
        columns.append(Column("reaches", f"where {task.reference} ends (images)", "count", value=reaches))
        if any(reaches(c) is None for c in drawn):
            note = f"{note} A dash: not within this training.".strip()
    columns.append(Column("rising", "still rising", value=lambda c: "yes" if c.curve.rising else ""))
    caption = "Images seen until each arm reaches a level, read from the mean curves."
    return cell_table(task, "speed", caption, columns, drawn, note)


def _near(c: Cell) -> int | None:
    return c.curve.images_to_reach(c.curve.mean[-1] - NEAR) if c.curve else None


def convergence(task: Task) -> str:
    """The images at which the mean curves reach the reference's end, at the smallest and the largest size."""
    sentences = []
    drawn = [c for c in task.cells if c.curve is not None and c.arm != task.reference]
    for where, there in at_ends(drawn):
        cells = [c for c in there if c.variant == task.variants[0]]
        level = end_of_reference(task, cells[0]) if cells else None
        if level is None:
            continue
        reached = {c.arm: c.curve.images_to_reach(level) for c in cells if c.curve is not None}
        soon = [f"{arm} after {count(at)} images" for arm, at in reached.items() if at is not None]
        late = [arm for arm, at in reached.items() if at is None]
        variant = f" with {task.variants[0]}" if task.variants[0] else ""
        text = f"{where}{variant}, {task.reference} ends at {percent(level, task.digits)}."
        text += f" The mean curve reaches that with {listing(soon)}." if soon else ""
        text += f" That is not reached in this training with {listing(late, 'or')}." if late else ""
        sentences.append(text)
    return " ".join(sentences)
