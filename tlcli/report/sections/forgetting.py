"""The cost of transfer on the source task: what is lost, and what each arm reaches for what it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from tlcli.report.columns import cell_column, cell_table, contrast_columns, first, summary_columns
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.arms import draw_forgetting, draw_frontier
from tlcli.report.registry import section
from tlcli.report.sections.gains import differences
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.contrasts import Contrast
from tlcli.report.study.entry import by
from tlcli.report.words import listing, plural, points

FEWEST_STRENGTHS = 3
"""Arms of one method, at one size, that make a curve."""


@section("forgetting", "Forgetting of the source task", order=20)
def forgetting(study: Study, task: Task) -> Iterable[Block]:
    """A map of both accuracies, their table, and a comparison of the arms."""
    cells = [c for c in task.cells if c.lost is not None]
    if not cells:
        return
    text = extremes(cells)
    caption = (
        "Test accuracy on the target against source accuracy lost by the transfer (before minus after, with "
        "the base's head): mean of each arm; lines are 95 % intervals of the means over three or more runs. "
        "All panels share one scale of what is lost. Best is top left."
    )
    alt = f"Target accuracy against forgetting. {text}"
    yield Chart(task.id("forgetting"), caption, alt, partial(draw_forgetting, cells, study.looks))
    yield _table(task, cells)
    yield Text(text)
    if contrasts := task.forgetting:
        yield _comparison_table(task, contrasts)
        yield from (Text(t) for t in _verdicts(contrasts))


def _table(task: Task, cells: Sequence[Cell]) -> Table:
    d = task.digits
    columns = [cell_column(key, d) for key in ("accuracy", "before", "after")]
    columns += summary_columns("lost", "lost", "points", "points", d, lambda c: c.lost, of=" of what is lost")
    caption = "Accuracy on the target, and on the source task before and after, with the base's head."
    note = ""
    if any(c.lost_features for c in cells):
        name = "lost with a new head"
        columns += summary_columns(
            "features", name, "points", "points", d, lambda c: c.lost_features, of=" of that"
        )
        note = (
            "A new head is fitted by ridge regression to the source's training images, before and after the "
            "transfer: what it loses is lost from the features. The base's head also loses where it no "
            "longer fits them."
        )
    return cell_table(task, "forgetting", caption, columns, cells, note)


def _comparison_table(task: Task, contrasts: Sequence[Contrast]) -> Table:
    words = {"better": "forgets more", "worse": "forgets less"}
    against, *others = contrast_columns(task.digits)
    columns = [against]
    for column in others:
        value = column.value if column.key != "verdict" else lambda c: words.get(c.verdict, c.verdict)
        columns.append(replace(column, key=f"lost_{column.key}", value=value))
    note = (
        "Paired t tests of the source accuracy lost, run by run; interval and p value hold for all arms at "
        "one number of training images at once (Bonferroni)."
    )
    caption = "Differences of source accuracy lost between the arms."
    return cell_table(task, "forgetting-compared", caption, columns, contrasts, note, of=first)


def _verdicts(contrasts: Sequence[Contrast]) -> Iterable[str]:
    shown = [c for c in contrasts if c.shown]
    for (size, reference), there in by(shown, lambda c: (c.size, c.second.arm)).items():
        parts = [
            f"{differences(group, 6)} forget{'s' if len(group) == 1 else ''} {'more' if more else 'less'} "
            f"than {reference}"
            for more, group in by(there, lambda c: c.gain).items()
        ]
        yield f"At {plural(size, 'training image')}, {'; '.join(parts)}."
    if not shown and any(c.enough for c in contrasts):
        references = listing(list(dict.fromkeys(c.second.arm for c in contrasts)))
        yield f"No arm is shown to forget more or less than {references}."


def extremes(cells: Sequence[Cell]) -> str:
    """A sentence on the arms that lose most and least, at the largest size."""
    if not cells:
        return ""
    size = max(c.size for c in cells)
    losses = {c: c.lost.mean for c in cells if c.size == size and c.lost is not None}
    texts = [
        f"{c.name} {'gains' if losses[c] < 0 else 'loses'} {points(abs(losses[c]), c.task.digits)} of source "
        f"accuracy and reaches {c.percent} on the target"
        for c in dict.fromkeys((max(losses, key=losses.__getitem__), min(losses, key=losses.__getitem__)))
    ]
    return f"At {plural(size, 'training image')}, {'; '.join(texts)}."


@section("frontier", "Target accuracy against source accuracy kept", order=22)
def frontier(study: Study, task: Task) -> Iterable[Block]:
    """For studies that try several strengths of a method: curves, and the arms that none beats at both."""
    cells = [c for c in task.cells if c.lost is not None and c.after is not None]
    groups = by(cells, lambda c: (c.size, c.variant)).values()
    curves = [curve for group in groups for curve in strengths(group)]
    if not curves:
        return
    best = [c for group in groups for c in frontier_of(group)]
    text = _describe(groups, best)
    caption = (
        "Test accuracy on the target against the accuracy that is kept on the source task, with the base's "
        "head. A line joins the strengths of one method; crosses are 95 % intervals. Filled, and along the "
        "grey step: no other arm has a higher mean of both. Best is top right."
    )
    yield Chart(task.id("frontier"), caption, text, partial(draw_frontier, cells, curves, best, study.looks))
    yield _frontier_table(task, cells, best)
    yield Text(text)
    yield Text(
        "The frontier is one of means: an arm just behind it need not be worse. The tables of comparisons "
        "say which differences are shown.",
        "limit",
    )


def strengths(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The arms of a method that differ in one option alone, three or more, with the one at its default."""
    found = []
    for group in by(cells, lambda c: c.method).values():
        given = [[item for item in c.arm.partition(":")[2].split(",") if item] for c in group]
        options = [dict(item.partition("=")[::2] for item in items) for items in given]
        shared = {key for key in options[0] if all(o.get(key) == options[0][key] for o in options)}
        for key in dict.fromkeys(key for o in options for key in o if key not in shared):
            curve = [c for c, o in zip(group, options, strict=True) if set(o) <= shared | {key}]
            if len(curve) >= FEWEST_STRENGTHS:
                found.append(curve)
    return found


def frontier_of(cells: Sequence[Cell]) -> list[Cell]:
    """The Pareto front: no other cell is higher on target or source and no lower on the other."""

    def beats(one: Cell, other: Cell) -> bool:
        pairs = ((one.mean, other.mean), (one.after or 0.0, other.after or 0.0))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    return [c for c in cells if not any(beats(other, c) for other in cells)]


def _frontier_table(task: Task, cells: Sequence[Cell], best: Sequence[Cell]) -> Table:
    columns = [cell_column(key, task.digits) for key in ("accuracy", "interval", "after")]
    columns += [Column("frontier", "on the frontier", value=lambda c: "yes" if c in best else "")]
    caption = "Accuracy on the target, and on the source task after the transfer."
    return cell_table(task, "frontier", caption, columns, cells)


def _describe(groups: Iterable[Sequence[Cell]], best: Sequence[Cell]) -> str:
    """The arms on the frontier, at each size."""
    parts = []
    for group in groups:
        there = sorted((c for c in group if c in best), key=lambda c: -c.mean)
        variant = f" ({group[0].variant})" if group[0].variant else ""
        named = listing([c.arm for c in there])
        parts.append(f"at {plural(group[0].size, 'training image')}{variant} {named}")
    return f"On the frontier, from the most accurate arm to the one that keeps most: {'; '.join(parts)}."
