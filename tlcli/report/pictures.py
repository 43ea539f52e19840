"""The test images that one method gets right and another wrong, in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.document import Chart, Section
from tlcli.report.gather import Entry, Study, arms_of, sizes_of, variants_of
from tlcli.report.pairs import CONTROL, ranking
from tlcli.report.words import clean, count, number, plural
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


def section(study: Study, entries: Sequence[Entry], *, suffix: str = "") -> Section | None:
    """Two rows: the best arm right and scratch (or the runner-up) wrong, and the other way round."""
    usable = [e for e in entries if e.correct is not None]
    part_of = next(
        (p for d in study.datasets if (p := _same_images(d.parts.get("test"), usable)) is not None), None
    )
    pair = _pair(usable) if part_of is not None else None
    if part_of is None or pair is None:
        return None
    first, second = pair
    rows = [_row(first, second), _row(second, first)]
    size = first[0].size
    runs = max(len(first), len(second))
    variant = f" with {first[0].variant}" if first[0].variant else ""
    caption = (
        f"Test images at {plural(size, 'training image')}{variant} that one arm gets right and the other "
        f"wrong{f' (in most of {runs} runs)' if runs > 1 else ''}. Below each image its class, and after "
        "the arrow what the arm that is wrong takes it for."
    )
    text = " ".join(
        f"{r.right} is right and {r.wrong} wrong on {count(r.total)} of "
        f"{count(len(first[0].target.test_labels))} test images."
        for r in rows
    )
    shown = [r for r in rows if r.total]
    if not shown:
        return None
    part = Section("pictures" + suffix, "Images that tell the methods apart")
    draw_rows = partial(draw, part_of, shown, [clean(n) for n in first[0].target.class_names])
    part.blocks.append(
        Chart("pictures" + suffix, f"{caption} {text}", f"Two rows of test images. {text}", draw_rows)
    )
    part.discussion = [text]
    return part


def _same_images(part: Part | None, entries: Sequence[Entry]) -> Part | None:
    if part is None or not entries:
        return None
    target = entries[0].target
    same = np.array_equal(part.source_index, target.test_source_index) and np.array_equal(
        part.labels, target.test_labels
    )
    return part if same else None


def _pair(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]] | None:
    """The best arm and scratch, or else the runner-up, at the smallest size, where they differ most."""
    for size in sizes_of(entries):
        cell = [e for e in entries if e.size == size and e.variant == variants_of(entries)[0]]
        if len(arms_of(cell)) < 2:
            continue
        ranked = ranking(cell)
        control = [g for g in ranked if g[0].method == CONTROL]
        best = next((g for g in ranked if g[0].method != CONTROL), ranked[0])
        other = control[0] if control else ranked[1]
        return best, other
    return None


def _row(right: Sequence[Entry], wrong: Sequence[Entry]) -> Row:
    """The images where most runs of one arm are right and most of the other wrong, the clearest first."""
    share_right = np.stack([c for e in right if (c := e.correct) is not None]).mean(axis=0)
    share_wrong = 1 - np.stack([c for e in wrong if (c := e.correct) is not None]).mean(axis=0)
    apart = np.flatnonzero((share_right > 0.5) & (share_wrong > 0.5))
    order = apart[np.argsort(-(share_right + share_wrong)[apart], kind="stable")]
    names = [clean(n) for n in wrong[0].target.class_names]
    answers = []
    for i in order[:MOST]:
        given = [int(e.run.predictions[i]) for e in wrong if e.correct is not None and not e.correct[i]]
        common = int(np.bincount(given).argmax())
        answers.append(names[common] if common < len(names) else number(common, 0))
    return Row(right[0].arm, wrong[0].arm, order[:MOST], answers, len(order))


def draw(part: Part, rows: Sequence[Row], names: Sequence[str], columns: int) -> Any:
    """All pictures of a row beside one another, on a phone five to a line."""
    across = MOST if columns > 1 else MOST // 2
    lines = sum(-(-len(r.positions) // across) for r in rows)
    width = drawing.WIDE if columns > 1 else drawing.NARROW
    cell = width / across
    longest = max(
        (
            len(names[int(part.labels[i])]) + len(a)
            for r in rows
            for i, a in zip(r.positions, r.answers, strict=True)
        ),
        default=2,
    )
    two = longest > 8
    label = 0.34 if two else 0.2
    from matplotlib.figure import Figure

    height = len(rows) * 0.3 + lines * (0.86 * cell + label + 0.06)
    figure = Figure(figsize=(width, height))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    y = 0.0
    for r in rows:
        ax.text(
            0.04,
            y + 0.19,
            f"{r.right} right, {r.wrong} wrong",
            fontsize=9.5,
            fontweight="bold",
            color=style.INK,
        )
        y += 0.3
        for start in range(0, len(r.positions), across):
            for k, i in enumerate(r.positions[start : start + across]):
                _picture(ax, part, int(i), k * cell + 0.03, y, 0.86 * cell)
                text = f"{names[int(part.labels[i])]}{chr(10) if two else ' '}→ {r.answers[start + k]}"
                ax.text(
                    k * cell + 0.03, y + 0.86 * cell + 0.03, text, fontsize=7.5, va="top", color=style.INK
                )
            y += 0.86 * cell + label + 0.06
    return figure


def _picture(ax: Any, part: Part, index: int, x: float, y: float, side: float) -> None:
    image = np.asarray(part.images[index : index + 1])[0]
    picture = image[..., 0] if image.shape[-1] == 1 else image[..., :3]
    ax.imshow(
        picture,
        extent=(x, x + side, y + side, y),
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest",
        aspect="auto",
    )
