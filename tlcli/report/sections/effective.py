"""Effective data: how many images from scratch each arm's images are worth (Hernandez et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import isfinite

from tlcli.report.columns import cell_table
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.arms import draw_effective_data
from tlcli.report.registry import section
from tlcli.report.sections.gains import images_text, span_text, with_span
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.entry import CONTROL, by
from tlcli.report.study.worth import Worth
from tlcli.report.words import plural

FEWEST_SIZES = 4
"""Numbers of images from which on a curve is drawn; the table of gains tells of fewer."""

Valued = Sequence[tuple[Cell, Worth]]


@section("effective-data", "Effective data", order=14, per_task=False)
def effective_data(study: Study, task: None) -> Iterable[Block]:
    """For studies over many sizes: a curve for each arm, and what was transferred in images."""
    found = {t: valued for t in study.tasks if (valued := _valued(t))}
    if not found:
        return
    control = " or ".join(dict.fromkeys(str(t.control) for t in found))
    caption = (
        f"Effective data: the number of images with which {control} reaches the accuracy of each arm, "
        "against the number that the arm was trained on, with 95 % intervals. On the dotted line nothing is "
        "gained; what lies above it is the data transferred. A hollow "
        "arrowhead: beyond what was measured."
    )
    said = {t: " ".join(_sentences(valued, str(t.control))) for t, valued in found.items()}
    every = [one for valued in found.values() for one in valued]
    draw = partial(draw_effective_data, every, study.looks)
    alt = " ".join(f"{t.name}: {text}" if len(found) > 1 else text for t, text in said.items())
    yield Chart("effective-data", caption, alt, draw)
    for t, valued in found.items():
        if len(found) > 1:
            yield Text(t.name, "heading")
        yield _table(t, valued, str(t.control))
        yield Text(said[t])


def _valued(task: Task) -> Valued:
    """The arms with a worth, if the control has a curve over enough sizes."""
    control = task.control
    if control is None or len({c.size for c in task.at(arm=control)}) < FEWEST_SIZES:
        return []
    return [(c, w) for c in task.cells if c.method != CONTROL and (w := c.worth) is not None]


def _table(task: Task, valued: Valued, control: str) -> Table:
    transferred = "of these transferred (95 % interval)"
    label = f"worth in images of {control} (95 % interval)"
    columns = [
        Column("effective", label, "figure", value=lambda one: with_span(one[1])),
        Column("transferred", transferred, "figure", value=lambda one: with_span(one[1], one[0].size)),
    ]
    note = (
        "Worth: the effective data of Hernandez et al. (2021), read off the line through the means of "
        f"{control} over the logarithm of the number of images. Its interval is for these test images and "
        f"pairs the arm with {control} on the same training sets. Transferred: the worth less the images "
        "that the arm was trained on."
    )
    caption = "Effective data and data transferred."
    return cell_table(
        task, "effective-data", caption, columns, valued, note, of=lambda one: one[0], file="effective"
    )


def _sentences(valued: Valued, control: str) -> Iterable[str]:
    """For each size up to which the worth of the best arm is known, that one."""
    for size, group in by(valued, lambda one: one[0].size).items():
        cell, w = max(group, key=lambda one: one[0].mean)
        if isfinite(w.images) and w.low > size:
            yield (
                f"{plural(size, 'image')} with {cell.name} are worth {images_text(w.images, w)} with "
                f"{control} ({span_text(w)})."
            )
    if not any(w.low > c.size for c, w in valued):
        yield f"No arm is shown to be worth more images of {control} than it was trained on."
