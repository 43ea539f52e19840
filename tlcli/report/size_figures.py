"""The figures of a size study: accuracy against the number of training images, box plots, curves, gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.report import drawing, style
from tlcli.report.gather import Entry, arms_of, sizes_of, variants_of
from tlcli.report.pairs import Contrast, drawn, units
from tlcli.report.words import count, plural

Curves = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]

MOST_PANELS = 12
WIDEST = 1.25
"""The last arm's place on the axis of sizes by the first one's: the many are set closer than the few."""
FEWEST_MEASURED = 3
"""Measurements of a curve: two say where it begins and ends, not how it gets there."""


def accuracy_by_size(entries: Sequence[Entry], looks: dict[str, style.Look], columns: int) -> Any:
    """Mean test accuracy and its 95 % interval against the number of training images, a panel per variant."""
    variants, arms, sizes = variants_of(entries), arms_of(entries), sizes_of(entries)
    width = drawing.width_for(columns, len(variants))
    room, legend_columns = drawing.legend_room(arms, width)
    figure, axes = drawing.grid(len(variants), columns, height=3.0, legend=room, sharey=True, width=width)
    for ax, variant in zip(axes, variants, strict=True):
        step = min(1.035, WIDEST ** (1 / max(1, len(arms) - 1)))
        for i, arm in enumerate(arms):
            dodge = step ** (i - (len(arms) - 1) / 2)
            stats = [
                (s, drawn(g))
                for s in sizes
                if (g := [e for e in entries if e.arm == arm and e.size == s and e.variant == variant])
            ]
            if not stats:
                continue
            look = looks[arm]
            x = [s * dodge for s, _ in stats]
            y = [100 * m.mean for _, m in stats]
            ax.plot(x, y, color=look.colour, linestyle=look.line, marker=look.marker, zorder=3)
            for xi, (_, m) in zip(x, stats, strict=True):
                if m.low is not None and m.high is not None:
                    ax.plot([xi, xi], [100 * m.low, 100 * m.high], color=look.colour, lw=1.1, zorder=2)
        size_axis(ax, sizes)
        accuracy_axis(ax)
        ax.set_title(variant)
    _only_left(axes, columns)
    drawing.legend_on_top(figure, handles(arms, looks), arms, columns=legend_columns)
    return figure


def accuracy_dots(entries: Sequence[Entry], looks: dict[str, style.Look], columns: int) -> Any:
    """For a single size: every run, the mean and its 95 % interval, one line per arm, a panel per variant."""
    variants, arms = variants_of(entries), arms_of(entries)
    width = drawing.width_for(columns, 1)
    height = 0.75 + 0.3 * len(arms)
    figure, axes = drawing.grid(len(variants), 1, height=height, sharex=True, width=width)
    for ax, variant in zip(axes, variants, strict=True):
        for i, arm in enumerate(arms):
            group = [e for e in entries if e.arm == arm and e.variant == variant]
            if group:
                _dots(ax, i, group, looks[arm])
        _arm_axis(ax, arms)
        ax.set_title(variant)
    axes[-1].set_xlabel("test accuracy (%)")
    return figure


def boxes(entries: Sequence[Entry], looks: dict[str, style.Look], columns: int) -> Any:
    """Box plots over the runs, a panel per size (each with its own scale), a box per arm and variant."""
    variants, arms = variants_of(entries), arms_of(entries)
    sizes = spread(sizes_of(entries), MOST_PANELS)
    rows = [(arm, variant) for arm in arms for variant in variants]
    names = [f"{arm}, {variant}" if len(variants) > 1 else arm for arm, variant in rows]
    figure, axes = drawing.grid(len(sizes), columns, height=0.8 + 0.24 * len(rows), sharey=True)
    for ax, size in zip(axes, sizes, strict=True):
        for i, (arm, variant) in enumerate(rows):
            values = [100 * e.accuracy for e in entries if (e.size, e.arm, e.variant) == (size, arm, variant)]
            if values:
                _box(ax, i, values, looks[arm], hollow=variants.index(variant) > 0)
        # A bar would end the axis at its edge and cut the symbols there.
        ax.use_sticky_edges = False
        _arm_axis(ax, names)
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("test accuracy (%)")
    return figure


def curves(entries: Sequence[Entry], looks: dict[str, style.Look], columns: int) -> Any:
    """Mean test accuracy against samples seen, a panel per size; the band is one standard deviation."""
    arms = arms_of(e for e in entries if has_curve(e))
    sizes = spread(sizes_of(e for e in entries if has_curve(e)), MOST_PANELS)
    width = drawing.width_for(columns, len(sizes))
    room, legend_columns = drawing.legend_room(arms, width)
    figure, axes = drawing.grid(len(sizes), columns, height=2.5, legend=room, width=width)
    for ax, size in zip(axes, sizes, strict=True):
        found = mean_curves([e for e in entries if e.size == size])
        for arm, (seen, mean, sd) in found.items():
            look = looks[arm]
            if sd.any():
                band = mean - sd, np.minimum(mean + sd, 100)
                ax.fill_between(seen / 1000, *band, color=look.colour, alpha=0.18, lw=0)
            ax.plot(
                seen / 1000,
                mean,
                color=look.colour,
                linestyle=look.line,
                marker=look.marker,
                markevery=max(1, len(seen) // 6),
                markersize=4.5,
            )
        ax.set_ylim(*curve_limits(found))
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("samples seen (thousands)")
        ax.set_ylabel("test accuracy (%)")
    drawing.legend_on_top(figure, handles(arms, looks), arms, columns=legend_columns)
    return figure


def mean_curves(entries: Sequence[Entry]) -> Curves:
    """By arm: samples seen, and mean and standard deviation (of one run 0) of test accuracy in percent."""
    found = {}
    for arm in arms_of(drawn := [e for e in entries if has_curve(e)]):
        seen, values = curve_matrix([e for e in drawn if e.arm == arm])
        sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(seen))
        found[arm] = seen, 100 * values.mean(axis=0), 100 * sd
    return found


def curve_limits(found: Curves) -> tuple[float, float]:
    """What a panel shows: the curves but for their steep beginning; a band wider than their range, whole."""
    parts = [(mean[len(mean) // 12 :], sd[len(mean) // 12 :]) for _, mean, sd in found.values()]
    low, high = min(float(m.min()) for m, _ in parts), max(float((m + sd).max()) for m, sd in parts)
    if any(2 * sd.max() > max(m.max() for m, _ in parts) - low for _, sd in parts):
        low = min(float((m - sd).min()) for m, sd in parts)
    margin = 0.06 * (high - low) + 0.1
    return max(low - margin, -0.5), min(high + margin, 100.4)


def is_cut(entries: Sequence[Entry]) -> bool:
    """Whether the beginning of a mean curve lies below its panel."""
    panels = [mean_curves([e for e in entries if e.size == size]) for size in sizes_of(entries)]
    return any(mean.min() < curve_limits(p)[0] for p in panels for _, mean, _ in p.values())


def gains(contrasts: Sequence[Contrast], looks: dict[str, style.Look], columns: int, label: str) -> Any:
    """Differences with their 95 % intervals against the number of training images, a panel per variant."""
    variants = list(dict.fromkeys(c.variant for c in contrasts))
    arms = [a for a in looks if any(c.first == a for c in contrasts)]
    sizes = sorted({c.size for c in contrasts})
    width = drawing.width_for(columns, len(variants))
    room, legend_columns = drawing.legend_room(arms, width)
    figure, axes = drawing.grid(len(variants), columns, height=2.7, legend=room, sharey=True, width=width)
    for ax, variant in zip(axes, variants, strict=True):
        ax.axhline(0, color=style.MUTED, lw=1.1, zorder=1)
        for i, arm in enumerate(arms):
            mine = [c for c in contrasts if c.first == arm and c.variant == variant]
            for c in mine:
                x = sizes.index(c.size) + 0.62 * (i - (len(arms) - 1) / 2) / max(len(arms), 2)
                _difference(ax, x, c, looks[arm])
        ax.set_xticks(range(len(sizes)), [count(s) for s in sizes], rotation=0 if len(sizes) < 7 else 45)
        ax.set_xlim(-0.5, len(sizes) - 0.5)
        ax.grid(visible=False, axis="x")
        ax.set_xlabel("training images")
        ax.set_ylabel(label)
        ax.set_title(variant)
    _only_left(axes, columns)
    drawing.legend_on_top(figure, handles(arms, looks, line=False), arms, columns=legend_columns)
    return figure


def has_curve(e: Entry) -> bool:
    """Whether test accuracy was measured often enough to speak of a curve."""
    measured = len(e.run.history.get("test_accuracy", ()))
    return measured >= FEWEST_MEASURED and "samples_seen" in e.run.history


def curve_matrix(group: Sequence[Entry]) -> tuple[np.ndarray, np.ndarray]:
    """Samples seen, and test accuracy (runs x points) at those; runs on other points are interpolated."""
    seen = max((e.run.history["samples_seen"] for e in group), key=len)
    rows = [
        h["test_accuracy"]
        if np.array_equal(h["samples_seen"], seen)
        else np.interp(seen, h["samples_seen"], h["test_accuracy"])
        for h in (e.run.history for e in group)
    ]
    return np.asarray(seen, np.float64), np.asarray(rows, np.float64)


def handles(arms: Sequence[str], looks: dict[str, style.Look], *, line: bool = True) -> list[Any]:
    """What a legend shows of each arm."""
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [], [], color=looks[a].colour, marker=looks[a].marker, linestyle=looks[a].line if line else "none"
        )
        for a in arms
    ]


def size_axis(ax: Any, sizes: Sequence[int]) -> None:
    """A logarithmic axis whose ticks are the sizes themselves, as many as fit."""
    ax.set_xscale("log")
    kept: list[int] = []
    span = max(np.log(sizes[-1] / sizes[0]), 1e-9)
    for s in sizes:
        if not kept or np.log(s / kept[-1]) / span > 0.11:
            kept.append(s)
    kept[-1] = sizes[-1]
    ax.set_xticks(kept, [count(s) for s in kept])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("training images")


def accuracy_axis(ax: Any) -> None:
    ax.set_ylabel("test accuracy (%)")
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -1), min(high, 100.6))


def spread(values: Sequence[int], most: int) -> list[int]:
    """At most so many of the values, evenly chosen, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(i)] for i in np.linspace(0, len(values) - 1, most)]


def _only_left(axes: Sequence[Any], columns: int) -> None:
    for i, ax in enumerate(axes):
        if i % columns:
            ax.set_ylabel("")


def _arm_axis(ax: Any, names: Sequence[str]) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")


def _dots(ax: Any, y: int, group: Sequence[Entry], look: style.Look) -> None:
    values = [100 * float(np.mean([e.accuracy for e in u])) for u in units(group)]
    s = drawn(group)
    if s.low is not None and s.high is not None:
        ax.plot([100 * s.low, 100 * s.high], [y, y], color=look.colour, lw=1.6)
        ax.plot(values, [y + 0.22] * len(values), "|", color=look.colour, ms=6, mew=1.2)
    ax.plot([100 * s.mean], [y], color=look.colour, marker=look.marker, ms=7)


def _box(ax: Any, y: int, values: Sequence[float], look: style.Look, *, hollow: bool) -> None:
    """One horizontal box: quartiles, median, whiskers over all runs, and the runs themselves."""
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    ax.hlines(y, min(values), max(values), color=look.colour, lw=1.1)
    if len(values) > 1:
        ax.barh(
            y,
            q3 - q1,
            left=q1,
            height=0.56,
            edgecolor=look.colour,
            lw=1.1,
            color="none" if hollow else (*_rgb(look.colour), 0.3),
        )
        ax.vlines(median, y - 0.28, y + 0.28, color=look.colour, lw=2)
    ax.plot(values, [y] * len(values), look.marker, color=look.colour, ms=3.6, linestyle="none")


def _difference(ax: Any, x: float, c: Contrast, look: style.Look) -> None:
    if c.comparison.low is not None and c.comparison.high is not None:
        ax.plot(
            [x, x], [100 * c.comparison.low, 100 * c.comparison.high], color=look.colour, lw=1.6, zorder=2
        )
    ax.plot(
        [x],
        [100 * c.comparison.difference],
        marker=look.marker,
        color=look.colour,
        markerfacecolor=look.colour if c.shown else style.PAPER,
        ms=6.5,
        zorder=3,
    )


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
