"""Target accuracy against the source accuracy that is kept: a line through the strengths of each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlcli.report import drawing, style
from tlcli.report.plots.arms import MOST_PANELS
from tlcli.report.plots.axes import Looks, percents, plot, spread, tell
from tlcli.report.study import Cell
from tlcli.report.study.entry import by
from tlcli.report.words import percent, plural


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
        for curve in (sorted(curve, key=_kept) for curve in curves if curve[0].size == size):
            look = methods[curve[0].method]
            ax.plot(*_places(curve), color=look.colour, lw=1.1)
        for cell in (c for c in cells if c.size == size):
            _cross(ax, cell, looks[cell.arm], methods[cell.method].marker, filled=cell in best)
        edge = sorted((c for c in best if c.size == size), key=_kept)
        ax.step(*_places(edge), where="pre", color=style.MUTED, lw=6, alpha=0.25, zorder=0)
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("source accuracy kept (%)")
        ax.set_ylabel("test accuracy (%)")
    handles = [_handle(look) for look in methods.values()]
    drawing.legend_on_top(figure, handles, list(methods), columns=legend_columns)
    return figure


def _handle(look: style.Look) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=look.colour, marker=look.marker, lw=1.1)


def _kept(cell: Cell) -> float:
    return 100 * (cell.after or 0.0)


def _places(cells: Sequence[Cell]) -> tuple[list[float], list[float]]:
    return [_kept(c) for c in cells], percents([c.mean for c in cells])


def _cross(ax: Any, c: Cell, look: style.Look, marker: str, *, filled: bool) -> None:
    """One arm; all of a method have one marker, whatever theirs is elsewhere."""
    x, y = _kept(c), 100 * c.mean
    if c.interval is not None:
        plot(ax, [x, x], percents(c.interval), look, lw=0.9)
    if c.lost_interval is not None:
        half = 50 * (c.lost_interval[1] - c.lost_interval[0])
        plot(ax, [x - half, min(x + half, 100.0)], [y, y], look, lw=0.9)
    tip = f"{tell(c)}; source accuracy kept: {percent(c.after or 0.0, c.task.digits)}"
    fill = look.colour if filled else style.PAPER
    plot(ax, [x], [y], look, [tip], marker=marker, ms=6, mfc=fill)
