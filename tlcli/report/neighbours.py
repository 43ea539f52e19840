"""Nearest neighbours on embeddings: accuracy against k, with the k that was chosen without the test set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.document import Answer, Chart, Column, Section, Table
from tlcli.report.gather import Entry, Study, arm_order
from tlcli.report.size_figures import MOST_PANELS, spread
from tlcli.report.words import at_most, clean, count, listing, percent, plural, points


def section(study: Study) -> Section | None:
    """A panel per training set and arm, and the table of the chosen k."""
    entries = [e for e in study.entries if _is_whole(e)]
    if not entries:
        return None
    entries.sort(key=lambda e: (e.variant, e.size, arm_order(e.method, e.arm)))
    several = len({e.arm for e in entries}) > 1
    part = Section("neighbours", "Nearest neighbours on the embeddings")
    drawn = [entries[i] for i in spread(range(len(entries)), MOST_PANELS)]
    caption = (
        "Accuracy of the k nearest neighbours against k: by cross-validation on the training part "
        "(dashed), from which k was chosen (line and dot), and on the test part (solid)."
    )
    part.blocks = [
        Chart(
            "neighbours",
            caption,
            f"Accuracy against k. {_text(entries, study.digits)}",
            partial(draw, drawn, several),
        ),
        _table(entries, study.digits, several),
    ]
    part.discussion = [_text(entries, study.digits), _picking(entries, study.digits)]
    part.answer = Answer(
        _text(entries[-1:], study.digits) + " " + _picking(entries[-1:], study.digits),
        part.blocks[0] if isinstance(part.blocks[0], Chart) else None,
        1,
    )
    return part


def _is_whole(e: Entry) -> bool:
    """Whether the curves are there, with a value for each k."""
    k, cv = len(e.run.curves.get("k", ())), len(_curve(e, "cv_accuracy"))
    return k > 0 and len(_curve(e, "test_accuracy")) == k and cv in (0, k)


def chosen(e: Entry) -> int:
    """The position of the chosen k on the curve: the recorded one, else the best of the cross-validation."""
    ks = np.asarray(e.run.curves["k"])
    recorded = e.run.attributes.get("k")
    if type(recorded) is int and (ks == recorded).any():
        return int(np.flatnonzero(ks == recorded)[0])
    return int(np.argmax(_curve(e, "cv_accuracy"))) if "cv_accuracy" in e.run.curves else 0


def _curve(e: Entry, name: str) -> np.ndarray:
    return np.asarray(e.run.curves.get(name, np.zeros(0)), np.float64)


def draw(entries: Sequence[Entry], several: bool, columns: int) -> Any:
    """A panel per entry."""
    from matplotlib.lines import Line2D

    figure, axes = drawing.grid(len(entries), columns, height=2.3, legend=0.3)
    for ax, e in zip(axes, entries, strict=True):
        k, i = np.asarray(e.run.curves["k"]), chosen(e)
        for name, colour, line in (
            ("cv_accuracy", style.TRAIN, (0, (5, 2))),
            ("test_accuracy", style.TEST, "-"),
        ):
            if len(values := _curve(e, name)):
                ax.plot(k, 100 * values, color=colour, linestyle=line)
                ax.plot([k[i]], [100 * values[i]], "o", color=colour, ms=6)
        ax.axvline(k[i], color=style.MUTED, lw=0.9, zorder=0)
        ax.annotate(
            f"k = {k[i]}",
            (k[i], 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8.5,
            color=style.INK,
            ha="left" if k[i] < 0.8 * k[-1] else "right",
        )
        ax.set_title(_name(e, several))
        ax.set_xlabel("k, neighbours")
        ax.set_ylabel("accuracy (%)")
    lines = [Line2D([], [], color=style.TRAIN, linestyle=(0, (5, 2))), Line2D([], [], color=style.TEST)]
    drawing.legend_on_top(figure, lines, ["cross-validation on training images", "test images"], columns=2)
    return figure


def _name(e: Entry, several: bool) -> str:
    return (
        f"{count(e.size)} training images"
        + (f", {e.arm}" if several else "")
        + (f", {e.variant}" if e.variant else "")
    )


def _table(entries: Sequence[Entry], digits: int, several: bool) -> Table:
    rows = []
    for e in entries:
        i, test, cv = chosen(e), _curve(e, "test_accuracy"), _curve(e, "cv_accuracy")
        k = np.asarray(e.run.curves["k"])
        rows.append(
            {
                "size": e.size,
                "dataset": clean(e.target.name),
                "arm": e.arm,
                "variant": e.variant,
                "layer": clean(e.run.attributes.get("layer", "")),
                "k": int(k[i]),
                "cv": 100 * cv[i] if len(cv) else None,
                "test": 100 * test[i],
                "best_k": int(k[test.argmax()]),
                "best": 100 * test.max(),
            }
        )
    columns = [
        Column("size", "training images", "count"),
        Column("dataset", "training set", shown=False),
        Column("arm", "arm", shown=several),
        Column("variant", "variant", shown=any(r["variant"] for r in rows)),
        Column("layer", "layer"),
        Column("k", "k chosen", "count"),
        Column("cv", "cross-validation (%)", "percent", digits),
        Column("test", "test (%)", "percent", digits),
        Column("best", "best on test (%)", "percent", digits),
        Column("best_k", "at k", "count"),
    ]
    note = "The best on test is for reading only: a k that is picked on the test images is flattered by them."
    return Table("neighbours", "Nearest neighbours: the chosen k and its accuracy.", columns, rows, note=note)


def _text(entries: Sequence[Entry], digits: int) -> str:
    several = len({e.arm for e in entries}) > 1
    parts = [
        f"{percent(float(_curve(e, 'test_accuracy')[chosen(e)]), digits)} with k = "
        f"{int(e.run.curves['k'][chosen(e)])} at "
        f"{plural(e.size, 'training image')}{f' ({e.arm})' if several else ''}"
        for e in entries
    ]
    return f"The nearest neighbours reach {at_most(parts, 6)}."


def _picking(entries: Sequence[Entry], digits: int) -> str:
    """What picking k on the test set would have seemed to gain."""
    lost = [float(_curve(e, "test_accuracy").max() - _curve(e, "test_accuracy")[chosen(e)]) for e in entries]
    honest = [e for e in entries if e.run.attributes.get("selected_on") != "test"]
    if not honest:
        return "k was picked on the test images here, so these accuracies are flattered."
    sizes = listing(list(dict.fromkeys(count(e.size) for e in honest)))
    return (
        "k was chosen by cross-validation on the training images; picking it on the test images would have "
        f"shown up to {points(max(lost), digits)} more at {sizes} images, a gain that is not real."
    )
