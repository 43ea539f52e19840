"""Several tasks side by side: the gains of each arm on each task, and over all tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tlcli.analysis.statistics import interquartile_mean, probability_of_improvement, stratified_bootstrap
from tlcli.report.columns import cell_column, contrast_columns, first, percent, percents
from tlcli.report.document import Block, Chart, Column, Table, Text, rows_of
from tlcli.report.plots.arms import draw_overview
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.contrasts import ENOUGH_RUNS
from tlcli.report.study.entry import by
from tlcli.report.words import at_most, between, count, number
from tlcli.report.words import percent as pct

ENOUGH_TASKS = 5
"""The fewest tasks for means over tasks."""
MOST_ACROSS = 6
"""The most arms with a column each."""


@section("overview", "All tasks", order=1, per_task=False)
def overview(study: Study, task: None) -> Iterable[Block]:
    """Gains by task and arm, and from five tasks on means over them."""
    if len(study.tasks) < 2:
        return
    tasks = [t for t in study.tasks if t.gains]
    if tasks:
        yield _chart(study, tasks)
        yield _gains(tasks)
        if enough := [t for t in tasks if any(c.enough for c in t.gains)]:
            yield arms_over_tasks(enough)
    else:
        yield _accuracies(study.tasks)
    strata = common_strata(study.tasks)
    if strata and len({id(cells[0].task) for cells in strata}) >= ENOUGH_TASKS:
        table = _over_tasks(strata)
        yield table
        yield Text(describe_over_tasks(table))


def _chart(study: Study, tasks: Sequence[Task]) -> Chart:
    reference = _reference(tasks)
    caption = (
        f"Test accuracy less that of {reference}, by task, with 95 % intervals that are simultaneous within "
        "a task. Filled marks: the interval leaves zero out; hollow: it does not. Tasks are sorted by their "
        "largest gain."
    )
    parts = [f"{t.name}: {at_most([f'{c.first.name} {c.points}' for c in t.gains], 6)}" for t in tasks[:6]]
    draw = partial(draw_overview, tasks, study.looks, f"difference from {reference} (points)")
    return Chart("overview", caption, f"Dot plot of gains by task. {'; '.join(parts)}.", draw)


def _reference(tasks: Sequence[Task]) -> str:
    names = {t.reference for t in tasks}
    return str(names.pop()) if len(names) == 1 else "the reference"


def _gains(tasks: Sequence[Task]) -> Table:
    """A row per task and size, a column per arm; or, with many arms, a row per comparison."""
    arms = list(dict.fromkeys(c.first.name for t in tasks for c in t.gains))
    columns = [
        Column("task", "task", value=lambda c: c.first.task.name),
        cell_column("size", of=first),
    ]
    caption = (
        f"What each arm (a method with its options) gains over {_reference(tasks)}, in points, with its 95 % "
        "interval."
    )
    note = "* The interval leaves zero out, over three or more runs."
    if len(arms) <= MOST_ACROSS:
        columns += [Column(f"arm {a}", a, "figure", arm=a) for a in arms]
        rows: list[dict[str, Any]] = []
        for t in tasks:
            for size, group in by(t.gains, lambda c: c.size).items():
                cells = {
                    f"arm {c.first.name}": number(100 * c.difference, t.digits)
                    + (f" ({between(c.interval, t.digits)})" if c.interval else "")
                    + ("*" if c.shown else "")
                    for c in group
                }
                rows.append({"task": t.name, "size": size} | cells)
        return Table("overview", caption, columns, rows, note)
    columns += [Column("arm", "arm", value=lambda c: c.first.name)]
    kept = ("difference", "difference_interval", "verdict")
    columns += [c for c in contrast_columns(tasks[0].digits) if c.key in kept]
    rows = rows_of(columns, (c for t in tasks for c in t.gains))
    return Table("overview", caption, columns, rows, group="task")


def arms_over_tasks(tasks: Sequence[Task]) -> Table:
    """A row for each arm: on how many tasks it is better and worse, and its mean gain and costs."""
    gains = by((c for t in tasks for c in t.gains), lambda c: c.first.name)
    rows: list[dict[str, Any]] = []
    for arm, cells in by((c for t in tasks for c in t.cells), lambda c: c.name).items():
        mine = gains.get(arm, [])
        rows.append(
            {
                "arm": arm,
                "better_on": len({id(c.first.task) for c in mine if c.gain}) if mine else None,
                "worse_on": len({id(c.first.task) for c in mine if c.loss}) if mine else None,
                "mean_gain": percent(_mean([c.difference for c in mine])),
                "mean_lost": percent(_mean([c.lost.mean for c in cells if c.lost is not None])),
                "mean_seconds": _mean([c.seconds for c in cells if c.seconds is not None]),
            }
        )
    d = min(t.digits for t in tasks)
    columns = [
        Column("arm", "arm"),
        Column("better_on", "tasks on which it is better", "count"),
        Column("worse_on", "worse", "count"),
        Column("mean_gain", "mean difference (points)", "points", d),
        Column("mean_lost", "mean source accuracy lost (points)", "number", d),
        Column("mean_seconds", "seconds a run (mean)", "number", 1),
    ]
    caption = f"Each arm against {_reference(tasks)}, and what it costs, over {len(tasks)} tasks."
    return Table("arms-over-tasks", caption, columns, rows)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _accuracies(tasks: Sequence[Task]) -> Table:
    columns = [Column("task", "task", value=lambda c: c.task.name)]
    columns += [cell_column(key, min(t.digits for t in tasks)) for key in ("size", "arm", "accuracy")]
    rows = rows_of(columns, (c for t in tasks for c in t.cells))
    return Table("overview", "Mean test accuracy by task.", columns, rows, group="task")


def common_strata(tasks: Sequence[Task]) -> list[list[Cell]]:
    """For each task and size the cells of the arms that all of them have, in the first variant."""
    places = [t.at(size=s, variant=t.variants[0]) for t in tasks for s in t.sizes]
    arms = [{c.arm for c in cells} for cells in places]
    common = set.intersection(*arms) if arms else set()
    strata = [[c for c in cells if c.arm in common] for cells in places]
    return strata if len(common) > 1 else []


def _over_tasks(strata: Sequence[Sequence[Cell]]) -> Table:
    """Mean rank, interquartile mean and probability of improvement, with bootstrap intervals."""
    from scipy.stats import rankdata

    arms = [c.arm for c in strata[0]]
    means = np.array([[c.mean for c in cells] for cells in strata])
    ranks = rankdata(-means, axis=1)
    runs = {a: [np.asarray(cells[i].values) for cells in strata] for i, a in enumerate(arms)}
    reference = next((a for a in arms if a == strata[0][0].task.reference), arms[0])
    enough = min(len(values) for every in runs.values() for values in every) >= ENOUGH_RUNS

    def middle(tasks: Sequence[np.ndarray]) -> np.ndarray:
        return interquartile_mean(np.concatenate(tasks, axis=-1))

    rows: list[dict[str, Any]] = []
    for i, arm in enumerate(arms):
        row: dict[str, Any] = {
            "arm": arm,
            "rank": float(ranks[:, i].mean()),
            "iqm": percent(float(middle(runs[arm]))),
        }
        if enough:
            row["iqm_interval"] = percents(stratified_bootstrap([runs[arm]], middle))
        if arm != reference:
            sides = runs[arm], runs[reference]
            row["improvement"] = percent(float(probability_of_improvement(*sides)))
            if enough:
                drawn = stratified_bootstrap(sides, probability_of_improvement)
                row["improvement_interval"] = percents(drawn)
        rows.append(row)
    d = min(cells[0].task.digits for cells in strata)
    columns = [
        Column("arm", "arm"),
        Column("rank", "mean rank", "number", 1),
        Column("iqm", "interquartile mean (%)", "percent", d),
        Column("iqm_interval", "95 % interval (%)", "interval", d),
        Column("improvement", f"better than {reference} (%)", "percent", 0),
        Column("improvement_interval", "95 % interval (%) of that", "interval", 0),
    ]
    note = (
        "Mean rank: 1 is the best mean of a task. Interquartile mean: of the middle half of all runs on all "
        f"tasks. Better than {reference}: how often a run beats one of {reference} on the same task, "
        "averaged over the tasks. Intervals by a bootstrap that draws the runs anew within each task, 2,000 "
        "times (Agarwal et al. 2021); they are for these tasks."
    )
    caption = f"Over {len(strata)} tasks and sizes, of the arms that all have."
    return Table("over-tasks", caption, columns, sorted(rows, key=lambda r: r["rank"]), note)


def describe_over_tasks(table: Table) -> str:
    """Sentences on the best rank, and on how often the best arm beats the reference."""
    best = table.rows[0]
    text = (
        f"{best['arm']} has the best mean rank, {number(best['rank'], 1)}, where 1 is the best possible and "
        f"{count(len(table.rows))} the worst."
    )
    if "improvement" in best:
        label = table.columns[4].label.removesuffix(" (%)")
        text += f" One of its runs is {label} {pct(best['improvement'] / 100, 0)} of the time"
        if interval := best.get("improvement_interval"):
            text += f" (95 % interval {between((interval[0] / 100, interval[1] / 100), 0)})"
        text += "."
    return text
