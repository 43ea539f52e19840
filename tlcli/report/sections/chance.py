"""The spread of an accuracy between bases, between draws of the training images, and between seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tlcli.analysis.components import Components, components
from tlcli.report.columns import percent, percents
from tlcli.report.document import Block, Column, Table
from tlcli.report.registry import section
from tlcli.report.study import Study, Task
from tlcli.report.study.entry import Entry, by


@section("chance", "Spread between bases, draws and seeds", order=16)
def chance(study: Study, task: Task) -> Iterable[Block]:
    """For studies of several bases on several draws: the spread that each of them makes."""
    groups = by(task.entries, lambda e: (e.size, e.arm, e.identity.architecture, e.identity.options))
    found = [(key, grid_of(group)) for key, group in groups.items()]
    rows = [_row(size, arm, grid) for (size, arm, *_), grid in found if grid is not None]
    if not rows:
        return
    d = task.digits
    columns = [
        Column("size", "training images", "count"),
        Column("arm", "arm"),
        Column("bases", "bases", "count"),
        Column("draws", "draws", "count"),
        Column("seeds", "seeds on each", "count"),
        Column("over_bases", "test accuracy (%)", "percent", d),
        Column("over_bases_interval", "95 % interval (%)", "interval", d),
        Column("sd_bases", "sd between bases (points)", "number", d),
        Column("sd_draws", "between draws", "number", d),
        Column("sd_seeds", "between seeds", "number", d),
    ]
    caption = "Test accuracy for another base, another draw of the training images and another seed."
    note = (
        "Bases and draws are crossed random effects, seeds are nested in them; the interval counts all "
        "three, with degrees of freedom after Satterthwaite (1946). Intervals elsewhere are of one base."
    )
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


def _row(size: int, arm: str, grid: np.ndarray) -> dict[str, object]:
    found: Components = components(grid)
    bases, draws, seeds = grid.shape
    return {
        "size": size,
        "arm": arm,
        "bases": bases,
        "draws": draws,
        "seeds": seeds,
        "over_bases": percent(found.mean),
        "over_bases_interval": percents((max(0.0, found.low), min(1.0, found.high))),
        "sd_bases": percent(found.bases),
        "sd_draws": percent(found.draws),
        "sd_seeds": percent(found.seeds),
    }
