"""Test accuracy of every arm at every size: figure, tables, and a summary in words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tlcli.report.columns import cell_column, cell_table, percent, percents, spread
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.arms import draw_accuracy_by_size, draw_accuracy_rows, draw_runs
from tlcli.report.plots.axes import chance_is_near
from tlcli.report.registry import section
from tlcli.report.study import Study, Task
from tlcli.report.study.contrasts import ENOUGH_DRAWS
from tlcli.report.study.entry import NEIGHBOURS
from tlcli.report.study.grid import at_ends
from tlcli.report.words import at_most, count, plural, points
from tlcli.report.words import percent as pct


@section("accuracy", "Test accuracy", order=10)
def accuracy(study: Study, task: Task) -> Iterable[Block]:
    """The main figure, the table at a glance, the runs, and every number."""
    yield main_chart(study, task)
    if len(task.sizes) > 1 or len(study.tasks) == 1:
        yield glance(task)
    if len(task.sizes) > 1 and any(len(c.values) > 1 for c in task.cells):
        yield _runs(study, task)
    yield full_table(task)
    yield from (Text(text) for text in _gaps(task))
    yield from (Text(text, "limit") for text in _limits(task))


def main_chart(study: Study, task: Task) -> Chart:
    """Accuracy against size, or for one size a row per arm."""
    intervals = ""
    if any(c.interval for c in task.cells):
        intervals = "Lines are 95 % intervals of the mean over three or more runs. "
    single = ": mean (large) and single runs (small)" if any(len(c.values) > 1 for c in task.cells) else ""
    chance = f"the share of the largest class, {pct(task.chance, task.digits)}"
    chance = f"Dotted: {chance}." if chance_is_near(task) else f"Chance, {chance}, is below the scale."
    if len(task.sizes) == 1:
        caption = (
            f"Test accuracy of each arm at {plural(task.sizes[0], 'training image')}{single}. "
            f"{intervals}{chance}"
        )
        draw = partial(draw_accuracy_rows, task, study.looks)
        return Chart(task.id("accuracy"), caption, f"Dot plot of test accuracy. {_means(task, 0)}", draw)
    caption = (
        f"Test accuracy against the number of training images. {intervals}"
        f"{'Points of one size are set slightly apart. ' if len(task.arms) > 1 else ''}{chance}"
    )
    alt = f"Line chart of test accuracy against training images. {_means(task, 0)} {_means(task, -1)}"
    return Chart(task.id("accuracy"), caption, alt, partial(draw_accuracy_by_size, task, study.looks))


def _means(task: Task, place: int) -> str:
    size = task.sizes[place]
    parts = [f"{c.name} {c.percent}" for c in task.at(size=size)]
    return f"At {plural(size, 'training image')}: {at_most(parts, 10)}."


def glance(task: Task) -> Table:
    """Arms down, sizes across."""
    columns = [cell_column("arm"), cell_column("variant", shown=len(task.variants) > 1)]
    columns += [Column(f"at_{s}", f"{count(s)} images", "figure") for s in task.sizes]
    rows = []
    for variant in task.variants:
        for arm in task.arms:
            cells = task.at(variant=variant, arm=arm)
            texts = {f"at_{c.size}": spread(c) for c in cells}
            rows += [{"arm": arm, "variant": variant, **texts}] if texts else []
    few = any(len(c.values) < 3 for c in task.cells)
    caption = (
        "Test accuracy of each arm (a method with its options) in percent: mean ± half the width of its 95 % "
        f"interval{'; where there are fewer than three runs, each of them' if few else ''}."
    )
    group = "variant" if len(task.variants) > 1 else ""
    return Table(task.id("glance"), caption, columns, rows, group=group, file="glance", task=task.name)


def _runs(study: Study, task: Task) -> Chart:
    caption = (
        "Every run's test accuracy, a panel per number of training images, each with a scale of its own. Up "
        "to four runs are points with a line at the mean; more are a box from the first to the third "
        "quartile."
    )
    alt = f"The single runs at each number of training images. {_widest(task)}"
    return Chart(task.id("runs"), caption, alt, partial(draw_runs, task, study.looks))


def _widest(task: Task) -> str:
    """A sentence on the arm that varies most from run to run."""
    wide = max(task.cells, key=lambda c: max(c.values) - min(c.values))
    apart = max(wide.values) - min(wide.values)
    return f"The runs lie furthest apart for {wide.name} at {wide.where} ({points(apart, task.digits)})."


def full_table(task: Task) -> Table:
    """One row per cell with all measures of its accuracy."""
    d = task.digits
    same = "all runs give the same answers"
    columns = [
        cell_column("accuracy", d),
        Column("sd", "sd (points)", "number", d, value=lambda c: percent(c.sd)),
        cell_column("interval", d),
        Column("new_images", "for new images (%)", "interval", d, value=lambda c: percents(c.new_images)),
        cell_column("train", d),
        cell_column("gap", d),
        cell_column("runs"),
        Column("samples", "images seen", "count", value=lambda c: c.samples or None),
        Column("seconds", "seconds a run (median)", "number", 1, value=lambda c: c.seconds),
        Column("deterministic", same, shown=False, value=lambda c: "yes" if c.deterministic else ""),
    ]
    note = "Gap: training minus test accuracy." if any(c.gap is not None for c in task.cells) else ""
    if any(e.mirrored for e in task.entries):
        note = (
            "Arms that answer with the mean over an image and its mirror image have no gap: their training "
            "accuracy is of the images as they are."
        )
    caption = "Test accuracy by number of training images and arm."
    return cell_table(task, "accuracy", caption, columns, task.cells, note)


def _gaps(task: Task) -> Iterable[str]:
    """Training against test accuracy: widest and narrowest gap at the smallest and the largest size."""
    for where, cells in at_ends(task.cells):
        gaps = {c: c.gap for c in cells if c.gap is not None}
        ordered = sorted(gaps, key=gaps.__getitem__, reverse=True)
        if ordered and gaps[ordered[0]] <= 0:
            yield f"{where} no arm does better on its training images than on the test images."
        elif ordered:
            texts = [
                f"{points(gaps[c], task.digits)} with {c.name} ({pct(c.train or 0, task.digits)} in "
                f"training, {c.percent} in the test)"
                for c in dict.fromkeys((ordered[-1], ordered[0]))
            ]
            yield f"{where} the gap between training and test accuracy is {' to '.join(texts)}."


def _limits(task: Task) -> Iterable[str]:
    """The limits of these runs."""
    cells = task.cells
    if any(c.draws == 1 < len(c.runs) for c in cells):
        yield (
            "The runs of one size share one training set: their spread is that of the training (start, order "
            "of the images), not of drawing another training set. Intervals that count both would be wider."
        )
    if any(1 < c.draws < min(len(c.runs), ENOUGH_DRAWS) for c in cells):
        yield (
            "The runs of one size share two training sets, but the intervals treat them as independent: "
            "their spread is that of the training more than that of the draws."
        )
    if any(len(c.runs) == 1 and c.method != NEIGHBOURS for c in cells):
        yield (
            "A single run shows how one network does on these test images, and not how another training "
            "would do."
        )
    if any(c.draws >= ENOUGH_DRAWS for c in cells):
        yield (
            "The training sets of one size are drawn from the same published images and overlap, the larger "
            "the more, so their results lie closer together than those of independent sets would."
        )
    if len({e.run.base_sha256 for e in task.entries if e.run.base_sha256 and e.method != NEIGHBOURS}) == 1:
        yield ("All transfer starts from the same base: the intervals do not count the spread between bases.")
    if len(task.arms) > 2:
        yield (
            f"{plural(len(task.arms), 'arm')} are compared on one test set: the best of them "
            "looks a little better than it is."
        )
