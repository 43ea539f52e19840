"""Target accuracy against what is kept of the source task: a line through the strengths of each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlcli.report import drawing, style
from tlcli.report.plots.arms import MOST_PANELS
from tlcli.report.plots.axes import Looks, handles, spread
from tlcli.report.study import Cell
from tlcli.report.study.entry import by
from tlcli.report.words import plural


def frontier(
    cells: Sequence[Cell],
    curves: Sequence[Sequence[Cell]],
    best: Sequence[Cell],
    looks: Looks,
    columns: int,
) -> Any:
    """A panel per number of images; `curves` are joined by a line, `best` by a step, and filled."""
    sizes = spread(sorted({c.size for c in cells}), MOST_PANELS)
    methods = {method: looks[group[0].arm] for method, group in by(cells, lambda c: c.method).items()}
    width = drawing.width_for(columns, len(sizes))
    room, legend_columns = drawing.legend_room(list(methods), width)
    figure, axes = drawing.grid(len(sizes), columns, height=3.0, legend=room, width=width)
    for ax, size in zip(axes, sizes, strict=True):
        there = [c for c in cells if c.size == size]
        for cell in there:
            _cross(ax, cell, methods[cell.method], filled=cell in best)
        for curve in (sorted(curve, key=_kept) for curve in curves if curve[0].size == size):
            look = methods[curve[0].method]
            ax.plot(
                [_kept(c) for c in curve],
                [100 * c.mean for c in curve],
                color=look.colour,
                linestyle=look.line,
            )
        edge = sorted((c for c in best if c.size == size), key=_kept)
        ax.step(
            [_kept(c) for c in edge],
            [100 * c.mean for c in edge],
            where="pre",
            color=style.MUTED,
            lw=6,
            alpha=0.25,
        )
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("source accuracy kept (%)")
        ax.set_ylabel("test accuracy (%)")
    drawing.legend_on_top(figure, handles(list(methods), methods), list(methods), columns=legend_columns)
    return figure


def _kept(cell: Cell) -> float:
    return 100 * (cell.after or 0.0)


def _cross(ax: Any, c: Cell, look: style.Look, *, filled: bool) -> None:
    x, y = _kept(c), 100 * c.mean
    if c.interval is not None:
        ax.plot([x, x], [100 * v for v in c.interval], color=look.colour, lw=0.9)
    if c.lost_interval is not None:
        half = 50 * (c.lost_interval[1] - c.lost_interval[0])
        ax.plot([x - half, x + half], [y, y], color=look.colour, lw=0.9)
    fill = look.colour if filled else style.PAPER
    ax.plot([x], [y], look.marker, color=look.colour, ms=6, markerfacecolor=fill)
