"""Statistical learning: parameters and sample size, gap, bounds, bias and variance (document 000)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tlcli.analysis.statistics import BiasVariance, bias_variance, counting_bound, exact_interval
from tlcli.report import drawing, style
from tlcli.report.document import Block, Chart, Column, Section, Table, Text
from tlcli.report.gather import Entry, Study, arms_of, sizes_of, variants_of
from tlcli.report.pairs import ENOUGH_DRAWS, fit, mean_of
from tlcli.report.size_figures import spread
from tlcli.report.words import at_most, count, number, percent, plural, points

MOST_PANELS = 6


@dataclass
class Cell:
    """The runs of one arm at one size and in one variant, and how their error comes apart."""

    size: int
    arm: str
    variant: str
    runs: list[Entry]
    parts: BiasVariance | None

    @property
    def name(self) -> str:
        return f"{self.arm}, {self.variant}" if self.variant else self.arm

    @property
    def parameters(self) -> int:
        """Those that were trained."""
        return int(self.runs[0].run.trainable_parameters)

    @property
    def draws(self) -> int:
        return len({e.dataset for e in self.runs})


def section(study: Study, entries: Sequence[Entry], *, suffix: str = "", title: str = "") -> Section:
    """Tables of capacity and gap, and of bias and variance, with what they do and do not say."""
    cells = [
        Cell(size, arm, variant, group, _decompose(group))
        for size in sizes_of(entries)
        for variant in variants_of(entries)
        for arm in arms_of(entries)
        if (group := [e for e in entries if (e.size, e.arm, e.variant) == (size, arm, variant)])
    ]
    d = study.digits
    part = Section("learning" + suffix, title or "From the view of statistical learning")
    part.blocks.append(_capacity(cells, d, suffix))
    apart = [c for c in cells if c.parts is not None]
    if apart:
        part.blocks += _apart(apart, d, suffix)
    part.discussion = [t for t in (_trade(cells, d), _bounds(cells), _reading(apart, d)) if t]
    part.limits = _limits(cells)
    return part


def _decompose(group: Sequence[Entry]) -> BiasVariance | None:
    runs = [e for e in group if e.correct is not None and e.task == group[0].task]
    if len(runs) < 2:
        return None
    return bias_variance(np.stack([e.run.predictions for e in runs]), runs[0].target.test_labels)


def _capacity(cells: Sequence[Cell], digits: int, suffix: str) -> Table:
    rows = []
    for c in cells:
        parameters = c.parameters
        train, gap = fit(c.runs) or (None, None)
        bound = counting_bound(parameters, c.size) if parameters and c.size else None
        rows.append(
            {
                "size": c.size,
                "arm": c.arm,
                "variant": c.variant,
                "parameters": parameters or None,
                "ratio": parameters / c.size if parameters and c.size else None,
                "train": None if train is None else 100 * train,
                "test": 100 * mean_of(c.runs),
                "gap": None if gap is None else 100 * gap,
                "interval": _exact(c.runs),
                "bound": None if bound is None else 100 * bound,
            }
        )
    columns = [
        Column("size", "training images", "count"),
        Column("arm", "arm"),
        Column("variant", "variant", shown=len({c.variant for c in cells}) > 1),
        Column("parameters", "trained parameters", "count"),
        Column("ratio", "per image", "number", 1),
        Column("train", "training accuracy (%)", "percent", digits),
        Column("test", "test accuracy (%)", "percent", digits),
        Column("gap", "gap (points)", "points", digits),
        Column("interval", "exact 95 % interval (%)", "interval", digits),
        Column("bound", "counting bound (points)", "number", 0),
    ]
    note = (
        "Exact interval: Clopper and Pearson's interval for the accuracy of one network (the run in "
        "the middle) on other images of the same kind; it needs no assumption but that the test images are "
        "a random sample. Counting bound: how far training and true accuracy could lie apart, at 95 %, for "
        "all networks that the trained parameters can encode with 32 bits each (Hoeffding and the union "
        "bound); 100 points or more say nothing."
    )
    return Table(
        "capacity" + suffix,
        "Capacity against sample size, and the gap between training and test accuracy.",
        columns,
        rows,
        note=note,
        group="size",
    )


def _exact(runs: Sequence[Entry]) -> tuple[float, float] | None:
    middle = sorted(runs, key=lambda e: e.accuracy)[(len(runs) - 1) // 2]
    if middle.correct is None:
        return None
    low, high = exact_interval(int(middle.correct.sum()), len(middle.correct))
    return 100 * low, 100 * high


def _apart(cells: Sequence[Cell], digits: int, suffix: str) -> list[Block]:
    rows = []
    for c in cells:
        assert c.parts is not None
        p = c.parts
        rows.append(
            {
                "size": c.size,
                "arm": c.arm,
                "variant": c.variant,
                "runs": len(c.runs),
                "draws": c.draws,
                "error": 100 * p.error,
                "bias": 100 * p.bias,
                "variance": 100 * p.variance,
                "share": 100 * p.variance / p.error if p.error > 0 else None,
                "main": 100 * p.main_error,
                "unbiased": 100 * p.unbiased_variance,
                "biased": 100 * p.biased_variance,
            }
        )
    columns = [
        Column("size", "training images", "count"),
        Column("arm", "arm"),
        Column("variant", "variant", shown=len({c.variant for c in cells}) > 1),
        Column("runs", "runs", "count"),
        Column("draws", "training sets", "count", shown=False),
        Column("error", "error (%)", "percent", digits),
        Column("bias", "bias² (%)", "percent", digits),
        Column("variance", "variance (%)", "percent", digits),
        Column("share", "variance's share of the error (%)", "percent", 0),
        Column("main", "error of the majority of runs (%)", "percent", digits),
        Column("unbiased", "Domingos's unbiased variance (%)", "percent", digits, shown=False),
        Column("biased", "Domingos's biased variance (%)", "percent", digits, shown=False),
    ]
    note = (
        "The mean 0-1 error over the runs is squared bias plus variance (Kohavi and Wolpert 1996, "
        "corrected for the number of runs; labels taken as free of noise). The error of the majority of "
        "runs is Domingos's (2000) bias. Both are computed from the predictions for the same test images."
    )
    sizes = spread(sizes_of(e for c in cells for e in c.runs), MOST_PANELS)
    caption = (
        "The test error taken apart: squared bias (blue: what the runs get wrong together) and variance "
        "(orange: what differs from run to run)."
    )
    chart = Chart(
        "bias-variance" + suffix,
        caption,
        "Stacked bars of squared bias and variance. " + _reading(cells, digits),
        partial(draw, cells, sizes),
    )
    return [
        Text("Bias and variance", "heading"),
        chart,
        Table(
            "bias-variance" + suffix,
            "Bias and variance over the repeated runs.",
            columns,
            rows,
            note=note,
            group="size",
        ),
    ]


def draw(cells: Sequence[Cell], sizes: Sequence[int], columns: int) -> Any:
    """Stacked horizontal bars, a panel per size with its own scale."""
    from matplotlib.patches import Patch

    names = list(dict.fromkeys(c.name for c in cells))
    figure, axes = drawing.grid(len(sizes), columns, height=0.8 + 0.22 * len(names), sharey=True, legend=0.32)
    steady, changing = style.OKABE_ITO[0], style.OKABE_ITO[4]
    for ax, size in zip(axes, sizes, strict=True):
        for c in cells:
            if c.size == size and c.parts is not None:
                y, bias = names.index(c.name), 100 * max(c.parts.bias, 0)
                ax.barh(y, bias, height=0.62, color=steady)
                ax.barh(y, 100 * c.parts.variance, left=bias, height=0.62, color=changing)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.grid(visible=False, axis="y")
        ax.set_title(plural(size, "training image"))
        ax.set_xlabel("test error (%)")
    drawing.legend_on_top(
        figure, [Patch(color=steady), Patch(color=changing)], ["squared bias", "variance"], columns=2
    )
    return figure


def _trade(cells: Sequence[Cell], digits: int) -> str:
    """Trained parameters and gap, at the smallest and at the largest size."""
    sizes = dict.fromkeys((cells[0].size, cells[-1].size))
    return " ".join(filter(None, (_trade_at([c for c in cells if c.size == s], digits) for s in sizes)))


def _trade_at(cells: Sequence[Cell], digits: int) -> str:
    """The arm that trains most parameters against the one that trains fewest."""
    known = [(c, *found) for c in cells if c.parameters and (found := fit(c.runs))]
    if len(known) < 2:
        return ""
    pair = max(known, key=lambda k: k[0].parameters), min(known, key=lambda k: k[0].parameters)
    where, (high, low) = plural(cells[0].size, "training image"), (k[0].parameters for k in pair)
    if high < 2 * low:
        many = "the same" if low == high else "about the same"
        span = count(low) if low == high else f"{count(low)} to {count(high)}"
        return (
            f"At {where} all networks train {many} number of parameters ({span}, "
            f"{number(high / cells[0].size, 1)} per image), which cannot tell their gaps apart."
        )
    texts = [
        f"{c.name} trains {plural(c.parameters, 'parameter')} ({number(c.parameters / c.size, 1)} per image) "
        f"with a gap of {points(gap, digits)}"
        for c, _, gap in pair
    ]
    smaller = pair[1][2] < pair[0][2]
    moral = f"There fewer trained parameters {'go' if smaller else 'do not go'} with a smaller gap."
    if all(train > 1 - 1e-9 for _, train, _ in pair):
        moral += " Both classify every training image right, so that the gap is the test error."
    return f"At {where}, {texts[0]}; {texts[1]}. {moral}"


def _bounds(cells: Sequence[Cell]) -> str:
    """Whether the bound by counting parameters says anything."""
    bounded = [c for c in cells if c.parameters and c.size]
    if not bounded:
        return ""
    telling = [c for c in bounded if counting_bound(c.parameters, c.size) < 1]
    if not telling:
        return (
            "The bound that counts trained parameters exceeds 100 points everywhere, so it says nothing "
            "about why these networks generalise. What can honestly be bounded is the accuracy of a finished "
            "network on new images, by the exact interval of its test accuracy."
        )
    names = at_most([f"{c.name} at {count(c.size)}" for c in telling], 4)
    return (
        f"The bound that counts trained parameters says something only for {names}; elsewhere it exceeds "
        "100 points."
    )


def _reading(cells: Sequence[Cell], digits: int) -> str:
    """How much of the error is variance, and who has least of each part, at the smallest and largest size."""
    sentences = []
    sizes = list(dict.fromkeys(c.size for c in cells))
    for size in dict.fromkeys((sizes[0], sizes[-1])) if sizes else ():
        parts = {c.name: c.parts for c in cells if c.size == size and c.parts is not None}
        shares = {name: p.variance / p.error for name, p in parts.items() if p.error > 0}
        if not shares:
            continue
        low, high = min(shares, key=lambda n: shares[n]), max(shares, key=lambda n: shares[n])
        text = f"At {plural(size, 'training image')} variance makes up {percent(shares[low], 0)} ({low})"
        text += (
            f" to {percent(shares[high], 0)} ({high}) of the test error"
            if high != low
            else " of the test error"
        )
        if len(parts) > 1:
            steady = min(parts, key=lambda n: parts[n].variance)
            fitting = min(parts, key=lambda n: parts[n].bias)
            bias, variance = (percent(x, digits) for x in (parts[fitting].bias, parts[steady].variance))
            also = " and" if fitting == steady else f", {steady}"
            text += f"; {fitting} has the least squared bias ({bias}){also} the least variance ({variance})"
        sentences.append(text + ".")
    return " ".join(sentences)


def _limits(cells: Sequence[Cell]) -> list[str]:
    texts = []
    if any(c.parts is not None and c.draws < ENOUGH_DRAWS for c in cells):
        shared = [c for c in cells if c.parts is not None and c.draws == 1]
        if shared:
            texts.append(
                "Bias and variance are over repeated trainings on one training set per size: the variance "
                "here is that of the start and the order of the images. What another sample would change "
                "is hidden in the bias."
            )
    if any(c.parts is not None and len(c.runs) < 10 for c in cells):
        texts.append("With few runs bias and variance are rough; differences between arms were not tested.")
    texts.append(
        "The test images tell of images drawn like them, not of others; and where many arms are compared "
        "on one test set, the best of them looks a little better than it is."
    )
    return texts
