"""The frontier: what each method reaches on the target for what it keeps of the source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from tlcli.report.columns import cell_column, cell_table
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.frontier import draw_frontier
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.entry import by
from tlcli.report.words import listing, plural

FEWEST_STRENGTHS = 3
"""Arms of one method, at one size, that make a curve."""


@section("frontier", "Accuracy against what is kept", order=22)
def frontier(study: Study, task: Task) -> Iterable[Block]:
    """For studies that try several strengths of a method: curves, and the arms that none beats at both."""
    cells = [c for c in task.cells if c.lost is not None and c.after is not None]
    groups = by(cells, lambda c: (c.size, c.variant)).values()
    curves = [curve for group in groups for curve in strengths(group)]
    if not curves:
        return
    best = [c for group in groups for c in undominated(group)]
    told = _told(groups, best)
    caption = (
        "Test accuracy on the target against the accuracy that is kept on the source task, with the base's "
        "head. A line joins the strengths of one method; crosses are 95 % intervals. Filled, and along the "
        "grey step: no other arm has a higher mean of both. Best is top right."
    )
    yield Chart(task.id("frontier"), caption, told, partial(draw_frontier, cells, curves, best, study.looks))
    yield _table(task, cells, best)
    yield Text(told)
    yield Text(
        "The frontier is one of means: an arm just behind it need not be worse. The tables of comparisons "
        "say which differences are shown.",
        "limit",
    )


def strengths(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The arms of a method that differ in one option alone, three or more, with the one at its default."""
    found = []
    for group in by(cells, lambda c: c.method).values():
        options = [
            dict(item.split("=", 1) for item in c.arm.partition(":")[2].split(",") if item) for c in group
        ]
        shared = {key for key in options[0] if all(o.get(key) == options[0][key] for o in options)}
        for key in dict.fromkeys(key for o in options for key in o if key not in shared):
            curve = [c for c, o in zip(group, options, strict=True) if set(o) <= shared | {key}]
            if len(curve) >= FEWEST_STRENGTHS:
                found.append(curve)
    return found


def undominated(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of which no other has a higher mean on the target or the source, and the other no lower."""

    def beats(one: Cell, other: Cell) -> bool:
        pairs = ((one.mean, other.mean), (one.after or 0.0, other.after or 0.0))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    return [c for c in cells if not any(beats(other, c) for other in cells)]


def _table(task: Task, cells: Sequence[Cell], best: Sequence[Cell]) -> Table:
    columns = [cell_column(key, task.digits) for key in ("accuracy", "interval", "after")]
    columns += [Column("frontier", "on the frontier", value=lambda c: "yes" if c in best else "")]
    caption = "Accuracy on the target, and on the source task after the transfer."
    return cell_table(task, "frontier", caption, columns, cells)


def _told(groups: Iterable[Sequence[Cell]], best: Sequence[Cell]) -> str:
    """The arms on the frontier, at each size."""
    parts = []
    for group in groups:
        there = sorted((c for c in group if c in best), key=lambda c: -c.mean)
        variant = f" ({group[0].variant})" if group[0].variant else ""
        named = listing([c.arm for c in there])
        parts.append(f"at {plural(group[0].size, 'training image')}{variant} {named}")
    return f"On the frontier, from the most accurate arm to the one that keeps most: {'; '.join(parts)}."
