"""The ranking of bases for a target: the scores of `tlcli rank`, best base first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from tlcli.report import drawing, style
from tlcli.report.document import Block, Chart, Column, Table, Text, rows_of
from tlcli.report.registry import section
from tlcli.report.study import Study
from tlcli.report.study.entry import by
from tlcli.report.words import clean, listing, plural
from tlcli.store.records import Ranking

_MARK = {"ls": "none", "ms": 6}
_MEASURED = (
    ("logistic", "logistic head", {"color": style.TEST, "marker": "o"} | _MARK),
    ("neighbours", "nearest neighbours", {"color": style.TRAIN, "marker": "s"} | _MARK),
)
_SCORES = (("log_me", "LogME"), ("h_score", "H-score"), ("leep", "LEEP"))


@section("ranking", "Which base?", order=4, per_task=False)
def which_base(study: Study, task: None) -> Iterable[Block]:
    """A figure of the accuracies and a table of all scores, for each target."""
    for number, (name, ranked) in enumerate(by_target(study)):
        id = "ranking" + (f"-{number + 1}" if number else "")
        caption = (
            f"Accuracy on training images of {name} that were held out: of a logistic head (circles) and of "
            "the nearest neighbours (squares), on the embeddings by each base."
        )
        text = describe(ranked, name)
        yield Chart(id, caption, text, partial(draw, ranked))
        yield _table(ranked, name, id)
        yield Text(text)
    if study.rankings:
        yield Text(
            "Bases are ranked by features that stay as they are; tuning all layers may rank them otherwise.",
            "limit",
        )


def by_target(study: Study) -> Iterable[tuple[str, list[Ranking]]]:
    """The bases of each target, the best first."""
    for (dataset, _), ranked in by(study.rankings, lambda one: (one.dataset, one.size)).items():
        yield clean(dataset), sorted(ranked, key=lambda one: -one.logistic)


def draw(ranked: Sequence[Ranking], columns: int) -> Any:
    """A row for each base."""
    figure, (ax,) = drawing.grid(
        1, columns, height=0.9 + 0.26 * len(ranked), legend=[row[1:] for row in _MEASURED]
    )
    rows = range(len(ranked))
    for name, _, look in _MEASURED:
        ax.plot([100 * getattr(one, name) for one in ranked], rows, **look)
    ax.set_yticks(list(rows), [_name(one)[:40] for one in ranked])
    ax.invert_yaxis()
    ax.set_xlabel("accuracy on held-out training images (%)")
    return figure


def _table(ranked: Sequence[Ranking], name: str, id: str) -> Table:
    columns = [
        Column("name", "base", value=_name),
        Column("architecture", "network", value=lambda one: clean(one.architecture)),
        Column("layer", "layer", shown=False, value=lambda one: clean(one.layer)),
        Column("width", "numbers for an image", "count", shown=False, value=attrgetter("width")),
        Column("images", "images", "count", shown=False, value=attrgetter("images")),
        Column("logistic", "logistic head (%)", "percent", 1, value=lambda one: 100 * one.logistic),
        Column("neighbours", "nearest neighbours (%)", "percent", 1, value=lambda one: 100 * one.neighbours),
        *(Column(key, label, "number", 3, value=attrgetter(key)) for key, label in _SCORES),
    ]
    note = (
        "LogME: You et al. 2021; H-score, the covariance shrunk: Ibrahim et al. 2021; LEEP, for bases with a "
        "head: Nguyen et al. 2020. Of each a higher value is better."
    )
    caption = f"Scores of {plural(len(ranked), 'base')} for {name}."
    return Table(id, caption, columns, rows_of(columns, ranked), note, file="ranking", task=name)


def describe(ranked: Sequence[Ranking], name: str) -> str:
    best = ranked[0]
    beside = "".join(f", against {100 * one.logistic:.1f} % with {_name(one)}" for one in ranked[1:2])
    said = (
        f"For {name} {_name(best)} has the best logistic head: {100 * best.logistic:.1f} % of the held-out "
        f"training images{beside}."
    )
    others = []
    for key, label in (("neighbours", "the nearest neighbours"), *_SCORES):
        known = [one for one in ranked if getattr(one, key) is not None]
        first = max(known, key=lambda one: getattr(one, key), default=best)
        if getattr(first, key) != getattr(best, key):
            others.append(f"{_name(first)} by {label}")
    if len(ranked) < 2:
        return said
    return said + (f" Other scores put first: {listing(others)}." if others else " All scores put it first.")


def _name(one: Ranking) -> str:
    return clean(one.base.removesuffix(".h5") or one.base_sha256[:12])
