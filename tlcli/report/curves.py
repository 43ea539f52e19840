"""Learning curves of a size study: the figures, how fast each arm gets where, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tlcli.report import size_figures, size_words
from tlcli.report.document import Chart, Column, Table
from tlcli.report.gather import Entry, Study, arms_of, by, sizes_of, variants_of
from tlcli.report.words import at_most, count


def blocks(study: Study, entries: Sequence[Entry], suffix: str) -> list[Any]:
    """The curves, a chart per variant, and how fast each arm gets where."""
    found: list[Any] = []
    variants = variants_of(entries)
    drawn = [e for e in entries if size_figures.has_curve(e)]
    for i, variant in enumerate(variants):
        if not (group := [e for e in drawn if e.variant == variant]):
            continue
        caption = (
            "Test accuracy during training against the number of training images seen (repeats counted): "
            "mean over the runs; the band is one standard deviation."
        )
        if size_figures.is_cut(group):
            caption += " The steep beginning is cut off below."
        caption = (f"{variant}: " if variant else "") + caption
        alt = (
            "Learning curves of test accuracy, one panel per number of training images. "
            + size_words.convergence([e for e in entries if e.variant == variant], study.digits)
        )
        found.append(
            Chart(
                f"curves{suffix}" + (f"-{i + 1}" if i else ""),
                caption,
                alt,
                partial(size_figures.curves, group, study.looks),
            )
        )
    if drawn:
        found += [speed_table(entries, study.digits, suffix), curve_data(drawn, suffix)]
    return found


def speed_table(entries: Sequence[Entry], digits: int, suffix: str) -> Table:
    """How soon the mean curve of each arm reaches the final mean of scratch, and is near its own."""
    variants = variants_of(entries)
    rows = []
    for size in sizes_of(entries):
        for variant in variants:
            cell = [e for e in entries if e.size == size and e.variant == variant]
            level = size_words.scratch_level(cell)
            drawn = [e for e in cell if size_figures.has_curve(e)]
            for arm in arms_of(drawn):
                seen, values = size_figures.curve_matrix([e for e in drawn if e.arm == arm])
                mean = values.mean(axis=0)
                rows.append(
                    {
                        "size": size,
                        "arm": arm,
                        "variant": variant,
                        "first": 100 * mean[0],
                        "first_at": seen[0],
                        "near": size_words.reached(seen, mean, mean[-1] - 0.01),
                        "scratch": None if level is None else size_words.reached(seen, mean, level),
                        "level": None if level is None else 100 * level,
                    }
                )
    starts = list(dict.fromkeys(count(r["first_at"]) for r in rows))
    columns = [Column("size", "training images", "count"), Column("arm", "arm")]
    columns += [Column("variant", "variant")] if len(variants) > 1 else []
    columns += [
        Column("first_at", "first measured at (samples)", "count", shown=False),
        Column("first", "first accuracy (%)", "percent", digits),
        Column("near", "within 1 point of its end (samples)", "count"),
    ]
    note = f"First measured after {at_most(starts)} samples."
    known = [r for r in rows if r["level"] is not None]
    if known:
        columns += [
            Column("scratch", "reaches the end of scratch (samples)", "count"),
            Column("level", "end of scratch (%)", "percent", digits, shown=False),
        ]
        if any(r["scratch"] is None for r in rows):
            reason = " or without scratch at this size" if len(known) < len(rows) else ""
            note += f" A dash: not within this training{reason}."
    return Table(
        "speed" + suffix,
        "Speed of convergence, read off the mean curves.",
        columns,
        rows,
        group="size",
        note=note,
    )


def curve_data(entries: Sequence[Entry], suffix: str) -> Table:
    """The numbers behind the curves, as a file only."""
    rows = []
    for (size, variant, arm), group in by(entries, lambda e: (e.size, e.variant, e.arm)).items():
        seen, values = size_figures.curve_matrix(group)
        sd = values.std(axis=0, ddof=1) if len(values) > 1 else [None] * len(seen)
        for x, m, s in zip(seen, values.mean(axis=0), sd, strict=True):
            rows.append(
                {
                    "size": size,
                    "variant": variant,
                    "arm": arm,
                    "samples": x,
                    "mean": 100 * m,
                    "sd": None if s is None else 100 * s,
                    "runs": len(values),
                }
            )
    columns = [
        Column("size", "training images", "count"),
        Column("variant", "variant"),
        Column("arm", "arm"),
        Column("samples", "samples seen", "count"),
        Column("mean", "mean test accuracy (%)", "percent", 3),
        Column("sd", "sd (points)", "number", 3),
        Column("runs", "runs", "count"),
    ]
    return Table("curves" + suffix, "Mean test accuracy during training.", columns, rows, shown=False)
