"""What transfer costs on the source task: target accuracy against source accuracy lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tlcli.analysis.statistics import Summary
from tlcli.report import drawing, style
from tlcli.report.document import Chart, Column, Section, Table
from tlcli.report.gather import Entry, Study, arms_of, by, sizes_of, variants_of
from tlcli.report.pairs import CONTROL, summarise
from tlcli.report.size_figures import MOST_PANELS, handles, spread
from tlcli.report.words import percent, plural, points


def section(study: Study, entries: Sequence[Entry], *, suffix: str = "", title: str = "") -> Section:
    """Scatter and table of the runs of one task, all `measured`."""
    part = Section("forgetting" + suffix, title or "Forgetting of the source task")
    sizes = spread(sizes_of(entries), MOST_PANELS)
    caption = (
        "Test accuracy on the target against source accuracy lost by the transfer (before minus after, "
        "with the head of the base): mean per arm, lines are 95 % intervals. Best is top left."
    )
    told = _text(entries, study.digits)
    part.blocks = [
        Chart(
            part.id,
            caption,
            f"Target accuracy against forgetting. {told}",
            partial(draw, entries, sizes, study.looks),
        ),
        _table(entries, study.digits, part.id),
    ]
    part.discussion = [told]
    return part


def measured(entries: Sequence[Entry]) -> list[Entry]:
    """The runs of which the source accuracy is known before and after the transfer."""
    return [
        e
        for e in entries
        if None not in (e.run.source_accuracy_before, e.run.source_accuracy_after) and e.method != CONTROL
    ]


def _before(e: Entry) -> float:
    return float(e.run.source_accuracy_before or 0)


def _after(e: Entry) -> float:
    return float(e.run.source_accuracy_after or 0)


def _lost(cell: Sequence[Entry]) -> Summary:
    return summarise(cell, lambda e: _before(e) - _after(e), bounds=(-1.0, 1.0))


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
    target, lost = summarise(cell), _lost(cell)
    x, y = 100 * lost.mean, 100 * target.mean
    if target.low is not None and target.high is not None:
        ax.plot([x, x], [100 * target.low, 100 * target.high], color=look.colour, lw=1.1)
    if lost.low is not None and lost.high is not None:
        ax.plot([100 * lost.low, 100 * lost.high], [y, y], color=look.colour, lw=1.1)
    ax.plot(
        [x], [y], look.marker, color=look.colour, ms=7, markerfacecolor=style.PAPER if hollow else look.colour
    )


def _table(entries: Sequence[Entry], digits: int, id: str) -> Table:
    rows = []
    for size in sizes_of(entries):
        for variant in variants_of(entries):
            for arm in arms_of(entries):
                cell = [e for e in entries if (e.size, e.arm, e.variant) == (size, arm, variant)]
                if not cell:
                    continue
                lost = _lost(cell)
                interval = (
                    None if lost.low is None or lost.high is None else (100 * lost.low, 100 * lost.high)
                )
                rows.append(
                    {
                        "size": size,
                        "arm": arm,
                        "variant": variant,
                        "target": 100 * summarise(cell).mean,
                        "before": 100 * summarise(cell, _before).mean,
                        "after": 100 * summarise(cell, _after).mean,
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
        id,
        "Accuracy on the target, and on the source task before and after.",
        columns,
        rows,
        group="size",
    )


def _text(entries: Sequence[Entry], digits: int) -> str:
    """Who forgets most and least, at the largest size."""
    size = sizes_of(entries)[-1]
    cells = by([e for e in entries if e.size == size], lambda e: (e.arm, e.variant))
    lost = {key: _lost(cell).mean for key, cell in cells.items()}
    most, least = max(lost, key=lambda k: lost[k]), min(lost, key=lambda k: lost[k])

    def told(key: tuple[str, str]) -> str:
        name = f"{key[0]} ({key[1]})" if key[1] else key[0]
        return (
            f"{name} {'gains' if lost[key] < 0 else 'loses'} {points(abs(lost[key]), digits)} of source "
            f"accuracy and reaches {percent(summarise(cells[key]).mean, digits)} on the target"
        )

    where = f"At {plural(size, 'training image')}"
    if most == least:
        return f"{where}, {told(most)}."
    lead = "the source task is forgotten most by one arm and least by another"
    if lost[most] <= 0:
        lead = "no arm has forgotten any of the source task on average"
    return f"{where} {lead}: {told(most)}; {told(least)}."
