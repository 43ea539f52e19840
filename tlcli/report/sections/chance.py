"""The spread of an accuracy between bases, between draws of the training images, and between seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tlcli.analysis.components import Components, components
from tlcli.report.columns import Interval, percent, percents
from tlcli.report.document import Block, Column, Table, rows_of
from tlcli.report.registry import section
from tlcli.report.study import Study, Task
from tlcli.report.study.entry import Entry, by


@section("chance", "Spread between bases, draws and seeds", order=16)
def chance(study: Study, task: Task) -> Iterable[Block]:
    """For studies of several bases on several draws: the spread that each of them makes."""
    groups = by(task.entries, lambda e: (e.size, e.arm, e.identity.architecture, e.identity.options))
    grids = [(key, grid) for key, group in groups.items() if (grid := grid_of(group)) is not None]
    items = [(size, arm, grid.shape, components(grid)) for (size, arm, *_), grid in grids]
    if not items:
        return
    d = task.digits
    columns = [
        Column("size", "training images", "count", value=lambda i: i[0]),
        Column("arm", "arm", value=lambda i: i[1]),
        Column("bases", "bases", "count", value=lambda i: i[2][0]),
        Column("draws", "draws", "count", value=lambda i: i[2][1]),
        Column("seeds", "seeds on each", "count", value=lambda i: i[2][2]),
        Column("over_bases", "test accuracy (%)", "percent", d, value=lambda i: percent(i[3].mean)),
        Column("over_bases_interval", "95 % interval (%)", "interval", d, value=_interval),
        Column("sd_bases", "sd between bases (points)", "number", d, value=lambda i: percent(i[3].bases)),
        Column("sd_draws", "between draws", "number", d, value=lambda i: percent(i[3].draws)),
        Column("sd_seeds", "between seeds", "number", d, value=lambda i: percent(i[3].seeds)),
    ]
    caption = "Test accuracy for another base, another draw of the training images and another seed."
    note = (
        "Bases and draws are crossed random effects, seeds are nested in them; the interval counts all "
        "three, with degrees of freedom after Satterthwaite (1946). Intervals elsewhere are of one base."
    )
    rows = rows_of(columns, items)
    yield Table(task.id("chance"), caption, columns, rows, note, group="size", file="chance", task=task.name)


def grid_of(entries: Sequence[Entry]) -> np.ndarray | None:
    """Accuracies as bases x draws x seeds; None of one base or draw, or where some are missing."""
    accuracies = {(e.run.base_sha256, e.dataset, e.seed): e.measured for e in entries}
    bases, draws = sorted({base for base, _, _ in accuracies}), sorted({draw for _, draw, _ in accuracies})
    seeds = sorted({seed for _, _, seed in accuracies}, key=str)
    whole = len(accuracies) == len(bases) * len(draws) * len(seeds) == len(entries)
    if not whole or len(bases) < 2 or len(draws) < 2:
        return None
    return np.array([[[accuracies[b, d, s] for s in seeds] for d in draws] for b in bases])


def _interval(item: tuple[int, str, tuple[int, ...], Components]) -> Interval:
    return percents((max(0.0, item[3].low), min(1.0, item[3].high)))
