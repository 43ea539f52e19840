"""The tables of the examples' pages, against what the report makes of the results beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tlcli import store
from tlcli.report.document import Table
from tlcli.report.sections.accuracy import full_table, glance
from tlcli.report.sections.effective import effective_data
from tlcli.report.study import Cell, Options, Study
from tlcli.report.study.gather import gather
from tlcli.report.study.layers import NOTHING
from tlcli.report.words import number

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PAGES = sorted(EXAMPLES.glob("*/README.md"))
TABLE = re.compile(
    r"(?:<!-- (?P<what>[\w ]+?)(?: against (?P<arm>\S+))?(?: at (?P<size>[\d,]+))?: (?P<files>[^>]*?) -->\n)?"
    r"(?P<rows>(?:\|.*\n)+)"
)
"""A table, and before it what it shows of which files: `<!-- accuracy: results/*.h5 -->`, `accuracy and kept`
(the source accuracy after the transfer in brackets), `difference against ARM`, `effective data`, `layers` and
`layer effects` by number of layers, or `measures at 100`, columns of the report's table of accuracies;
`at 100` where files are kept for one column alone."""
NO_RESULTS = "results"
"""In place of `accuracy`: the results of the table are not kept here, as the words after the colon say."""


def tables(page: Path) -> Iterator[re.Match[str]]:
    """The tables of a page that have a mean and its interval."""
    yield from (
        found
        for found in TABLE.finditer(page.read_text(encoding="utf-8"))
        if found["what"] or " ± " in found[0]
    )


@cache
def study_of(page: Path, files: str, against: str) -> Study:
    paths = sorted(path for pattern in files.split() for path in page.parent.glob(pattern))
    records = [store.read(path, store.Results) for path in paths]
    return gather(records, Options(against=[against] if against else []))


def shown(study: Study, what: str, against: str = "", size: str = "") -> dict[tuple[str, str, str], str]:
    """What the report says, by row, variant and column: most by arm and number of images."""
    if what in ("layers", "layer effects"):
        return shown_layers(study, what)
    (task,) = study.tasks
    if what == "difference":
        return {
            _key(c.first): f"{_points(c.difference)} ({' to '.join(map(_points, c.interval))})"
            for c in task.against(against)
            if c.interval is not None
        }
    if what == "measures":
        table = full_table(task)
        return {
            (row["arm"], row["variant"], column.label): table.cell(row, column)
            for row in table.rows
            for column in table.columns
            if f"{row['size']:,}" == size
        }
    if what == "effective data":
        (table,) = (b for b in effective_data(task.study, None) if isinstance(b, Table))
        return {(row["arm"], row["variant"], f"{row['size']:,}"): row["effective"] for row in table.rows}
    means = {(row["arm"], row["variant"]): row for row in glance(task).rows}
    found = {_key(c): means[c.arm, c.variant][f"at_{c.size}"] for c in task.cells}
    if what == "accuracy and kept":
        found |= {
            _key(c): f"{found[_key(c)]} ({100 * c.after:.1f})" for c in task.cells if c.lost and c.after
        }
    return found


def shown_layers(study: Study, what: str) -> dict[tuple[str, str, str], str]:
    """By number of layers copied (or `mean`) and series (or difference of two)."""
    (layers,) = study.layer_studies
    if what == "layer effects":
        return {
            (str(e.n or "mean"), "", f"{e.first} − {e.second}"): (
                f"{_points(e.difference)} ({' to '.join(map(_points, e.interval))})"
            )
            for e in layers.effects
            if e.interval is not None
        }
    return {
        (str(n), "", series): f"{number(100 * m.mean, 2)} ({number(100 * low, 2)} to {number(100 * high, 2)})"
        for series in layers.values
        for n in (0, *layers.depths)
        if (m := layers.summary(series if n else NOTHING, n)) is not None and m.interval is not None
        for low, high in [m.interval]
    }


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.arm, cell.variant, f"{cell.size:,}"


def _points(share: float) -> str:
    return number(100 * share, 1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_tables_are_what_the_report_makes_of_the_results(page):
    for found in tables(page):
        head, _, *rows = [
            [cell.strip() for cell in row.strip("|\n").split("|")] for row in found["rows"].splitlines()
        ]
        where = f"{page.parent.name}: {head}"
        assert found["what"], f"{where}: a comment before it names its results"
        if found["what"] == NO_RESULTS:
            continue
        what, against, at = found["what"], found["arm"] or "", found["size"] or ""
        values = shown(study_of(page, found["files"], against), what, against, at)
        compared = 0
        for label, *cells in rows:
            if label.startswith("*"):  # of another page, or of an article
                continue
            arm = [label, *re.findall(r"`([^`]+)`", label)][-1]
            named = dict(zip(head[1:], cells, strict=True))
            variant = named.pop("variant", "")
            for column, cell in named.items():
                size = column.removesuffix(" images")
                if what != "measures" and at not in ("", size):
                    continue
                assert cell.replace("*", "") == values[arm, variant, size], f"{where}: {arm}, {size}"
                compared += 1
        assert compared, f"{where}: nothing was compared"


def test_the_tables_of_the_ranking_are_those_of_its_results(monkeypatch):
    """They hold the scores of `tlcli rank`, and Kendall's tau with test accuracies."""
    monkeypatch.syspath_prepend(str(EXAMPLES / "pretrained"))
    from agreement import tables as ranking_tables

    page = (EXAMPLES / "pretrained" / "README.md").read_text(encoding="utf-8")
    lines = "\n".join(ranking_tables(EXAMPLES / "pretrained" / "results" / "ranking")).split("\n")
    assert len(lines) > 30
    assert [line for line in lines if line not in page.split("\n")] == []
