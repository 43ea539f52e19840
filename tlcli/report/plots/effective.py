"""Effective data against data, an arm a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.plots.axes import Looks, arm_legend, cross, plot, size_axis, tell
from tlcli.report.study import Cell
from tlcli.report.study.entry import by
from tlcli.report.study.worth import Worth


def draw_effective_data(valued: Sequence[tuple[Cell, Worth]], looks: Looks, columns: int) -> Any:
    """A panel per variant; both axes logarithmic, with the line on which nothing is gained."""
    panels = by(valued, lambda one: one[0].variant)
    legend = arm_legend({c.arm for c, _ in valued}, looks)
    arms = list(legend)
    figure, axes = drawing.grid(len(panels), columns, height=3.4, legend=legend, sharey=True)
    for ax, (variant, those) in zip(axes, panels.items(), strict=True):
        for arm, curve in by(those, lambda one: one[0].arm).items():
            _draw_curve(ax, curve, looks[arm], place=arms.index(arm) - (len(arms) - 1) / 2)
        sizes = sorted({c.size for c, _ in those})
        ends = [sizes[0], those[0][1].largest]
        ax.plot(ends, ends, ":", color=style.MUTED, lw=1.1, zorder=1)
        size_axis(ax, sizes)
        measured = {n for _, w in those for n in (w.smallest, w.largest)}
        size_axis(ax, sorted({*sizes, *measured}), "images from scratch", side="y")
        ax.set_title(variant)
    return figure


def _draw_curve(ax: Any, curve: Sequence[tuple[Cell, Worth]], look: style.Look, *, place: float) -> None:
    """One arm: what lies beyond the measured sizes is a hollow arrowhead at the last of them."""
    x = [c.size * 1.03**place for c, _ in curve]
    y = [_within(w.images, w) for _, w in curve]
    plot(ax, x, y, look, linestyle=look.line)
    for xi, yi, (c, w) in zip(x, y, curve, strict=True):
        how: dict[str, Any] = (
            {} if np.isfinite(w.images) else {"marker": "^" if w.images > 0 else "v", "mfc": style.PAPER}
        )
        cross(ax, xi, yi, look, tell(c), up=[_within(w.low, w), _within(w.high, w)], **how)


def _within(images: float, w: Worth) -> float:
    return float(np.clip(images, w.smallest, w.largest))
