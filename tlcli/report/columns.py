"""The columns that tables of several sections share. A key means one quantity everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tlcli.analysis.statistics import Summary
from tlcli.report.document import Column, Table, rows_of
from tlcli.report.study.cell import Cell
from tlcli.report.study.contrasts import Contrast
from tlcli.report.study.grid import Task
from tlcli.report.words import number

Interval = tuple[float, float] | None

CELL: dict[str, tuple[str, str, Callable[[Cell], Any]]] = {
    "arm": ("arm", "text", lambda c: c.arm),
    "variant": ("variant", "text", lambda c: c.variant),
    "size": ("training images", "count", lambda c: c.size),
    "runs": ("runs", "count", lambda c: len(c.runs)),
    "accuracy": ("test accuracy (%)", "percent", lambda c: percent(c.mean)),
    "interval": ("95 % interval (%)", "interval", lambda c: percents(c.interval)),
    "train": ("training accuracy (%)", "percent", lambda c: percent(c.train)),
    "gap": ("gap (points)", "points", lambda c: percent(c.gap)),
    "before": ("source before (%)", "percent", lambda c: percent(c.before)),
    "after": ("source after (%)", "percent", lambda c: percent(c.after)),
}
"""Label, kind and value of each quantity of a cell."""

CONTRAST: dict[str, tuple[str, str, Callable[[Contrast], Any]]] = {
    "against": ("against", "text", lambda c: c.second.arm),
    "difference": ("difference (points)", "points", lambda c: 100 * c.difference),
    "difference_interval": ("95 % interval (points)", "interval", lambda c: percents(c.interval)),
    "p": ("p", "p", lambda c: c.p),
    "verdict": ("verdict", "text", lambda c: c.verdict),
    "detectable": ("detectable difference (points)", "number", lambda c: percent(c.detectable)),
    "repetitions": ("paired repetitions", "count", lambda c: c.comparison.runs),
    "family": ("comparisons in the family", "count", lambda c: len(c.family)),
}
"""Label, kind and value of each quantity of a comparison."""

MEASURED = {
    "train_loss": ("training loss", "number", 1.0),
    "train_accuracy": ("accuracy while training (%)", "percent", 100.0),
    "test_loss": ("test loss", "number", 1.0),
    "test_accuracy": ("test accuracy (%)", "percent", 100.0),
}
"""Label, kind and scale of each quantity that is measured along a training."""


def percent(x: float | None) -> float | None:
    """A share in percent, for a table."""
    return None if x is None else 100 * x


def percents(interval: Interval) -> Interval:
    return None if interval is None else (100 * interval[0], 100 * interval[1])


def itself(item: Any) -> Any:
    return item


def cell_column(
    key: str, digits: int = 2, *, of: Callable[[Any], Cell] = itself, shown: bool = True
) -> Column:
    """A column with a quantity of a cell; `of` gives the cell of a row's item."""
    label, kind, value = CELL[key]
    return Column(key, label, kind, digits, shown, value=lambda item: value(of(item)))


def contrast_columns(digits: int, hidden: Sequence[str] = ()) -> list[Column]:
    """The other arm, the difference, its simultaneous interval, adjusted p value and verdict.

    The columns with these keys, and those on the comparison itself, are only in the files.
    """
    hidden = (*hidden, "repetitions", "family")
    return [
        Column(key, label, kind, digits, key not in hidden, value=value)
        for key, (label, kind, value) in CONTRAST.items()
    ]


def summary_columns(
    key: str,
    name: str,
    unit: str,
    kind: str,
    digits: int,
    summary: Callable[[Any], Summary | None],
    *,
    of: str = "",
) -> list[Column]:
    """A mean and its interval, which `summary` gives for a row's item; `of` says what the interval is of."""
    scale = 1 if unit == "nats" else 100

    def mean(item: Any) -> float | None:
        return None if (found := summary(item)) is None else scale * found.mean

    def interval(item: Any) -> Interval:
        ends = None if (found := summary(item)) is None else found.interval
        return None if ends is None else (scale * ends[0], scale * ends[1])

    return [
        Column(key, f"{name} ({unit})", kind, digits, value=mean),
        Column(f"{key}_interval", f"95 % interval{of} ({unit})", "interval", digits, value=interval),
    ]


def cell_table(
    task: Task,
    name: str,
    caption: str,
    columns: Sequence[Column],
    items: Iterable[Any],
    note: str = "",
    *,
    of: Callable[[Any], Any] = itself,
    shown: bool = True,
    file: str = "",
) -> Table:
    """A table with a row for each item, headed by the arm, variant and size of its cell.

    Its file, by default of its name, holds the rows of all tasks.
    """
    several = len(task.variants) > 1
    heads = [cell_column(k, of=of, shown=several or k != "variant") for k in ("arm", "variant", "size")]
    every = [*heads, *columns]
    rows = rows_of(every, items)
    return Table(task.id(name), caption, every, rows, note, shown, "size", file or name, task.name)


def first(c: Contrast) -> Cell:
    return c.first


def spread(cell: Cell) -> str:
    """The mean with half of its interval; for one or two runs, the runs; for equal runs, a note."""
    digits = cell.task.digits
    if cell.equal:
        what = "deterministic" if cell.deterministic else "in every run"
        return f"{number(100 * cell.mean, digits)} ({what})"
    if len(cell.values) < 3:
        return ", ".join(number(100 * v, digits) for v in cell.values)
    low, high = cell.accuracy.interval or (0.0, 0.0)
    return f"{number(100 * cell.mean, digits)} ± {number(50 * (high - low), digits)}"
