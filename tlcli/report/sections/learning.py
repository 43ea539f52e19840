"""Statistical learning: parameters and sample size, the counting bound, bias and variance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tlcli.analysis.measures import BiasVariance, counting_bound
from tlcli.report.columns import cell_column, cell_table, percent
from tlcli.report.document import Block, Chart, Column, Table, Text
from tlcli.report.plots.arms import draw_parts
from tlcli.report.registry import section
from tlcli.report.study import Cell, Study, Task
from tlcli.report.study.grid import at_ends
from tlcli.report.words import NBSP, at_most, count, number, plural, points
from tlcli.report.words import percent as pct


@section("learning", "From the view of statistical learning", order=40, folded=True)
def learning(study: Study, task: Task) -> Iterable[Block]:
    """Tables of capacity and gap, and of bias and variance, with their meaning and limits."""
    if any(c.parameters for c in task.cells):
        yield _capacity(task)
        yield from (Text(t) for t in (*_trade(task), _bounds(task)) if t)
    apart = [c for c in task.cells if c.parts is not None]
    if apart:
        yield from _apart(task, apart)


def _capacity(task: Task) -> Table:
    d, telling = task.digits, any(_says(c) for c in task.cells)
    bound = "counting bound (points)"
    columns = [
        cell_column("accuracy", d),
        cell_column("train", d),
        Column("parameters", "trained parameters", "count", value=lambda c: c.parameters or None),
        Column("ratio", "per image", "number", 1, value=_ratio),
        cell_column("gap", d),
        Column("bound", bound, "number", 0, shown=telling, value=lambda c: percent(_bound(c))),
    ]
    caption = "Trained parameters against sample size, and the gap between training and test accuracy."
    return cell_table(task, "capacity", caption, columns, task.cells)


def _ratio(c: Cell) -> float | None:
    return c.parameters / c.size if c.parameters and c.size else None


def _bound(c: Cell) -> float | None:
    return counting_bound(c.parameters, c.size) if c.parameters and c.size else None


def _says(c: Cell) -> bool:
    """Whether training accuracy minus the bound is above the share of the largest class."""
    bound = _bound(c)
    return bound is not None and c.train is not None and c.train - bound > c.task.chance


def _bounds(task: Task) -> str:
    """A sentence on the bound by counting parameters: where it promises more than guessing."""
    bounded = [c for c in task.cells if _bound(c) is not None and c.train is not None]
    if not bounded:
        return ""
    telling = [c for c in bounded if _says(c)]
    if not telling:
        return (
            "The bound that counts trained parameters (32 bits each, Hoeffding and the union bound; "
            "Shalev-Shwartz and Ben-David 2014, section 4.2) promises nowhere more than guessing the "
            "largest class, so it says nothing of why these networks generalise."
        )
    parts = [
        f"{c.name} at {count(c.size)} images at least {pct(max(0.0, (c.train or 0) - (_bound(c) or 0)), 0)}"
        for c in telling
    ]
    return (
        "By counting trained parameters (32 bits each, Hoeffding and the union bound), other images of the "
        f"kind are classified right by {at_most(parts, 4)}; elsewhere the bound promises no more than "
        "guessing."
    )


def _trade(task: Task) -> Iterable[str]:
    """The arm that trains most parameters against the one that trains fewest, at both ends of the sizes."""
    for where, cells in at_ends(task.cells):
        known = [c for c in cells if c.parameters and c.gap is not None]
        if len(known) < 2:
            continue
        most, fewest = max(known, key=lambda c: c.parameters), min(known, key=lambda c: c.parameters)
        if most.parameters < 2 * fewest.parameters:
            continue  # too alike to explain a difference between the gaps
        texts = [
            f"{c.name} trains {plural(c.parameters, 'parameter')} ({number(_ratio(c) or 0, 1)} per "
            f"image) and has a gap of {points(c.gap or 0, task.digits)}"
            for c in (most, fewest)
        ]
        yield f"{where}, {texts[0]}; {texts[1]}."


def _apart(task: Task, cells: Sequence[Cell]) -> Iterable[Block]:
    d = task.digits
    columns = [
        cell_column("runs"),
        Column("draws", "training sets", "count", shown=False, value=lambda c: c.draws),
        _part("error", "error (%)", d, lambda p: p.error),
        _part("bias", "bias² (%)", d, lambda p: p.bias),
        _part("variance", "variance (%)", d, lambda p: p.variance),
        Column("share", "variance's share of the error (%)", "percent", 0, value=_share),
        _part("main", "error of the majority of runs (%)", d, lambda p: p.main_error),
        _part("unbiased", "Domingos's unbiased variance (%)", d, lambda p: p.unbiased_variance, shown=False),
        _part("biased", "Domingos's biased variance (%)", d, lambda p: p.biased_variance, shown=False),
    ]
    note = (
        "The mean 0-1 error over the runs is squared bias plus variance (Kohavi and Wolpert 1996, corrected "
        "for the number of runs; labels taken as free of noise). The error of the majority of runs is "
        "Domingos's (2000) bias. Differences between arms were not tested."
    )
    if all(c.draws == 1 for c in cells):
        note += (
            " The runs of a size share one training set: the variance is that of the training; the "
            "spread between training sets is in the bias."
        )
    caption = (
        "The test error taken apart: squared bias (blue: what the runs get wrong together) and variance "
        "(orange: what differs from run to run)."
    )
    text = " ".join(_reading(cells))
    yield Text("Bias and variance", "heading")
    name = task.id("bias-variance")
    yield Chart(
        name, caption, f"Stacked bars of squared bias and variance. {text}", partial(draw_parts, cells)
    )
    yield cell_table(task, "bias-variance", "Bias and variance over the repeated runs.", columns, cells, note)
    yield Text(text)


def _part(
    key: str, label: str, digits: int, share: Callable[[BiasVariance], float], *, shown: bool = True
) -> Column:
    return Column(key, label, "percent", digits, shown, value=lambda c: 100 * share(c.parts))


def _share(c: Cell) -> float | None:
    """The share of variance in the error, in percent; None without errors."""
    return 100 * c.parts.variance / c.parts.error if c.parts and c.parts.error > 0 else None


def _reading(cells: Sequence[Cell]) -> Iterable[str]:
    """The share of variance in the error, at the smallest and the largest size."""
    for where, there in at_ends(cells):
        shares = {c.name: share for c in there if (share := _share(c)) is not None}
        if not shares:
            continue
        low, high = min(shares, key=lambda n: shares[n]), max(shares, key=lambda n: shares[n])
        text = f"{where} variance makes up {number(shares[low], 0)}{NBSP}%"
        if shares[low] < shares[high]:
            text += f" ({low}) to {number(shares[high], 0)}{NBSP}% ({high})"
        yield f"{text} of the test error."
