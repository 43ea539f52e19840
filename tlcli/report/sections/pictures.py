"""The test images that one arm gets right and another wrong, in pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from tlcli.report import plots
from tlcli.report.document import Block, Chart, Text
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.words import count, plural
from tlcli.store.records import Part

MOST = 10
"""Pictures in a row."""


@dataclass
class Row:
    """Images that `right` classifies better than `wrong`: their positions, and what `wrong` says of each."""

    right: str
    wrong: str
    positions: np.ndarray
    answers: list[str]
    total: int


@section("pictures", "Images that tell the arms apart", order=26)
def pictures(study: Study, task: Task) -> Iterable[Block]:
    """Two rows: the best arm right and the reference wrong, and the other way round."""
    part = next((p for d in study.datasets if (p := _same_images(d.parts.get("test"), task))), None)
    pair = _pair(task) if part is not None else None
    if part is None or pair is None:
        return
    first, second = pair
    rows = [row for row in (_row(task, first, second), _row(task, second, first)) if row.total]
    if not rows:
        return
    runs = max(len(first.runs), len(second.runs))
    variant = f" with {first.variant}" if first.variant else ""
    most = f" in most of {runs} runs" if runs > 1 else ""
    caption = (
        f"Test images at {plural(first.size, 'training image')}{variant} that one arm gets right and the "
        f"other wrong{most}. Below each image its class and, after the arrow, what the arm that is wrong "
        "takes it for."
    )
    text = " ".join(
        f"{r.right} is right and {r.wrong} wrong on {count(r.total)} of {count(task.images)} test images."
        for r in rows
    )
    draw = partial(plots.pictures, part, rows, task.classes)
    yield Chart(task.id("pictures"), caption, f"Rows of test images. {text}", draw)
    yield Text(text)


def _same_images(part: Part | None, task: Task) -> Part | None:
    if part is None:
        return None
    target = task.entries[0].target
    same = np.array_equal(part.source_index, target.test_source_index) and np.array_equal(
        part.labels, target.test_labels
    )
    return part if same else None


def _pair(task: Task) -> tuple[Cell, Cell] | None:
    """The best arm and the reference, or else the runner-up, at the smallest size, where they differ most."""
    for size in task.sizes:
        cells = [c for c in task.at(size=size, variant=task.variants[0]) if c.classes]
        ranked = sorted(cells, key=lambda c: -c.mean)
        if len(ranked) < 2:
            continue
        reference = next((c for c in ranked if c.arm == task.reference), None)
        best = next(c for c in ranked if c is not reference)
        return best, reference or ranked[1]
    return None


def _row(task: Task, right: Cell, wrong: Cell) -> Row:
    """The images where most runs of one arm are right and most of the other wrong, the clearest first."""
    share_right = np.stack([c for e in right.runs if (c := e.correct) is not None]).mean(axis=0)
    share_wrong = 1 - np.stack([c for e in wrong.runs if (c := e.correct) is not None]).mean(axis=0)
    apart = np.flatnonzero((share_right > 0.5) & (share_wrong > 0.5))
    order = apart[np.argsort(-(share_right + share_wrong)[apart], kind="stable")]
    answers = []
    for i in order[:MOST]:
        given = [int(e.predictions[i]) for e in wrong.runs if e.correct is not None and not e.correct[i]]
        common = int(np.bincount(given).argmax())
        answers.append(task.classes[common] if common < len(task.classes) else str(common))
    return Row(right.arm, wrong.arm, order[:MOST], answers, len(order))
