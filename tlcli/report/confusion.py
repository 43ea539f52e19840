"""Which classes are taken for which: the confusion matrix of the best arm, and of those asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tlcli.errors import UsageError
from tlcli.report import drawing, style
from tlcli.report.document import Block, Chart, Column, Section, Table
from tlcli.report.gather import Entry, Study, by, sizes_of
from tlcli.report.pairs import mean_of, ranking
from tlcli.report.words import at_most, clean, listing, number, plural, slug

MOST_WRITTEN = 12
"""Classes up to which the numbers stand in the matrix."""


def section(
    study: Study, entries: Sequence[Entry], asked: Sequence[str] = (), *, suffix: str = ""
) -> Section | None:
    """The matrix of the best arm at the largest size, and of the arms asked for; every arm's as a file."""
    size = sizes_of(entries)[-1]
    cell = [e for e in entries if e.size == size and e.correct is not None]
    if not cell:
        return None
    by_variant = [ranking(group) for group in by(cell, lambda e: e.variant).values()]
    best = max((groups[0] for groups in by_variant), key=mean_of)
    ranked = [g for groups in by_variant for g in groups]
    names = {g[0].arm for g in ranked}
    if unknown := [a for a in asked if a not in names]:
        raise UsageError(
            f"No arm {clean(unknown[0])!r} at {size} training images; there are {at_most(sorted(names))}."
        )
    wanted = [best] + [g for g in ranked if g[0].arm in asked and g is not best]
    part = Section("confusion" + suffix, "Which classes are confused")
    others = [g for g in ranked if g not in wanted]
    for i, group in enumerate(wanted):
        part.blocks += _blocks(group, f"{suffix}-asked-{i}" if i else suffix)
    part.blocks += [_data(g, f"{suffix}-{i}-{slug(g[0].arm)}") for i, g in enumerate(others[:20], 1)]
    part.discussion = [_text(best)]
    return part


def matrix(group: Sequence[Entry]) -> np.ndarray:
    """float64, true x predicted: test images per run, averaged over the runs."""
    labels = group[0].target.test_labels
    classes = len(group[0].target.class_names)
    counts = np.zeros((classes, classes))
    for e in group:
        predictions = np.clip(e.run.predictions, 0, classes - 1)
        counts += np.bincount(labels * classes + predictions, minlength=classes**2)[: classes**2].reshape(
            classes, classes
        )
    return counts / len(group)


def _name(group: Sequence[Entry]) -> str:
    e = group[0]
    return f"{e.arm}{f' ({e.variant})' if e.variant else ''} at {plural(e.size, 'training image')}"


def _blocks(group: Sequence[Entry], suffix: str) -> list[Block]:
    over = f", mean over {plural(len(group), 'run')}" if len(group) > 1 else ""
    caption = (
        f"Confusion matrix of {_name(group)}{over}: of the test images of each true class (row), the "
        "percentage that was given each class (column)."
    )
    return [
        Chart("confusion" + suffix, caption, f"Confusion matrix. {_text(group)}", partial(draw, group)),
        _data(group, suffix),
    ]


def _data(group: Sequence[Entry], suffix: str) -> Table:
    names = [clean(n) for n in group[0].target.class_names]
    counts = matrix(group)
    columns = [Column("true", "true class")] + [
        Column(str(j), name, "number", 1) for j, name in enumerate(names)
    ]
    rows = [{"true": name} | {str(j): x for j, x in enumerate(counts[i])} for i, name in enumerate(names)]
    return Table(
        "confusion" + suffix,
        f"Test images per run by true and predicted class, {_name(group)}.",
        columns,
        rows,
        shown=False,
    )


def draw(group: Sequence[Entry], columns: int) -> Any:
    """Rows in percent, darker for more; the diagonal in blue, what is wrong in orange."""
    del columns
    counts = matrix(group)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n = len(share)
    names = [clean(x) if len(clean(x)) <= 14 else clean(x)[:13] + "…" for x in group[0].target.class_names]
    side = float(np.clip(1.6 + 0.42 * n, 3.0, 6.2))
    figure, (ax,) = drawing.grid(1, 1, height=side, width=min(side + 0.9, drawing.WIDE))
    ax.imshow(_colours(share), interpolation="nearest", aspect="equal")
    if n <= MOST_WRITTEN:
        for i in range(n):
            for j in range(n):
                if share[i, j] >= 0.05 or i == j:
                    strong = share[i, j] > (55 if i == j else 40)
                    ax.text(
                        j,
                        i,
                        number(share[i, j], 1),
                        ha="center",
                        va="center",
                        fontsize=8 if n <= 8 else 6.5,
                        color="#ffffff" if strong else "#1b1d20",
                    )
    step = 1 if n <= 25 else -(-n // 25)
    ax.set_xticks(
        range(0, n, step),
        names[::step],
        rotation=90 if max(map(len, names)) * 0.085 > (side - 1) * step / n else 0,
    )
    ax.set_yticks(range(0, n, step), names[::step])
    ax.grid(visible=False)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    return figure


def _colours(share: np.ndarray) -> np.ndarray:
    """uint8 RGB: from white to blue on the diagonal, from white to orange (steeper) beside it."""
    right = np.eye(len(share), dtype=bool)
    depth = np.where(right, share / 100, np.sqrt(share / 100))[..., None]
    full = np.where(right[..., None], _rgb(style.OKABE_ITO[0]), _rgb(style.OKABE_ITO[1]))
    return np.round(255 - (255 - full) * np.clip(depth, 0, 1)).astype(np.uint8)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float64)


def _text(group: Sequence[Entry]) -> str:
    """The confusions that happen most, in images per run."""
    counts = matrix(group)
    names = [clean(n) for n in group[0].target.class_names]
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:3]
    pairs = [(i // len(names), i % len(names)) for i in order]
    parts = [
        f"{names[i]} taken for {names[j]} ({number(wrong[i, j], 1)} of {round(counts[i].sum())})"
        for i, j in pairs
        if wrong[i, j] > 0
    ]
    if not parts:
        return f"{_name(group)} makes no mistakes on the test images."
    recall = np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
    hardest = int(recall.argmin())
    return (
        f"The most frequent confusions of {_name(group)}, in test images per run: {listing(parts)}. The "
        f"hardest class is {names[hardest]}, with {number(100 * recall[hardest], 1)} % right."
    )
