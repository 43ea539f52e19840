"""The layer study on the page: figure, tables, and what they say of co-adaptation, specificity and tuning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tlcli.report import drawing, layer_words, style
from tlcli.report.document import Answer, Chart, Column, Section, Table, Text
from tlcli.report.gather import Entry, Study
from tlcli.report.layers import BASE, SERIES, Effect, LayerStudy, collect
from tlcli.report.words import percent, plural, with_interval

COLOURS = {label: style.METHODS[method][0] for (method, _), label in SERIES.items()}
MARKERS = {label: style.METHODS[method][1] for (method, _), label in SERIES.items()}
MEANING = (
    "B is the target task, A the other one. BnB: the first n layers copied from a base trained on B itself "
    "(selffer) and frozen. AnB: copied from a base trained on A (transfer) and frozen. With a plus: copied "
    "and then tuned with the rest (Yosinski et al. 2014)."
)


def section(study: Study, entries: Sequence[Entry]) -> Section:
    """One figure with two panels and two tables per variant."""
    part = Section("layers", "How far can the features be copied")
    part.blocks.append(Text(MEANING))
    d = study.digits
    for i, found in enumerate(collect(study, entries)):
        suffix = f"-{i + 1}" if i else ""
        if found.variant:
            part.blocks.append(Text(found.variant, "heading"))
        chart = Chart("layers" + suffix, _caption(found), _alt(found, d), partial(draw, found))
        part.blocks += [chart, _accuracies(found, d, suffix), _effects(found, d, suffix)]
        text = [
            t
            for t in (
                layer_words.coadaptation(found, d),
                layer_words.specificity(found, d),
                layer_words.tuning(found, d),
            )
            if t
        ]
        lead = f"{found.variant}: " if found.variant else ""
        part.discussion += [lead + t for t in text]
        part.limits += layer_words.limits(found)
        if part.answer is None:
            part.answer = Answer(layer_words.answer(found, d), chart, weight=len(entries))
    return part


def draw(study: LayerStudy, columns: int) -> Any:
    """Accuracy against n with the base as a line, and the difference from the base."""
    from matplotlib.lines import Line2D

    labels = [s for s in SERIES.values() if s in study.values]
    handles = [
        Line2D([], [], color=COLOURS[s], marker=MARKERS[s], linestyle=_line(s), markerfacecolor=_fill(s))
        for s in labels
    ]
    if study.base:
        handles.append(Line2D([], [], color=style.INK, lw=1.4))
    names = [*labels, *([BASE] if study.base else [])]
    width = drawing.width_for(columns, 2 if study.base else 1)
    room, legend_columns = drawing.legend_room(names, width)
    figure, axes = drawing.grid(2 if study.base else 1, columns, height=3.0, legend=room, width=width)
    _base_line(axes[0], study)
    for i, s in enumerate(labels):
        dodge = 0.07 * (i - (len(labels) - 1) / 2)
        stats = [(n, m) for n in study.depths if (m := study.summary(s, n)) is not None]
        _series(axes[0], s, dodge, [(n, m.mean, m.low, m.high) for n, m in stats])
        mine = [e for e in _differences(study) if e.first == s]
        if study.base:
            _series(
                axes[1],
                s,
                dodge,
                [(e.n, e.comparison.difference, e.comparison.low, e.comparison.high) for e in mine],
            )
    axes[0].set_ylabel("test accuracy on B (%)")
    if study.base:
        axes[1].axhline(0, color=style.INK, lw=1.4, zorder=1)
        axes[1].set_ylabel("difference from the base (points)")
    for ax in axes:
        ax.set_xticks(study.depths)
        ax.set_xlim(study.depths[0] - 0.5, study.depths[-1] + 0.5)
        ax.set_xlabel("n, layers copied")
    drawing.legend_on_top(figure, handles, names, columns=legend_columns)
    return figure


Points = Sequence[tuple[int, float, float | None, float | None]]


def _series(ax: Any, s: str, dodge: float, values: Points) -> None:
    x = [n + dodge for n, *_ in values]
    ax.plot(
        x,
        [100 * v[1] for v in values],
        color=COLOURS[s],
        marker=MARKERS[s],
        linestyle=_line(s),
        markerfacecolor=_fill(s),
        zorder=3,
    )
    for xi, (_, _, low, high) in zip(x, values, strict=True):
        if low is not None and high is not None:
            ax.plot([xi, xi], [100 * low, 100 * high], color=COLOURS[s], lw=1.1, zorder=2)


def _base_line(ax: Any, study: LayerStudy) -> None:
    base = study.summary(BASE, 0)
    if base is not None:
        ax.axhline(100 * base.mean, color=style.INK, lw=1.4, zorder=1)


def _line(series: str) -> object:
    return (0, (4, 2)) if series.startswith("B") else "-"


def _fill(series: str) -> str:
    return style.PAPER if series.startswith("B") else COLOURS[series]


def _differences(study: LayerStudy) -> list[Effect]:
    """Every series against the base at each n."""
    from tlcli.analysis import statistics

    effects = []
    for s, depths in study.values.items():
        for n, values in sorted(depths.items()):
            if units := [u for u in values if u in study.base]:
                c = statistics.compare_means([values[u] for u in units], [study.base[u] for u in units])
                effects.append(Effect("drop", s, BASE, n, c))
    return effects


def _accuracies(study: LayerStudy, digits: int, suffix: str) -> Table:
    rows: list[dict[str, Any]] = []
    if base := study.summary(BASE, 0):
        rows.append(
            {
                "series": BASE,
                "n": None,
                "mean": 100 * base.mean,
                "sd": _percent(base.sd),
                "interval": _pair(base.low, base.high),
                "units": base.n,
            }
        )
    drops = {(e.first, e.n): e.comparison for e in _differences(study)}
    for s in study.values:
        for n in study.depths:
            if m := study.summary(s, n):
                drop = drops.get((s, n))
                rows.append(
                    {
                        "series": s,
                        "n": n,
                        "mean": 100 * m.mean,
                        "sd": _percent(m.sd),
                        "units": m.n,
                        "interval": _pair(m.low, m.high),
                        "drop": None if drop is None else 100 * drop.difference,
                        "drop_interval": None if drop is None else _pair(drop.low, drop.high),
                    }
                )
    columns = [
        Column("series", "networks"),
        Column("n", "n", "count"),
        Column("units", f"{study.unit}s", "count"),
        Column("mean", "test accuracy (%)", "percent", digits),
        Column("sd", "sd (points)", "number", digits),
        Column("interval", "95 % interval (%)", "interval", digits),
        Column("drop", "from the base (points)", "points", digits),
        Column("drop_interval", "95 % interval (points)", "interval", digits),
    ]
    note = (
        f"Intervals are 95 % t intervals over the {study.unit}s; differences are paired within each "
        f"{study.unit}."
    )
    caption = f"Test accuracy of {plural(study.runs, 'network')} on {plural(study.targets, 'target task')}."
    return Table("layers" + suffix, caption, columns, rows, note=note, group="series")


def _effects(study: LayerStudy, digits: int, suffix: str) -> Table:
    rows = [
        {
            "effect": e.name,
            "contrast": f"{e.first} − {e.second}",
            "n": str(e.n) if e.n else "mean",
            "difference": 100 * e.comparison.difference,
            "interval": _pair(e.comparison.low, e.comparison.high),
            "p": e.p,
            "verdict": "yes" if e.shown else "no",
            "units": e.comparison.runs,
        }
        for e in study.effects
    ]
    columns = [
        Column("effect", "effect"),
        Column("contrast", "difference of"),
        Column("n", "n", "figure"),
        Column("difference", "points", "points", digits),
        Column("interval", "95 % interval", "interval", digits),
        Column("p", "p", "p"),
        Column("verdict", "borne out"),
        Column("units", f"{study.unit}s", "count", shown=False),
    ]
    note = (
        f"Paired t tests over the {study.unit}s; p is adjusted after Holm over the values of n, except for "
        "the means."
    )
    return Table(
        "layer-effects" + suffix,
        "Co-adaptation, specificity and tuning.",
        columns,
        rows,
        note=note,
        group="effect",
    )


def _caption(study: LayerStudy) -> str:
    return (
        "Test accuracy on the target against the number of layers copied, and its difference from the base "
        "trained on the target: mean and 95 % interval over "
        f"{plural(layer_words.units(study), study.unit)}. Blue: frozen; orange: tuned. Hollow and dashed: "
        "from the own task (selffer); filled: from the other (transfer)."
    )


def _alt(study: LayerStudy, digits: int) -> str:
    parts = []
    for s in study.values:
        ends = [n for n in study.depths if n in study.values[s]]
        first, final = study.summary(s, ends[0]), study.summary(s, ends[-1])
        if first and final:
            parts.append(
                f"{s} from {percent(first.mean, digits)} at n = {ends[0]} to {percent(final.mean, digits)} "
                f"at n = {ends[-1]}"
            )
    base = study.summary(BASE, 0)
    lead = f"Base {with_interval(base, digits)}. " if base else ""
    return f"Accuracy against layers copied. {lead}{'; '.join(parts)}."


def _percent(x: float | None) -> float | None:
    return None if x is None else 100 * x


def _pair(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (100 * low, 100 * high)
