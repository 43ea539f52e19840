"""The figures of a study of arms, sizes and runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.plots.axes import (
    LONGEST,
    Looks,
    arm_axis,
    arm_legend,
    chance,
    end_labels,
    only_left,
    percents,
    plot,
    size_axis,
    spread,
    tell,
    value_labels,
)
from tlcli.report.study import Cell, Task
from tlcli.report.study.contrasts import Contrast
from tlcli.report.study.entry import by
from tlcli.report.words import between, count, number, percent, plural, points, show

MOST_PANELS = 12
WIDEST = 1.25
"""The ratio of the places of the last and the first arm on the axis of sizes."""
MOST_LABELS = 8
"""The most arms with labels at the ends of their lines; more have a legend."""
FEW_RUNS = 4
"""The most runs drawn as points; more are a box."""


def accuracy_by_size(task: Task, looks: Looks, columns: int) -> Any:
    """Mean test accuracy and its interval against the number of training images, a panel per variant."""
    panels = by(task.cells, lambda c: c.variant)
    width = drawing.width_for(columns, len(panels))
    direct = len(task.arms) <= (MOST_LABELS if columns > 1 else 4) and max(map(len, task.arms)) <= LONGEST
    room, legend_columns = (0.0, 1) if direct else drawing.legend_room(task.arms, width)
    figure, axes = drawing.grid(len(panels), columns, height=3.2, legend=room, sharey=True, width=width)
    step = min(1.035, WIDEST ** (1 / max(1, len(task.arms) - 1)))
    for ax, variant in zip(axes, task.variants, strict=True):
        ends = []
        for i, arm in enumerate(task.arms):
            cells = [c for c in panels[variant] if c.arm == arm]
            if not cells:
                continue
            look, dodge = looks[arm], step ** (i - (len(task.arms) - 1) / 2)
            x, y = [c.size * dodge for c in cells], percents([c.mean for c in cells])
            tips = [tell(c) for c in cells]
            plot(ax, x, y, look, tips, linestyle=look.line, marker=look.marker, zorder=3)
            for xi, c in zip(x, cells, strict=True):
                if c.interval is not None:
                    plot(ax, [xi, xi], percents(c.interval), look, lw=1.1, zorder=2)
            ends.append((x[-1], y[-1], arm, look))
        chance(ax, task, axis="y")
        size_axis(ax, task.sizes)
        ax.set_ylabel("test accuracy (%)")
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -1), min(high, 100.6))
        ax.set_title(variant)
        if direct:
            end_labels(ax, ends)
    only_left(axes, columns)
    if not direct:
        arm_legend(figure, task.arms, looks, legend_columns)
    return figure


def accuracy_rows(task: Task, looks: Looks, columns: int) -> Any:
    """One size: a row per arm, the best on top, with runs, mean and interval; a panel per variant."""
    panels = by(task.cells, lambda c: c.variant)
    height = 0.8 + 0.26 * len(task.arms)
    figure, axes = drawing.grid(
        len(panels), 1, height=height, sharex=True, width=drawing.width_for(columns, 1)
    )
    for ax, variant in zip(axes, task.variants, strict=True):
        cells = sorted(panels[variant], key=lambda c: -c.mean)
        for y, c in enumerate(cells):
            look = looks[c.arm]
            if c.interval is not None:
                plot(ax, percents(c.interval), [y, y], look, lw=1.6)
            if len(c.values) > 1:
                plot(ax, percents(c.values), [y] * len(c.values), look, marker="|", ls="none", ms=8, mew=1.1)
            plot(ax, [100 * c.mean], [y], look, [tell(c)], marker=look.marker, ms=7)
        chance(ax, task, axis="x")
        mine = [looks[c.arm] for c in cells]
        arm_axis(ax, [c.arm for c in cells], mine)
        value_labels(ax, [number(100 * c.mean, task.digits) for c in cells], mine)
        ax.set_title(variant)
    axes[-1].set_xlabel("test accuracy (%)")
    return figure


def runs(task: Task, looks: Looks, columns: int) -> Any:
    """Every run, a panel per size with a scale of its own, a row per arm and variant."""
    sizes = spread(task.sizes, MOST_PANELS)
    panels = [sorted(task.at(size=s), key=lambda c: task.arms.index(c.arm)) for s in sizes]
    most = max(map(len, panels))
    figure, axes = drawing.grid(len(sizes), columns, height=0.8 + 0.24 * most)
    for ax, size, cells in zip(axes, sizes, panels, strict=True):
        for y, c in enumerate(cells):
            _run_row(ax, y, c, looks[c.arm], hollow=task.variants.index(c.variant) > 0)
        # A bar would end the axis at its edge and cut the symbols there.
        ax.use_sticky_edges = False
        arm_axis(ax, [c.name for c in cells], [looks[c.arm] for c in cells], rows=most)
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("test accuracy (%)")
    return figure


def _run_row(ax: Any, y: int, cell: Cell, look: style.Look, *, hollow: bool) -> None:
    values, colour = percents(cell.values), look.colour
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


def differences(contrasts: Sequence[Contrast], looks: Looks, label: str, columns: int) -> Any:
    """Differences with their intervals: a row per arm, sorted, a panel per size, all on one scale."""
    panels = by(contrasts, lambda c: c.first.size)
    sizes = spread(sorted(panels), MOST_PANELS)
    most = max(len(panels[s]) for s in sizes)
    figure, axes = drawing.grid(len(sizes), columns, height=0.85 + 0.25 * most, sharex=True)
    for ax, size in zip(axes, sizes, strict=True):
        ordered = sorted(panels[size], key=lambda c: -c.difference)
        ax.axvline(0, color=style.MUTED, lw=1.1, zorder=1)
        for y, c in enumerate(ordered):
            _difference(ax, y, c, looks[c.first.arm])
        mine = [looks[c.first.arm] for c in ordered]
        arm_axis(ax, [c.first.name for c in ordered], mine, rows=most)
        value_labels(ax, [_points_text(c) for c in ordered], mine)
        ax.set_title(plural(size, "training image"))
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(label)
    return figure


def overview(tasks: Sequence[Task], looks: Looks, label: str, columns: int) -> Any:
    """Gains by task, the largest on top: a mark per arm, sizes as panels."""
    gains = [c for t in tasks for c in t.gains]
    arms = [a for a in looks if any(c.first.arm == a for c in gains)]
    sizes = spread(sorted({c.first.size for c in gains}), 4)
    width = drawing.width_for(columns, len(sizes))
    room, legend_columns = drawing.legend_room(arms, width)
    rank = {id(t): -max(c.difference for c in t.gains) for t in tasks}
    ordered = sorted(tasks, key=lambda t: rank[id(t)])
    height = 0.85 + (0.16 + 0.11 * len(arms)) * len(tasks)
    figure, axes = drawing.grid(
        len(sizes), columns, height=height, legend=room, sharex=True, sharey=True, width=width
    )
    for ax, size in zip(axes, sizes, strict=True):
        ax.axvline(0, color=style.MUTED, lw=1.1, zorder=1)
        for y, t in enumerate(ordered):
            for c in t.gains:
                if c.first.size == size:
                    place = arms.index(c.first.arm) - (len(arms) - 1) / 2
                    _difference(ax, y + 0.7 * place / max(len(arms), 2), c, looks[c.first.arm])
        arm_axis(ax, [t.name for t in ordered])
        ax.set_title(plural(size, "training image") if len(sizes) > 1 else "")
        ax.set_xlabel(label)
    arm_legend(figure, arms, looks, legend_columns, line=False)
    return figure


def _points_text(c: Contrast) -> str:
    return show(100 * c.difference, "points", c.first.task.digits)


def _difference(ax: Any, y: float, c: Contrast, look: style.Look) -> None:
    if c.interval is not None:
        plot(ax, percents(c.interval), [y, y], look, lw=1.6, zorder=2)
    interval = f" ({between(c.interval, c.first.task.digits)})" if c.interval else ""
    tip = f"{c.first.name} less {c.second.name}, {c.first.where}: {_points_text(c)} points{interval}"
    fill = look.colour if c.apart else style.PAPER
    plot(ax, [100 * c.difference], [y], look, [tip], marker=look.marker, mfc=fill, ms=6.5, zorder=3)


def curves(cells: Sequence[Cell], looks: Looks, columns: int) -> Any:
    """Mean test accuracy against images seen, a panel per size; the band is one standard deviation."""
    drawn = [c for c in cells if c.curve is not None]
    arms = list(dict.fromkeys(c.arm for c in sorted(drawn, key=lambda c: list(looks).index(c.arm))))
    sizes = spread(sorted({c.size for c in drawn}), MOST_PANELS)
    width = drawing.width_for(columns, len(sizes))
    room, legend_columns = drawing.legend_room(arms, width)
    figure, axes = drawing.grid(len(sizes), columns, height=2.5, legend=room, sharey=True, width=width)
    low, high = curve_limits(drawn)
    for ax, size in zip(axes, sizes, strict=True):
        for c in drawn:
            if c.size != size or c.curve is None:
                continue
            look, seen, mean, sd = looks[c.arm], c.curve.seen / 1000, 100 * c.curve.mean, 100 * c.curve.sd
            if sd.any():
                top = np.minimum(mean + sd, 100)
                band = ax.fill_between(seen, mean - sd, top, color=look.colour, alpha=0.18, lw=0)
                drawing.tag(band, look.number)
            # Marks beyond the panel are not drawn, and those after them would show the wrong value.
            marked = [i for i in range(0, len(seen), max(1, len(seen) // 6)) if low <= mean[i] <= high]
            tips = [_on_curve(c, i) for i in marked]
            plot(ax, seen, mean, look, tips, ls=look.line, marker=look.marker, markevery=marked, ms=4.5)
        ax.set_ylim(low, high)
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("images seen (thousands)")
        ax.set_ylabel("test accuracy (%)")
    only_left(axes, columns)
    arm_legend(figure, arms, looks, legend_columns)
    return figure


def _on_curve(c: Cell, i: int) -> str:
    assert c.curve is not None
    return f"{c.name} after {count(c.curve.seen[i])} images: {percent(c.curve.mean[i], c.task.digits)}"


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


def forgetting(cells: Sequence[Cell], looks: Looks, columns: int) -> Any:
    """A panel per size, a cross of intervals per arm (and variant, hollow from the second)."""
    arms = [a for a in looks if any(c.arm == a for c in cells)]
    variants = list(dict.fromkeys(c.variant for c in cells))
    sizes = spread(sorted({c.size for c in cells}), MOST_PANELS)
    width = drawing.width_for(columns, len(sizes))
    room, legend_columns = drawing.legend_room(arms, width)
    figure, axes = drawing.grid(len(sizes), columns, height=2.6, legend=room, width=width, sharex=True)
    for ax, size in zip(axes, sizes, strict=True):
        for c in cells:
            if c.size == size:
                _cross(ax, c, looks[c.arm], hollow=variants.index(c.variant) > 0)
        ax.axvline(0, color=style.MUTED, lw=0.9, zorder=0)
        ax.set_title(plural(size, "training image"))
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("source accuracy lost (points)")
        ax.set_ylabel("test accuracy (%)")
    arm_legend(figure, arms, looks, legend_columns, line=False)
    return figure


def _cross(ax: Any, c: Cell, look: style.Look, *, hollow: bool) -> None:
    assert c.lost is not None
    x, y = 100 * c.lost.mean, 100 * c.mean
    if c.interval is not None:
        plot(ax, [x, x], percents(c.interval), look, lw=1.1)
    if c.lost_interval is not None:
        plot(ax, percents(c.lost_interval), [y, y], look, lw=1.1)
    tip = f"{tell(c)}; source accuracy lost: {points(c.lost.mean, c.task.digits)}"
    fill = style.PAPER if hollow else look.colour
    plot(ax, [x], [y], look, [tip], marker=look.marker, ms=7, mfc=fill)


def parts(cells: Sequence[Cell], columns: int) -> Any:
    """Squared bias and variance as stacked horizontal bars, a panel per size with its own scale."""
    from matplotlib.patches import Patch

    sizes = spread(sorted({c.size for c in cells}), 6)
    panels = [[c for c in cells if c.size == s] for s in sizes]
    most = max(map(len, panels))
    figure, axes = drawing.grid(len(sizes), columns, height=0.8 + 0.22 * most, legend=0.32)
    steady, changing = style.TEST, style.TRAIN
    for ax, size, mine in zip(axes, sizes, panels, strict=True):
        for y, c in enumerate(mine):
            if c.parts is not None:
                bias = 100 * max(c.parts.bias, 0)
                ax.barh(y, bias, height=0.62, color=steady)
                ax.barh(y, 100 * c.parts.variance, left=bias, height=0.62, color=changing)
        arm_axis(ax, [c.name for c in mine], rows=most)
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("test error (%)")
    colours = [Patch(color=steady), Patch(color=changing)]
    drawing.legend_on_top(figure, colours, ["squared bias", "variance"], columns=2)
    return figure
