"""The test images that one arm gets right and another wrong, in pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tlcli.report import thumbnails
from tlcli.report.document import Block, Chart, Text
from tlcli.report.plots.single import draw_pictures
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.entry import by
from tlcli.report.words import count, plural
from tlcli.store.records import Part

MOST = 10
"""Pictures in a row."""
MOST_SENT = 400
"""The most images on the page for a reader's choice of arms."""


@dataclass
class Row:
    """Images that `right` classifies better than `wrong`: their positions, and the answers of `wrong`."""

    right: str
    wrong: str
    positions: np.ndarray
    answers: list[str]
    total: int


@section("pictures", "Images that tell the arms apart", order=26)
def pictures(study: Study, task: Task) -> Iterable[Block]:
    """Two rows: the best arm right and the reference wrong, and the reverse; the script shows other pairs."""
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
        f"Test images that one arm gets right and the other wrong{most}, with "
        f"{plural(first.size, 'training image')}{variant}. Below each image stands its class and, after the "
        "arrow, the answer of the arm that is wrong."
    )
    text = " ".join(
        f"{r.right} is right and {r.wrong} wrong on {count(r.total)} of {count(task.images)} test images."
        for r in rows
    )
    yield Chart(
        task.id("pictures"),
        caption,
        f"Rows of test images. {text}",
        partial(draw_pictures, part, rows, task.classes),
        partial(_for_any_pair, task, part, first, second),
    )
    yield Text(text)


def _same_images(part: Part | None, task: Task) -> Part | None:
    if part is None:
        return None
    places, labels = task.target.test_source_index, task.target.test_labels
    same = np.array_equal(part.source_index, places) and np.array_equal(part.labels, labels)
    return part if same else None


def _pair(task: Task) -> tuple[Cell, Cell] | None:
    """The best arm and the reference, or else the second best, at the smallest size, where they differ
    most."""
    for size in task.sizes:
        cells = [c for c in task.at(size=size, variant=task.variants[0]) if c.classes]
        ranked = sorted(cells, key=lambda c: -c.mean)
        if len(ranked) < 2:
            continue
        reference = next((c for c in ranked if c.arm == task.reference), None)
        best = next(c for c in ranked if c is not reference)
        return best, reference or ranked[1]
    return None


def _answers(cell: Cell) -> np.ndarray:
    """The answer of most runs for each image (int, N); -1 if as many are right as wrong.

    If most runs are wrong, the answer is the most frequent wrong class.
    """
    predictions = np.stack([e.predictions for e in cell.runs if e.correct is not None])
    labels = cell.task.target.test_labels
    right = (predictions == labels).mean(axis=0)
    votes = np.stack([(predictions == c).sum(axis=0) for c in range(int(predictions.max()) + 1)])
    votes[labels[labels < len(votes)], np.flatnonzero(labels < len(votes))] = -1
    return np.where(right > 0.5, labels, np.where(right < 0.5, votes.argmax(axis=0), -1))


def _apart(right: np.ndarray, wrong: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The positions of the images that one arm gets right and the other wrong."""
    return np.flatnonzero((right == labels) & (wrong != labels) & (wrong >= 0))


def _row(task: Task, right: Cell, wrong: Cell) -> Row:
    """The images where most runs of one arm are right and most of the other wrong, the clearest first."""
    labels, said = task.target.test_labels, _answers(wrong)
    share_right, share_wrong = (
        np.mean([c for e in cell.runs if (c := e.correct) is not None], axis=0) for cell in (right, wrong)
    )
    apart = _apart(_answers(right), said, labels)
    order = apart[np.argsort(-(share_right - share_wrong)[apart], kind="stable")]
    answers = [_name(task, int(said[i])) for i in order[:MOST]]
    return Row(right.arm, wrong.arm, order[:MOST], answers, len(order))


def _name(task: Task, c: int) -> str:
    return task.classes[c] if c < len(task.classes) else str(c)


def _for_any_pair(task: Task, part: Part, first: Cell, second: Cell) -> dict[str, Any]:
    """Images for the script: every two arms of one size and variant differ on some."""
    labels = task.target.test_labels
    chosen: dict[int, None] = {}
    groups = []
    for (size, variant), cells in by(task.cells, lambda c: (c.size, c.variant)).items():
        cells = [c for c in cells if c.classes]
        said = [_answers(c) for c in cells]
        pairs = [[_apart(a, b, labels) for b in said] for a in said]
        for apart in (one for row in pairs for one in row):
            lacking = MOST - sum(int(i) in chosen for i in apart)
            new = [int(i) for i in apart if int(i) not in chosen]
            chosen |= dict.fromkeys(new[: max(0, min(lacking, MOST_SENT - len(chosen)))])
        if len(cells) > 1:
            name = plural(size, "training image") + (f", {variant}" if variant else "")
            totals = [[len(one) for one in row] for row in pairs]
            groups.append((cells, said, {"name": name, "totals": totals}))
    positions = sorted(chosen)
    named = [
        group
        | {
            "first": cells.index(first) if first in cells else 0,
            "second": cells.index(second) if second in cells else 1,
            "arms": [
                {"name": c.arm, "answers": a[positions].tolist()} for c, a in zip(cells, said, strict=True)
            ],
        }
        for cells, said, group in groups
    ]
    labelled = {"classes": task.classes, "labels": labels[positions].tolist(), "groups": named}
    return {"pairs": labelled, "sheet": thumbnails.sheet(np.asarray(part.images[np.array(positions)]))}
