"""Target accuracy against the source accuracy that is kept: a line through the strengths of each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlcli.report import style
from tlcli.report.columns import percents
from tlcli.report.plots.axes import ACCURACY, Looks, cross, size_panels, tell
from tlcli.report.study import Cell
from tlcli.report.study.entry import by
from tlcli.report.words import percent


def draw_frontier(
    cells: Sequence[Cell], curves: Sequence[Sequence[Cell]], best: Sequence[Cell], looks: Looks, columns: int
) -> Any:
    """A panel per number of images; `curves` are joined by a line, `best` by a step, and filled.

    All arms of a method have one marker, whatever theirs is elsewhere.
    """
    methods = {method: looks[group[0].arm] for method, group in by(cells, lambda c: c.method).items()}
    legend = {m: {"color": look.colour, "marker": look.marker, "lw": 1.1} for m, look in methods.items()}
    label = "source accuracy kept (%)"
    figure, panels = size_panels(cells, columns, label, ACCURACY, height=3.0, legend=legend)
    for ax, group in panels:
        for curve in (c for c in curves if c[0] in group):
            ax.plot(*_places(curve), color=methods[curve[0].method].colour, lw=1.1)
        for c in group:
            _draw_cross(ax, c, looks[c.arm], methods[c.method].marker, filled=c in best)
        edge = [c for c in best if c in group]
        ax.step(*_places(edge), where="pre", color=style.MUTED, lw=6, alpha=0.25, zorder=0)
    return figure


def _kept(cell: Cell) -> float:
    return 100 * (cell.after or 0.0)


def _places(cells: Sequence[Cell]) -> tuple[list[float], list[float]]:
    """The places of the cells, from the one that keeps least on."""
    ordered = sorted(cells, key=_kept)
    return [_kept(c) for c in ordered], [100 * c.mean for c in ordered]


def _draw_cross(ax: Any, c: Cell, look: style.Look, marker: str, *, filled: bool) -> None:
    x, across = _kept(c), None
    if c.lost is not None and c.lost.interval is not None:
        half = 50 * (c.lost.interval[1] - c.lost.interval[0])
        across = x - half, min(x + half, 100.0)
    tip = f"{tell(c)}; source accuracy kept: {percent(c.after or 0.0, c.task.digits)}"
    fill = look.colour if filled else style.PAPER
    up = percents(c.interval)
    cross(ax, x, 100 * c.mean, look, tip, across=across, up=up, lw=0.9, marker=marker, ms=6, mfc=fill)
