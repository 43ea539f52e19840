"""Axes, labels and legends that the figures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.report import style
from tlcli.report.study import Task
from tlcli.report.words import count, number

Looks = dict[str, style.Look]


def handles(arms: Sequence[str], looks: Looks, *, line: bool = True) -> list[Any]:
    """What a legend shows of each arm."""
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [], [], color=looks[a].colour, marker=looks[a].marker, linestyle=looks[a].line if line else "none"
        )
        for a in arms
    ]


def spread(values: Sequence[int], most: int) -> list[int]:
    """At most so many of the values, evenly chosen, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(i)] for i in np.linspace(0, len(values) - 1, most)]


def signed(x: float, digits: int) -> str:
    text = number(x, digits)
    return text if text[0] in "−-" or float(f"{x:.{digits}f}") == 0 else f"+{text}"


def chance_is_near(task: Task) -> bool:
    """Whether the share of the largest class is not so far below everything that it would squeeze it."""
    means = [c.mean for c in task.cells]
    return min(means) - task.chance <= 2.5 * max(max(means) - min(means), 0.04)


def chance(ax: Any, task: Task, axis: str) -> None:
    """A dotted line at the share of the largest class, where that is near."""
    if chance_is_near(task):
        line = ax.axhline if axis == "y" else ax.axvline
        line(100 * task.chance, color=style.MUTED, lw=1.1, linestyle=":", zorder=1)


def size_axis(ax: Any, sizes: Sequence[int]) -> None:
    """A logarithmic axis whose ticks are the sizes themselves, as many as fit."""
    ax.set_xscale("log")
    kept: list[int] = []
    width = max(np.log(sizes[-1] / sizes[0]), 1e-9)
    for s in sizes:
        if not kept or np.log(s / kept[-1]) / width > 0.11:
            kept.append(s)
    kept[-1] = sizes[-1]
    ax.set_xticks(kept, [count(s) for s in kept])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("training images")


def end_labels(ax: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """The name of each line at its right end, moved apart where they would touch."""
    low, high = ax.get_ylim()
    height = ax.get_position().height * ax.figure.get_figheight()
    apart = 0.155 / max(height, 0.5) * (high - low)
    ordered = sorted(ends, key=lambda e: e[1])
    places: list[float] = []
    for _, y, _, _ in ordered:
        places.append(max(y, places[-1] + apart) if places else y)
    # Moved up on the whole: back by half of what the last was moved.
    shift = (places[-1] - ordered[-1][1]) / 2 if ordered else 0.0
    for (x, y, name, shade), place in zip(ordered, places, strict=True):
        ax.annotate(
            name,
            (x, y),
            xytext=(1.03, place - shift),
            textcoords=("axes fraction", "data"),
            color=shade,
            fontsize=8.5,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": shade, "lw": 0.6, "shrinkA": 1, "shrinkB": 4},
        )


def value_labels(ax: Any, values: Sequence[tuple[float, str]]) -> None:
    """The number of each row at the right edge, where it covers nothing."""
    for y, text in values:
        ax.annotate(
            text,
            (1.0, y),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            annotation_clip=False,
        )


def only_left(axes: Sequence[Any], columns: int) -> None:
    for i, ax in enumerate(axes):
        if i % columns:
            ax.set_ylabel("")


def arm_axis(ax: Any, names: Sequence[str], rows: int | None = None) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim((rows or len(names)) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
