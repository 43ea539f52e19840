"""The columns that tables of several sections share. A key means one quantity everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlcli.report.document import Column, Table
from tlcli.report.study.cell import Cell
from tlcli.report.study.contrasts import Contrast
from tlcli.report.study.grid import Task
from tlcli.report.words import number

Interval = tuple[float, float] | None


def percent(x: float | None) -> float | None:
    """A share in percent, for a table."""
    return None if x is None else 100 * x


def percents(interval: Interval) -> Interval:
    return None if interval is None else (100 * interval[0], 100 * interval[1])


def cell_columns(task: Task) -> list[Column]:
    """The columns that identify a row: arm, variant if there are several, and size."""
    return [
        Column("arm", "arm"),
        Column("variant", "variant", shown=len(task.variants) > 1),
        Column("size", "training images", "count"),
    ]


def cell_table(
    task: Task,
    name: str,
    caption: str,
    columns: Sequence[Column],
    rows: list[dict[str, Any]],
    note: str = "",
    *,
    shown: bool = True,
    file: str = "",
) -> Table:
    """A table with a row for each cell; its file, by default of its name, holds the rows of all tasks."""
    every = [*cell_columns(task), *columns]
    return Table(task.id(name), caption, every, rows, note, shown, "size", file or name, task.name)


def accuracy_column(digits: int) -> Column:
    return Column("accuracy", "test accuracy (%)", "percent", digits)


def contrast_columns(digits: int, *, told: bool = True) -> list[Column]:
    """A difference with its simultaneous interval, adjusted p value and verdict."""
    return [
        Column("difference", "difference (points)", "points", digits),
        Column("difference_interval", "95 % interval (points)", "interval", digits),
        Column("p", "p", "p"),
        Column("verdict", "verdict"),
        Column("detectable", "would have shown (points)", "number", digits, shown=told),
        Column("repetitions", "paired repetitions", "count", shown=False),
        Column("family", "comparisons in the family", "count", shown=False),
    ]


def contrast_row(c: Contrast) -> dict[str, Any]:
    return {
        "against": c.second.arm,
        "difference": 100 * c.difference,
        "difference_interval": percents(c.interval),
        "p": c.p,
        "verdict": c.verdict,
        "detectable": percent(c.detectable),
        "repetitions": c.comparison.runs,
        "family": len(c.family),
    }


def spread(cell: Cell, digits: int) -> str:
    """The mean with half of its interval; for one or two runs, the runs; for equal runs, a note."""
    if cell.equal:
        what = "deterministic" if cell.deterministic else "in every run"
        return f"{number(100 * cell.mean, digits)} ({what})"
    if len(cell.values) < 3:
        return ", ".join(number(100 * v, digits) for v in cell.values)
    low, high = cell.accuracy.interval or (0.0, 0.0)
    return f"{number(100 * cell.mean, digits)} ± {number(50 * (high - low), digits)}"
