"""What transfer costs on the source task: target accuracy against source accuracy lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tlcli.analysis import statistics
from tlcli.report import drawing, style
from tlcli.report.document import Chart, Column, Section, Table
from tlcli.report.gather import Entry, Study, arms_of, by, sizes_of, variants_of
from tlcli.report.pairs import CONTROL, summarise
from tlcli.report.size_figures import MOST_PANELS, handles, spread
from tlcli.report.words import count, percent, plural, points

BEFORE, AFTER = "source_accuracy_before", "source_accuracy_after"


def section(study: Study) -> Section | None:
    """Scatter and table, where source accuracy was measured before and after."""
    entries = [e for e in study.entries if _lost(e) is not None and e.method != CONTROL]
    if not entries:
        return None
    part = Section("forgetting", "Forgetting of the source task")
    sizes = spread(sizes_of(entries), MOST_PANELS)
    caption = (
        "Test accuracy on the target against source accuracy lost by the transfer (before minus after, "
        "with the head of the base): mean per arm, lines are 95 % intervals. Best is top left."
    )
    alt = f"Target accuracy against forgetting. {_text(entries, study.digits)}"
    part.blocks = [
        Chart("forgetting", caption, alt, partial(draw, entries, sizes, study.looks)),
        _table(entries, study.digits),
    ]
    part.discussion = [_text(entries, study.digits)]
    return part


def _lost(e: Entry) -> float | None:
    before, after = e.run.attributes.get(BEFORE), e.run.attributes.get(AFTER)
    return None if before is None or after is None else float(before) - float(after)


def draw(entries: Sequence[Entry], sizes: Sequence[int], looks: dict[str, style.Look], columns: int) -> Any:
    """A panel per size, a cross of intervals per arm (and variant, hollow from the second)."""
    arms, variants = arms_of(entries), variants_of(entries)
    width = drawing.width_for(columns, len(sizes))
    room, legend_columns = drawing.legend_room(arms, width)
    figure, axes = drawing.grid(len(sizes), columns, height=2.6, legend=room, width=width)
    for ax, size in zip(axes, sizes, strict=True):
        for arm in arms:
            for i, variant in enumerate(variants):
                cell = [e for e in entries if (e.size, e.arm, e.variant) == (size, arm, variant)]
                if cell:
                    _cross(ax, cell, looks[arm], hollow=i > 0)
        ax.axvline(0, color=style.MUTED, lw=0.9, zorder=0)
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("source accuracy lost (points)")
        ax.set_ylabel("test accuracy (%)")
    drawing.legend_on_top(figure, handles(arms, looks, line=False), arms, columns=legend_columns)
    return figure


def _cross(ax: Any, cell: Sequence[Entry], look: style.Look, *, hollow: bool) -> None:
    target, lost = summarise(cell), _lost_summary(cell)
    x, y = 100 * lost.mean, 100 * target.mean
    if target.low is not None and target.high is not None:
        ax.plot([x, x], [100 * target.low, 100 * target.high], color=look.colour, lw=1.1)
    if lost.low is not None and lost.high is not None:
        ax.plot([100 * lost.low, 100 * lost.high], [y, y], color=look.colour, lw=1.1)
    ax.plot(
        [x], [y], look.marker, color=look.colour, ms=7, markerfacecolor=style.PAPER if hollow else look.colour
    )


def _lost_summary(cell: Sequence[Entry]) -> statistics.Summary:
    return statistics.summary([lost for e in cell if (lost := _lost(e)) is not None])


def _table(entries: Sequence[Entry], digits: int) -> Table:
    rows = []
    for size in sizes_of(entries):
        for variant in variants_of(entries):
            for arm in arms_of(entries):
                cell = [e for e in entries if (e.size, e.arm, e.variant) == (size, arm, variant)]
                if not cell:
                    continue
                lost = _lost_summary(cell)
                after = statistics.summary([float(e.run.attributes[AFTER]) for e in cell]).mean
                before = statistics.summary([float(e.run.attributes[BEFORE]) for e in cell]).mean
                interval = (
                    None if lost.low is None or lost.high is None else (100 * lost.low, 100 * lost.high)
                )
                rows.append(
                    {
                        "size": size,
                        "arm": arm,
                        "variant": variant,
                        "target": 100 * summarise(cell).mean,
                        "before": 100 * before,
                        "after": 100 * after,
                        "lost": 100 * lost.mean,
                        "interval": interval,
                    }
                )
    columns = [
        Column("size", "training images", "count"),
        Column("arm", "arm"),
        Column("variant", "variant", shown=len(variants_of(entries)) > 1),
        Column("target", "target accuracy (%)", "percent", digits),
        Column("before", "source before (%)", "percent", digits),
        Column("after", "source after (%)", "percent", digits),
        Column("lost", "lost (points)", "points", digits),
        Column("interval", "95 % interval (points)", "interval", digits),
    ]
    return Table(
        "forgetting",
        "Accuracy on the target, and on the source task before and after.",
        columns,
        rows,
        group="size",
    )


def _text(entries: Sequence[Entry], digits: int) -> str:
    """Who forgets most and least, at the largest size."""
    size = sizes_of(entries)[-1]
    cells = by([e for e in entries if e.size == size], lambda e: (e.arm, e.variant))
    lost = {key: _lost_summary(cell).mean for key, cell in cells.items()}
    most, least = max(lost, key=lambda k: lost[k]), min(lost, key=lambda k: lost[k])

    def told(key: tuple[str, str]) -> str:
        name = f"{key[0]} ({key[1]})" if key[1] else key[0]
        return (
            f"{name} loses {points(lost[key], digits)} and reaches "
            f"{percent(summarise(cells[key]).mean, digits)} on the target"
        )

    if most == least:
        return f"At {count(size)} training images {told(most)}."
    return (
        f"At {count(size)} training images the source task is forgotten most by one arm and least by "
        f"another: {told(most)}; {told(least)}."
    )
