"""The cost of transfer on the source task: target accuracy against source accuracy lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from tlcli.report.columns import cell_column, cell_table, contrast_columns, first, summary_columns
from tlcli.report.document import Block, Chart, Table, Text
from tlcli.report.plots.arms import draw_forgetting
from tlcli.report.registry import section
from tlcli.report.sections.gains import differences
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.contrasts import Contrast
from tlcli.report.study.entry import by
from tlcli.report.words import plural, points


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
    against, *others = contrast_columns(task.digits)
    columns = [against, *(replace(c, key=f"lost_{c.key}") for c in others)]
    verdict = next(i for i, c in enumerate(columns) if c.key == "lost_verdict")
    words = {"better": "forgets more", "worse": "forgets less"}
    columns[verdict] = replace(columns[verdict], value=lambda c: words.get(c.verdict, c.verdict))
    note = (
        "Paired t tests of the source accuracy lost, run by run; interval and p value hold for all arms at "
        "one number of training images at once (Bonferroni)."
    )
    caption = "Who forgets more: source accuracy lost, arm against arm."
    return cell_table(task, "forgetting-compared", caption, columns, contrasts, note, of=first)


def _verdicts(contrasts: Sequence[Contrast]) -> Iterable[str]:
    reference = contrasts[0].second.arm
    shown = [c for c in contrasts if c.shown]
    for size, there in by(shown, lambda c: c.size).items():
        parts = [
            f"{differences(group, 6)} forget{'s' if len(group) == 1 else ''} {'more' if more else 'less'} "
            f"than {reference}"
            for more, group in by(there, lambda c: c.gain).items()
        ]
        yield f"At {plural(size, 'training image')}, {'; '.join(parts)}."
    if not shown and any(c.enough for c in contrasts):
        yield f"No arm is shown to forget more or less than {reference}."


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
