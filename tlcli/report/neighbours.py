"""Nearest neighbours on embeddings: accuracy against k, with the k that was chosen without the test set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from textwrap import fill
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.document import Chart, Column, Section, Table
from tlcli.report.gather import Entry, arm_order, by, sizes_of
from tlcli.report.size_figures import MOST_PANELS, spread
from tlcli.report.words import clean, count, listing, percent, plural, points
from tlcli.store.records import Neighbours

MOST_TOLD = 6
"""Arms with a sentence of their own."""


def section(entries: Sequence[Entry], digits: int, *, suffix: str = "", title: str = "") -> Section:
    """A panel per size and arm, and the table of the chosen k, of the runs of one task, all `measured`."""
    ordered = sorted(entries, key=lambda e: (e.variant, e.size, arm_order(e.method, e.arm)))
    cells = list(by(ordered, _cell).values())
    part = Section("neighbours" + suffix, title or "Nearest neighbours on the embeddings")
    drawn = [cells[i] for i in spread(range(len(cells)), MOST_PANELS)]
    caption = (
        "Accuracy of the k nearest neighbours against k: by cross-validation on the training part "
        "(dashed), from which k was chosen (line and dot), and on the test part (solid)."
    )
    if len(ordered) > len(cells):
        caption += " Curves are means over the draws of the training set, each with a k of its own."
    if len(drawn) < len(cells):
        caption += f" Drawn are {len(drawn)} of {len(cells)} pairs of size and arm."
    told = _text(ordered, digits)
    part.blocks = [
        Chart(part.id, caption, f"Accuracy against k. {told}", partial(draw, drawn)),
        _table(ordered, digits, part.id, repeated=len(ordered) > len(cells)),
    ]
    part.discussion = [told, _picking(ordered, digits)]
    return part


def measured(entries: Sequence[Entry]) -> list[Entry]:
    """The runs of nearest neighbours whose curves are there."""
    return [e for e in entries if _is_whole(e)]


def _cell(e: Entry) -> tuple[Any, ...]:
    """What one panel is about: the draws of one size, with the same k tried."""
    return e.variant, e.size, e.arm, tuple(_sweep(e).ks)


def _sweep(e: Entry) -> Neighbours:
    assert e.neighbours is not None
    return e.neighbours


def _is_whole(e: Entry) -> bool:
    """Whether the curves are there, with a value for each k."""
    if e.neighbours is None:
        return False
    k, cv, test = (
        len(x) for x in (e.neighbours.ks, e.neighbours.cv_accuracies, e.neighbours.test_accuracies)
    )
    return k > 0 and test == k and cv in (0, k)


def chosen(e: Entry) -> int:
    """The position of the chosen k on the curve: the recorded one, else the best of the cross-validation."""
    ks = _sweep(e).ks
    if (ks == _sweep(e).k).any():
        return int(np.flatnonzero(ks == _sweep(e).k)[0])
    return int(np.argmax(_curve(e, "cv_accuracy"))) if len(_curve(e, "cv_accuracy")) else 0


def _curve(e: Entry, name: str) -> np.ndarray:
    return _sweep(e).cv_accuracies if name == "cv_accuracy" else _sweep(e).test_accuracies


def draw(cells: Sequence[Sequence[Entry]], columns: int) -> Any:
    """A panel per cell."""
    from matplotlib.lines import Line2D

    figure, axes = drawing.grid(len(cells), columns, height=2.5, legend=0.3)
    for ax, cell in zip(axes, cells, strict=True):
        _panel(ax, cell)
        ax.set_title(_name(cell[0]), fontsize=8.5)
        ax.set_xlabel("k, neighbours")
        ax.set_ylabel("accuracy (%)")
    lines = [Line2D([], [], color=style.TRAIN, linestyle=(0, (5, 2))), Line2D([], [], color=style.TEST)]
    drawing.legend_on_top(figure, lines, ["cross-validation on training images", "test images"], columns=2)
    return figure


def _panel(ax: Any, cell: Sequence[Entry]) -> None:
    """The mean curves over the draws, and the k that was chosen for each."""
    k = _sweep(cell[0]).ks
    picked = sorted({chosen(e) for e in cell})
    for name, colour, line in (
        ("cv_accuracy", style.TRAIN, (0, (5, 2))),
        ("test_accuracy", style.TEST, "-"),
    ):
        if curves := [values for e in cell if len(values := _curve(e, name))]:
            mean = 100 * np.mean(curves, axis=0)
            ax.plot(k, mean, color=colour, linestyle=line)
            ax.plot(k[picked], mean[picked], "o", color=colour, ms=6 if len(picked) == 1 else 4)
    for i in picked:
        ax.axvline(k[i], color=style.MUTED, lw=0.9, zorder=0)
    last = k[picked[-1]]
    ax.annotate(
        f"k = {_span([int(k[i]) for i in picked])}",
        (last, 0.03),
        xycoords=("data", "axes fraction"),
        xytext=(4 if last < 0.7 * k[-1] else -4, 0),
        textcoords="offset points",
        fontsize=8.5,
        color=style.INK,
        ha="left" if last < 0.7 * k[-1] else "right",
    )


def _name(e: Entry) -> str:
    """What a panel is headed by, in lines that fit into it."""
    where = f"{plural(e.size, 'training image')}" + (f", {e.variant}" if e.variant else "")
    return f"{fill(where, 40)}\n{fill(e.arm, 40)}"


def _span(ks: Sequence[int]) -> str:
    return str(ks[0]) if min(ks) == max(ks) else f"{min(ks)} to {max(ks)}"


def _table(entries: Sequence[Entry], digits: int, id: str, *, repeated: bool) -> Table:
    rows: list[dict[str, Any]] = []
    for e in entries:
        i, test, cv = chosen(e), _curve(e, "test_accuracy"), _curve(e, "cv_accuracy")
        k = _sweep(e).ks
        rows.append(
            {
                "size": e.size,
                "dataset": clean(e.target.name),
                "arm": e.arm,
                "variant": e.variant,
                "layer": clean(_sweep(e).layer),
                "k": int(k[i]),
                "cv": 100 * cv[i] if len(cv) else None,
                "test": 100 * test[i],
                "best_k": int(k[test.argmax()]),
                "best": 100 * test.max(),
            }
        )
    columns = [
        Column("size", "training images", "count"),
        Column("dataset", "training set", shown=repeated),
        Column("arm", "arm", shown=len({r["arm"] for r in rows}) > 1),
        Column("variant", "variant", shown=any(r["variant"] for r in rows)),
        Column("layer", "layer"),
        Column("k", "k chosen", "count"),
        Column("cv", "cross-validation (%)", "percent", digits),
        Column("test", "test (%)", "percent", digits),
        Column("best", "best on test (%)", "percent", digits),
        Column("best_k", "at k", "count"),
    ]
    note = "The best on test is for reading only: a k that is picked on the test images is flattered by them."
    return Table(id, "Nearest neighbours: the chosen k and its accuracy.", columns, rows, note=note)


def _text(entries: Sequence[Entry], digits: int) -> str:
    """What each arm reaches at each size, and with which k."""
    sentences = []
    arms = by(entries, lambda e: (e.arm, e.variant))
    for (arm, variant), group in list(arms.items())[:MOST_TOLD]:
        parts = []
        for size in sizes_of(group):
            cell = [e for e in group if e.size == size]
            mean = float(np.mean([_curve(e, "test_accuracy")[chosen(e)] for e in cell]))
            k = _span([int(_sweep(e).ks[chosen(e)]) for e in cell])
            parts.append(f"{percent(mean, digits)} with k = {k} at {count(size)}")
        name = f"{arm} ({variant})" if variant else arm
        sentences.append(f"{name} reaches {listing(parts)} training images.")
    if len(arms) > MOST_TOLD:
        left = len(arms) - MOST_TOLD
        sentences.append(f"{plural(left, 'further arm is', 'further arms are')} in the table.")
    if len(entries) > len(by(entries, _cell)):
        sentences.append("These are means over the training sets of one size.")
    return " ".join(sentences)


def _picking(entries: Sequence[Entry], digits: int) -> str:
    """What picking k on the test set would have seemed to gain, at most, at each size."""
    honest = [e for e in entries if _sweep(e).selected_on != "test"]
    if not honest:
        return "k was picked on the test images here, so these accuracies are flattered."
    most = [
        f"{points(max(_missed(e) for e in honest if e.size == size), digits)} more at {count(size)}"
        for size in sizes_of(honest)
    ]
    return (
        "k was chosen by cross-validation on the training images; picking it on the test images would have "
        f"shown up to {listing(most)} training images, a gain that could not have been known without the "
        "test images."
    )


def _missed(e: Entry) -> float:
    """How far the best k on the test images is above the chosen one."""
    test = _curve(e, "test_accuracy")
    return float(test.max() - test[chosen(e)])
