"""The figures of a study of arms, sizes and runs."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.columns import percents
from tlcli.report.plots.axes import (
    ACCURACY,
    LONGEST,
    Looks,
    arm_axis,
    arm_legend,
    cross,
    draw_chance,
    end_labels,
    only_left,
    plot,
    size_axis,
    size_panels,
    tell,
    value_labels,
)
from tlcli.report.study import Cell, Task
from tlcli.report.study.contrasts import Contrast
from tlcli.report.study.entry import by
from tlcli.report.study.worth import Worth
from tlcli.report.words import between, count, number, percent, points, show

WIDEST = 1.25
"""The ratio of the places of the last and the first arm on the axis of sizes."""
MOST_LABELS = 8
"""The most arms with labels at the ends of their lines; more have a legend."""
FEW_RUNS = 4
"""The most runs drawn as points; more are a box."""


def draw_accuracy_by_size(task: Task, looks: Looks, columns: int) -> Any:
    """Mean test accuracy and its interval against the number of training images, a panel per variant."""
    panels = by(task.cells, lambda c: c.variant)
    direct = len(task.arms) <= (MOST_LABELS if columns > 1 else 4) and max(map(len, task.arms)) <= LONGEST
    legend = [] if direct else arm_legend(task.arms, looks)
    figure, axes = drawing.grid(len(panels), columns, height=3.2, legend=legend, sharey=True)
    step = min(1.035, WIDEST ** (1 / max(1, len(task.arms) - 1)))
    for ax, variant in zip(axes, task.variants, strict=True):
        ends = []
        for arm, cells in by(panels[variant], lambda c: c.arm).items():
            look, dodge = looks[arm], step ** (task.arms.index(arm) - (len(task.arms) - 1) / 2)
            x, y = [c.size * dodge for c in cells], [100 * c.mean for c in cells]
            plot(ax, x, y, look, linestyle=look.line)
            for xi, yi, c in zip(x, y, cells, strict=True):
                cross(ax, xi, yi, look, tell(c), up=percents(c.interval))
            ends.append((x[-1], y[-1], arm, look))
        draw_chance(ax, task, axis="y")
        size_axis(ax, task.sizes)
        ax.set_ylabel(ACCURACY)
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -1), min(high, 100.6))
        ax.set_title(variant)
        if direct:
            end_labels(ax, ends)
    only_left(axes, columns)
    return figure


def draw_accuracy_rows(task: Task, looks: Looks, columns: int) -> Any:
    """One size: a row per arm, the best on top, with runs, mean and interval; a panel per variant."""
    panels = by(task.cells, lambda c: c.variant)
    width = drawing.NARROW if columns == 1 else drawing.SINGLE
    height = 0.8 + 0.26 * len(task.arms)
    figure, axes = drawing.grid(len(panels), 1, height=height, sharex=True, width=width)
    for ax, variant in zip(axes, task.variants, strict=True):
        cells = sorted(panels[variant], key=lambda c: -c.mean)
        for y, c in enumerate(cells):
            look, values = looks[c.arm], [100 * v for v in c.values]
            if len(values) > 1:
                plot(ax, values, [y] * len(values), look, marker="|", ls="none", ms=8, mew=1.1)
            cross(ax, 100 * c.mean, y, look, tell(c), across=percents(c.interval), lw=1.6, ms=7)
        draw_chance(ax, task, axis="x")
        mine = [looks[c.arm] for c in cells]
        arm_axis(ax, [c.arm for c in cells], mine)
        value_labels(ax, [number(100 * c.mean, task.digits) for c in cells], mine)
        ax.set_title(variant)
    axes[-1].set_xlabel(ACCURACY)
    return figure


def draw_runs(task: Task, looks: Looks, columns: int) -> Any:
    """Every run, a panel per size with a scale of its own, a row per arm and variant."""
    ordered = sorted(task.cells, key=lambda c: task.arms.index(c.arm))
    figure, panels = size_panels(ordered, columns, ACCURACY, height=0.8, row=0.24)
    for ax, cells in panels:
        for y, c in enumerate(cells):
            _draw_run_row(ax, y, c, looks[c.arm], hollow=task.variants.index(c.variant) > 0)
        # A bar would end the axis at its edge and cut the symbols there.
        ax.use_sticky_edges = False
        rows = max(len(cells) for _, cells in panels)
        arm_axis(ax, [c.name for c in cells], [looks[c.arm] for c in cells], rows=rows)
    return figure


def _draw_run_row(ax: Any, y: int, cell: Cell, look: style.Look, *, hollow: bool) -> None:
    values, colour = [100 * v for v in cell.values], look.colour
    drawn: list[Any] = []
    if len(values) > FEW_RUNS:
        q1, median, q3 = np.percentile(values, [25, 50, 75])
        drawn.append(ax.hlines(y, min(values), max(values), color=colour, lw=1.1))
        drawn += ax.barh(y, q3 - q1, left=q1, height=0.56, edgecolor=colour, lw=1.1, fc=style.PAPER, zorder=2)
        drawn.append(ax.vlines(median, y - 0.28, y + 0.28, color=colour, lw=2, zorder=3))
    elif len(values) > 1:
        drawn.append(ax.vlines(100 * cell.mean, y - 0.28, y + 0.28, color=colour, lw=1.6))
    for artist in drawn:
        drawing.tag(artist, look.number)
    fill = style.PAPER if hollow else colour
    tips = [f"{cell.name}: {number(v, cell.task.digits)} %" for v in values]
    plot(ax, values, [y] * len(values), look, tips, marker=look.marker, ms=4.2, mfc=fill, ls="none", zorder=4)


def draw_differences(contrasts: Sequence[Contrast], looks: Looks, label: str, columns: int) -> Any:
    """Differences with their intervals: a row per arm, sorted, a panel per size, all on one scale."""
    ordered = sorted(contrasts, key=lambda c: -c.difference)
    figure, panels = size_panels(ordered, columns, label, height=0.85, row=0.25, sharex=True)
    for ax, group in panels:
        ax.axvline(0, color=style.MUTED, lw=1.1, zorder=1)
        for y, c in enumerate(group):
            _draw_difference(ax, y, c, looks[c.first.arm])
        mine = [looks[c.first.arm] for c in group]
        arm_axis(ax, [c.first.name for c in group], mine, rows=max(len(group) for _, group in panels))
        value_labels(ax, [_points_text(c) for c in group], mine)
    return figure


def draw_overview(tasks: Sequence[Task], looks: Looks, label: str, columns: int) -> Any:
    """Gains by task, the largest on top: a mark per arm, sizes as panels."""
    ordered = sorted(tasks, key=lambda t: -max(c.difference for c in t.gains))
    gains = [c for t in ordered for c in t.gains]
    arms = [a for a in looks if any(c.first.arm == a for c in gains)]
    height, legend = 0.85 + (0.16 + 0.11 * len(arms)) * len(tasks), arm_legend(arms, looks, line=False)
    figure, panels = size_panels(
        gains, columns, label, height=height, most=4, legend=legend, sharex=True, sharey=True
    )
    for ax, group in panels:
        ax.axvline(0, color=style.MUTED, lw=1.1, zorder=1)
        for c in group:
            place = 0.7 * (arms.index(c.first.arm) - (len(arms) - 1) / 2) / max(len(arms), 2)
            _draw_difference(ax, ordered.index(c.first.task) + place, c, looks[c.first.arm])
        arm_axis(ax, [t.name for t in ordered])
        if len(panels) == 1:
            ax.set_title("")
    return figure


def _points_text(c: Contrast) -> str:
    return show(100 * c.difference, "points", c.first.task.digits)


def _draw_difference(ax: Any, y: float, c: Contrast, look: style.Look) -> None:
    interval = f" ({between(c.interval, c.first.task.digits)})" if c.interval else ""
    tip = f"{c.first.name} less {c.second.name}, {c.first.where}: {_points_text(c)} points{interval}"
    fill = look.colour if c.apart else style.PAPER
    cross(ax, 100 * c.difference, y, look, tip, across=percents(c.interval), lw=1.6, mfc=fill, ms=6.5)


def draw_curves(cells: Sequence[Cell], looks: Looks, columns: int) -> Any:
    """Mean test accuracy against images seen, a panel per size; the band is one standard deviation."""
    drawn = [c for c in cells if c.curve is not None]
    legend = arm_legend({c.arm for c in drawn}, looks)
    figure, panels = size_panels(
        drawn, columns, "images seen (thousands)", ACCURACY, height=2.5, legend=legend, sharey=True
    )
    low, high = curve_limits(drawn)
    for ax, group in panels:
        for c in group:
            _draw_curve(ax, c, looks[c.arm], low, high)
        ax.set_ylim(low, high)
    only_left([ax for ax, _ in panels], columns)
    return figure


def _draw_curve(ax: Any, c: Cell, look: style.Look, low: float, high: float) -> None:
    assert c.curve is not None
    seen, mean, sd = c.curve.seen / 1000, 100 * c.curve.mean, 100 * c.curve.sd
    if sd.any():
        top = np.minimum(mean + sd, 100)
        band = ax.fill_between(seen, mean - sd, top, color=look.colour, alpha=0.18, lw=0)
        drawing.tag(band, look.number)
    # Marks beyond the panel are not drawn, and those after them would show the wrong value.
    marked = [i for i in range(0, len(seen), max(1, len(seen) // 6)) if low <= mean[i] <= high]
    tips = [
        f"{c.name} after {count(c.curve.seen[i])} images: {percent(c.curve.mean[i], c.task.digits)}"
        for i in marked
    ]
    plot(ax, seen, mean, look, tips, ls=look.line, marker=look.marker, markevery=marked, ms=4.5)


def curve_limits(cells: Sequence[Cell]) -> tuple[float, float]:
    """The limits of the panels: the curves without their steep beginning, and whole bands."""
    parts = [
        (100 * c.curve.mean[len(c.curve.seen) // 12 :], 100 * c.curve.sd[len(c.curve.seen) // 12 :])
        for c in cells
        if c.curve is not None
    ]
    low, high = min(float(m.min()) for m, _ in parts), max(float((m + sd).max()) for m, sd in parts)
    if any(2 * sd.max() > max(m.max() for m, _ in parts) - low for _, sd in parts):
        low = min(float((m - sd).min()) for m, sd in parts)
    margin = 0.06 * (high - low) + 0.1
    return max(low - margin, -0.5), min(high + margin, 100.4)


def is_cut(cells: Sequence[Cell]) -> bool:
    """Whether the beginning of a mean curve lies below its panel."""
    low, _ = curve_limits(cells)
    return any(100 * c.curve.mean.min() < low for c in cells if c.curve is not None)


def draw_forgetting(cells: Sequence[Cell], looks: Looks, columns: int) -> Any:
    """A panel per size, a cross of intervals per arm (and variant, hollow from the second)."""
    variants = list(dict.fromkeys(c.variant for c in cells))
    legend, label = arm_legend({c.arm for c in cells}, looks, line=False), "source accuracy lost (points)"
    figure, panels = size_panels(cells, columns, label, ACCURACY, height=2.6, legend=legend, sharex=True)
    for ax, group in panels:
        for c in group:
            if c.lost is None:
                continue
            look, across, up = looks[c.arm], percents(c.lost.interval), percents(c.interval)
            tip = f"{tell(c)}; source accuracy lost: {points(c.lost.mean, c.task.digits)}"
            fill = style.PAPER if variants.index(c.variant) else look.colour
            cross(ax, 100 * c.lost.mean, 100 * c.mean, look, tip, across=across, up=up, ms=7, mfc=fill)
        ax.axvline(0, color=style.MUTED, lw=0.9, zorder=0)
    return figure


def draw_parts(cells: Sequence[Cell], columns: int) -> Any:
    """Squared bias and variance as stacked horizontal bars, a panel per size with its own scale."""
    legend = [("squared bias", {"color": style.TEST, "lw": 6}), ("variance", {"color": style.TRAIN, "lw": 6})]
    figure, panels = size_panels(
        cells, columns, "test error (%)", height=0.8, row=0.22, most=6, legend=legend
    )
    for ax, group in panels:
        for y, c in enumerate(group):
            if c.parts is not None:
                bias = 100 * max(c.parts.bias, 0)
                ax.barh(y, bias, height=0.62, color=style.TEST)
                ax.barh(y, 100 * c.parts.variance, left=bias, height=0.62, color=style.TRAIN)
        arm_axis(ax, [c.name for c in group], rows=max(len(group) for _, group in panels))
    return figure


def draw_frontier(
    cells: Sequence[Cell], curves: Sequence[Sequence[Cell]], best: Sequence[Cell], looks: Looks, columns: int
) -> Any:
    """A panel per number of images; `curves` are joined by a line, `best` by a step, and filled.

    All arms of a method have one marker, whatever theirs is elsewhere.
    """
    methods = {method: looks[group[0].arm] for method, group in by(cells, lambda c: c.method).items()}
    legend = [(m, {"color": look.colour, "marker": look.marker, "lw": 1.1}) for m, look in methods.items()]
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


def draw_effective_data(valued: Sequence[tuple[Cell, Worth]], looks: Looks, columns: int) -> Any:
    """A panel per task and variant; both axes logarithmic, with the line on which nothing is gained."""
    several = len({c.task for c, _ in valued}) > 1

    def title(one: tuple[Cell, Worth]) -> str:
        names = [one[0].task.name if several else "", one[0].variant]
        return ": ".join(filter(None, names))

    panels = by(valued, title)
    legend = arm_legend({c.arm for c, _ in valued}, looks)
    arms = [arm for arm, _ in legend]
    figure, axes = drawing.grid(len(panels), columns, height=3.4, legend=legend, sharey=True)
    for ax, (name, those) in zip(axes, panels.items(), strict=True):
        for arm, curve in by(those, lambda one: one[0].arm).items():
            _draw_worths(ax, curve, looks[arm], place=arms.index(arm) - (len(arms) - 1) / 2)
        sizes = sorted({c.size for c, _ in those})
        ends = [sizes[0], those[0][1].largest]
        ax.plot(ends, ends, ":", color=style.MUTED, lw=1.1, zorder=1)
        size_axis(ax, sizes)
        measured = {n for _, w in those for n in (w.smallest, w.largest)}
        size_axis(ax, sorted({*sizes, *measured}), "images from scratch", side="y")
        ax.set_title(fill(name, 40))
    return figure


def _draw_worths(ax: Any, curve: Sequence[tuple[Cell, Worth]], look: style.Look, *, place: float) -> None:
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
