"""Axes, labels and legends that the figures share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tlcli.report import drawing, style
from tlcli.report.columns import spread as with_interval
from tlcli.report.study import Cell, Task
from tlcli.report.study.entry import by
from tlcli.report.words import count, plural

Looks = dict[str, style.Look]
LONGEST = 24
"""The most characters of a name on one line."""
MOST_PANELS = 12
ACCURACY = "test accuracy (%)"


def plot(ax: Any, x: ArrayLike, y: ArrayLike, look: style.Look, tips: Sequence[str] = (), **how: Any) -> None:
    """Draw a line or marks of an arm, in its colour, with the tip of each mark."""
    (line,) = ax.plot(x, y, color=look.colour, **how)
    drawing.tag(line, look.number, tips)


def cross(
    ax: Any,
    x: float,
    y: float,
    look: style.Look,
    tip: str,
    *,
    across: Sequence[float] | None = None,
    up: Sequence[float] | None = None,
    lw: float = 1.1,
    **mark: Any,
) -> None:
    """A mark, and the intervals of its two values as lines."""
    if up is not None:
        plot(ax, [x, x], up, look, lw=lw)
    if across is not None:
        plot(ax, across, [y, y], look, lw=lw)
    plot(ax, [x], [y], look, [tip], **{"marker": look.marker, "zorder": 3} | mark)


def tell(cell: Cell) -> str:
    """The tip of a mark for a cell: arm, size, mean and interval."""
    return f"{cell.name}, {cell.where}: {with_interval(cell)} %"


def arm_legend(arms: Collection[str], looks: Looks, *, line: bool = True) -> drawing.Legend:
    """A legend of the arms, with or without their lines."""
    return [
        (
            arm,
            {"color": look.colour, "marker": look.marker, "gid": drawing.tag_of(look.number)}
            | {"ls": look.line if line else "none"},
        )
        for arm, look in looks.items()
        if arm in arms
    ]


def size_panels(
    items: Iterable[Any],
    columns: int,
    xlabel: str,
    ylabel: str = "",
    *,
    height: float,
    row: float = 0.0,
    most: int = MOST_PANELS,
    **how: Any,
) -> tuple[Any, list[tuple[Any, list[Any]]]]:
    """A figure with a panel per number of training images, and each panel with the items of that `size`.

    A panel is `height` high, and `row` higher for each item of the fullest panel; see `drawing.grid`.
    """
    groups = by(items, lambda item: item.size)
    sizes = spread(sorted(groups), most)
    height += row * max(len(groups[s]) for s in sizes)
    figure, axes = drawing.grid(len(sizes), columns, height=height, **how)
    for ax, s in zip(axes, sizes, strict=True):
        ax.set(title=plural(s, "training image"), xlabel=xlabel, ylabel=ylabel)
        ax.tick_params(labelbottom=True)
    return figure, [(ax, groups[s]) for ax, s in zip(axes, sizes, strict=True)]


def spread(values: Sequence[int], most: int) -> list[int]:
    """At most `most` values, evenly chosen, with the first and the last."""
    if len(values) <= most:
        return list(values)
    return [values[round(i)] for i in np.linspace(0, len(values) - 1, most)]


def chance_is_near(task: Task) -> bool:
    """Whether the share of the largest class is near enough to the data to be drawn."""
    means = [c.mean for c in task.cells]
    return min(means) - task.chance <= 1.5 * max(max(means) - min(means), 0.04)


def draw_chance(ax: Any, task: Task, axis: str) -> None:
    """A dotted line at the share of the largest class, if that is near."""
    if chance_is_near(task):
        line = ax.axhline if axis == "y" else ax.axvline
        line(100 * task.chance, color=style.MUTED, lw=1.1, linestyle=":", zorder=1)


def size_axis(ax: Any, sizes: Sequence[int], label: str = "training images", side: str = "x") -> None:
    """A logarithmic axis whose ticks are the sizes themselves, as many as fit."""
    kept: list[int] = []
    width = max(np.log(sizes[-1] / max(sizes[0], 1)), 1e-9)
    for s in sizes:
        if not kept or np.log(s / max(kept[-1], 1)) / width > 0.11:
            kept.append(s)
    kept[-1] = sizes[-1]
    ax.set(**{f"{side}scale": "log", f"{side}label": label})
    set_ticks = getattr(ax, f"set_{side}ticks")
    set_ticks(kept, [count(s) for s in kept])
    set_ticks([], minor=True)


def end_labels(ax: Any, ends: Sequence[tuple[float, float, str, style.Look]]) -> None:
    """The name of each line at its right end; names that would touch are moved apart."""
    low, high = ax.get_ylim()
    height = ax.get_position().height * ax.figure.get_figheight()
    apart = 0.155 / max(height, 0.5) * (high - low)
    ordered = sorted(ends, key=lambda e: e[1])
    places: list[float] = []
    for _, y, _, _ in ordered:
        places.append(max(y, places[-1] + apart) if places else y)
    # All names have moved up: move them back by half of the last one's move.
    shift = (places[-1] - ordered[-1][1]) / 2 if ordered else 0.0
    for (x, y, name, look), place in zip(ordered, places, strict=True):
        shade = look.colour
        label = ax.annotate(
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
        drawing.tag(label, look.number)


def value_labels(ax: Any, values: Sequence[str], looks: Sequence[style.Look]) -> None:
    """The number of each row, at the right edge, so that it covers nothing."""
    for y, (text, look) in enumerate(zip(values, looks, strict=True)):
        label = ax.annotate(
            text,
            (1.0, y),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            annotation_clip=False,
        )
        drawing.tag(label, look.number)


def only_left(axes: Sequence[Any], columns: int) -> None:
    for i, ax in enumerate(axes):
        if i % columns:
            ax.set_ylabel("")


def _in_two_lines(name: str) -> str:
    """A long name, broken behind the sign that is nearest to its middle."""
    places = [i + 1 for i, sign in enumerate(name[:-1]) if sign in ":, "]
    if len(name) <= LONGEST or not places:
        return name
    at = min(places, key=lambda i: abs(i - len(name) / 2))
    return f"{name[:at].rstrip()}\n{name[at:]}"


def arm_axis(
    ax: Any, names: Sequence[str], looks: Sequence[style.Look] = (), rows: int | None = None
) -> None:
    """A row for each name, with the looks of arms. Long names take two lines, or they would leave no room."""
    ax.set_yticks(range(len(names)), map(_in_two_lines, names))
    for label in ax.get_yticklabels():
        if "\n" in label.get_text():
            label.set(fontsize=7.2, linespacing=1.0)
    for look, label in zip(looks, ax.get_yticklabels(), strict=False):
        drawing.tag(label, look.number)
    ax.set_ylim((rows or len(names)) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
