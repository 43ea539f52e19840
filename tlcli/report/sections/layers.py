"""The layer study on the page: figure, tables, and a summary of co-adaptation, specificity and tuning."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from tlcli.report.columns import percent, percents
from tlcli.report.document import Block, Chart, Column, Table, Text, rows_of
from tlcli.report.plots.single import draw_layers
from tlcli.report.registry import section
from tlcli.report.study import Study
from tlcli.report.study.layers import BASE, ENOUGH, NOTHING, Effect, LayerStudy
from tlcli.report.words import ALPHA, between, count, number, p_value, plural, points
from tlcli.report.words import percent as pct

MEANING = (
    "B is the target task, A the other one. BnB: the first n layers are copied from a base trained on B "
    "itself and frozen. AnB: they are copied from a base trained on A and frozen. With a plus: copied and "
    "then tuned with the rest. n = 0: nothing is copied, and the network is trained as long as these "
    "(Yosinski et al. 2014)."
)


@section("layers", "How far can the features be copied", order=5, per_task=False)
def layers(study: Study, task: None) -> Iterable[Block]:
    """One figure with two panels and two tables per variant."""
    if not study.layer_studies:
        return
    yield Text(MEANING)
    for i, found in enumerate(study.layer_studies):
        suffix = f"-{i + 1}" if i else ""
        if found.variant:
            yield Text(found.variant, "heading")
        yield Chart(f"layers{suffix}", _caption(found), _alt(found), partial(draw_layers, found))
        yield _accuracies(found, suffix)
        if found.effects:
            yield _effects(found, suffix)
        lead = f"{found.variant}: " if found.variant else ""
        yield from (Text(lead + t) for t in (coadaptation(found), specificity(found), tuning(found)))
        yield from (Text(t, "limit") for t in _limits(found))


def _accuracies(study: LayerStudy, suffix: str) -> Table:
    d = study.digits
    places = [(BASE, None), (NOTHING, None), *((s, n) for s in study.values for n in study.depths)]
    rows: list[dict[str, Any]] = []
    for series, n in places:
        if (m := study.summary(series, n or 0)) is not None:
            row: dict[str, Any] = {"series": series, "n": n, "units": m.n, "layer_accuracy": percent(m.mean)}
            row |= {"sd": percent(m.sd) if m.n >= ENOUGH else None, "layer_interval": percents(m.interval)}
            if series != BASE and (drop := study.from_base(series, n or 0)) is not None:
                row |= {"drop": 100 * drop.difference}
                row |= {"drop_interval": percents(drop.interval()) if drop.runs >= ENOUGH else None}
            rows.append(row)
    columns = [
        Column("series", "networks"),
        Column("n", "n", "count"),
        Column("units", f"{study.unit}s", "count"),
        Column("layer_accuracy", "test accuracy (%)", "percent", d),
        Column("sd", "sd (points)", "number", d),
        Column("layer_interval", "95 % interval (%)", "interval", d),
        Column("drop", "from the base (points)", "points", d),
        Column("drop_interval", "95 % interval (points)", "interval", d),
    ]
    note = (
        f"Intervals are 95 % t intervals over three or more {study.unit}s; differences are paired within "
        f"each {study.unit}, and these are not adjusted for their number."
    )
    if study.unit == "run":
        note += " The base of a target is one network: differences from it are over the targets."
    caption = f"Test accuracy of {plural(study.runs, 'network')} on {plural(study.targets, 'target task')}."
    return Table(
        f"layers{suffix}", caption, columns, rows, note, group="series", file="layers", task=study.variant
    )


def _effects(study: LayerStudy, suffix: str) -> Table:
    d = study.digits
    columns = [
        Column("effect", "effect", value=lambda e: e.name),
        Column("contrast", "difference of", value=lambda e: f"{e.first} − {e.second}"),
        Column("n", "n", "figure", value=lambda e: str(e.n) if e.n else "mean"),
        Column("effect_difference", "points", "points", d, value=lambda e: 100 * e.difference),
        Column("effect_interval", "95 % interval", "interval", d, value=lambda e: percents(e.interval)),
        Column("effect_p", "p", "p", value=lambda e: e.p),
        Column("effect_verdict", "verdict", value=lambda e: "shown" if e.shown else "not shown"),
        Column(
            "effect_detectable",
            "detectable difference (points)",
            "number",
            d,
            value=lambda e: percent(e.detectable),
        ),
        Column("units", f"{study.unit}s", "count", shown=False, value=lambda e: e.comparison.runs),
    ]
    note = (
        f"Paired t tests over the {study.unit}s; interval and p value hold for all values of n at once "
        "(Bonferroni), those of the mean over n for it alone."
    )
    caption = "Co-adaptation, specificity and tuning, each against its control."
    rows, name = rows_of(columns, study.effects), "layer-effects"
    return Table(
        f"{name}{suffix}", caption, columns, rows, note, group="effect", file=name, task=study.variant
    )


def evidence(e: Effect, digits: int) -> str:
    """The difference, its interval and p value; if it is not shown, what could be detected."""
    parts = [points(e.difference, digits, sign=True)]
    parts += [f"95 % interval {between(e.interval, digits)}"] if e.interval else []
    parts += [p_value(e.p)] if e.p is not None else []
    least = None if e.shown else e.detectable
    if least is not None:
        parts[-1] += f"; a true difference of {points(least, digits)} would be detected with a power of 80 %"
    return ", ".join(parts)


def _dip(study: LayerStudy, name: str, series: str, missing: str, seen: str, unseen: str) -> str:
    """Sentences on a drop: its deepest n, its mean over n and its slope; or the control that is missing."""
    effects, mean = study.family(name)
    d, slope = study.digits, _slope(study, series)
    if not effects:
        return f"{unseen}: {missing}.{slope}"
    shown = [e for e in effects if e.shown and e.difference < 0]
    deepest = min(shown or effects, key=lambda e: e.difference)
    if not shown and mean is not None and mean.shown and mean.difference < 0:
        return (
            f"{seen} over all n together ({evidence(mean, d)}), and at no n by itself (lowest, at "
            f"n = {deepest.n}: {evidence(deepest, d)}).{slope}"
        )
    detail, places = evidence(deepest, d), ", ".join(str(e.n) for e in shown)
    if len(shown) == 1:
        text = f"{seen} at n = {places} ({detail})."
    elif shown:
        text = f"{seen} at n = {places} (most: {detail}, at n = {deepest.n})."
    else:
        text = f"{unseen} (lowest difference, at n = {deepest.n}: {detail})."
    if above := [str(e.n) for e in effects if e.shown and e.difference > 0]:
        text += f" At n = {', '.join(above)} the opposite is shown."
    return text + (f" Over all n the mean difference is {evidence(mean, d)}." if mean else "") + slope


def coadaptation(study: LayerStudy) -> str:
    return _dip(
        study,
        "co-adaptation",
        "BnB",
        "this needs networks that copy nothing and are trained as long (the arm scratch); there are none",
        "Co-adaptation is shown: networks with their own first n layers frozen (BnB) end below those that "
        "copy nothing",
        "Co-adaptation (BnB below n = 0) is not shown",
    )


def specificity(study: LayerStudy) -> str:
    return _dip(
        study,
        "specificity",
        "AnB",
        "this needs layers frozen from the own base and from the other, and one of them is missing",
        "Specificity is shown: layers frozen from the other task (AnB) do worse than those from the own "
        "(BnB)",
        "Specificity (AnB below BnB) is not shown",
    )


def _slope(study: LayerStudy, series: str) -> str:
    c = study.slopes.get(series)
    if c is None or c.p() is None or c.runs < ENOUGH:
        return ""
    p = c.p() or 0.0
    rate = (
        f"{number(100 * c.difference, study.digits)} points per layer, 95 % interval "
        f"{between(c.interval(), study.digits)}, {p_value(p)}"
    )
    if p < ALPHA:
        return f" {series} {'falls' if c.difference < 0 else 'rises'} with n ({rate})."
    return f" A change of {series} with n is not shown ({rate})."


def tuning(study: LayerStudy) -> str:
    """Tuning against freezing, and tuned transfer against its control."""
    d, sentences = study.digits, []
    if tuned := study.overall("tuning against freezing"):
        verb = "gains" if tuned.difference > 0 else "loses"
        sentences.append(
            f"Tuning the copied layers instead of freezing them (AnB+ − AnB) {verb} {evidence(tuned, d)}."
            if tuned.shown
            else "A difference between tuning the copied layers and freezing them (AnB+ − AnB) is not shown "
            f"({evidence(tuned, d)})."
        )
    benefit = study.overall("tuned transfer against tuned selffer")
    unseen = "A benefit of the other task's layers for a tuned network is not shown"
    if benefit is None:
        sentences.append(f"{unseen}: this needs tuned networks from the own base (BnB+), trained as long.")
    elif benefit.shown:
        verb = "help" if benefit.difference > 0 else "harm"
        sentences.append(
            f"Layers of the other task {verb} a tuned network (AnB+ − BnB+: {evidence(benefit, d)})."
        )
    else:
        sentences.append(f"{unseen} (AnB+ − BnB+: {evidence(benefit, d)}).")
    if start := study.overall("tuned transfer against n = 0"):
        verb = "gains" if start.difference > 0 else "loses"
        sentences.append(
            f"Tuned transfer {verb} over training from scratch as long (AnB+ − n = 0): {evidence(start, d)}."
            if start.shown
            else f"A gain of tuned transfer over training from scratch as long (AnB+ − n = 0) is not shown "
            f"({evidence(start, d)})."
        )
    return " ".join(sentences)


def answer(study: LayerStudy) -> list[str]:
    """A sentence on the cost of freezing and the gain of tuning, for the top of the page."""
    lead = f"{study.variant}: " if study.variant else ""
    return [f"{lead}{t.partition('. ')[0].removesuffix('.')}." for t in (specificity(study), tuning(study))]


def _limits(study: LayerStudy) -> Iterable[str]:
    units = plural(study.units, study.unit)
    yield f"The layer study rests on {units}: an effect that is not shown may still be there."
    if study.unit == "run":
        yield "Its repetitions are runs on the same tasks: other splits of the classes may behave otherwise."
    if study.base_samples and study.base_samples != study.samples:
        yield (
            f"A base has seen {count(study.base_samples)} images, and a network {count(study.samples)} more "
            "after copying. Their difference is also one of training length, so nothing is concluded from it."
        )
    if not study.base:
        yield "These files do not hold the accuracy of the bases, so no line stands for them."


def _caption(study: LayerStudy) -> str:
    return (
        "Test accuracy on the target against the number of layers copied, and its difference from the base "
        f"trained on the target: mean and 95 % interval over {plural(study.units, study.unit)}. Blue: "
        "frozen; orange: tuned. Hollow and dashed: from the own task; filled: from the other."
    )


def _alt(study: LayerStudy) -> str:
    parts = []
    for s in study.values:
        ends = [n for n in study.depths if n in study.values[s]]
        first, final = study.summary(s, ends[0]), study.summary(s, ends[-1])
        if first and final:
            parts.append(
                f"{s} from {pct(first.mean, study.digits)} at n = {ends[0]} to "
                f"{pct(final.mean, study.digits)} at n = {ends[-1]}"
            )
    base = study.summary(BASE)
    lead = f"Base {pct(base.mean, study.digits)}. " if base else ""
    return f"Accuracy against layers copied. {lead}{'; '.join(parts)}."
