"""The elements of a report before it becomes HTML, Markdown, CSV and JSON: sections of text, tables, charts.

All text is plain. `words.clean` cleans names from files on entry; each output escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tlcli.report import words


@dataclass(frozen=True)
class Column:
    """A column: `kind` is text, figure, count, number, percent, points, p, digest, or interval (low, high).

    `figure` is text in the form of a number. Columns of one key hold one quantity in every table.
    """

    key: str
    label: str
    kind: str = "text"
    digits: int = 2
    shown: bool = True
    """Whether it is on the page, or only in the CSV and JSON."""
    arm: str = ""
    """The arm of the column, if each arm has one."""
    value: Callable[[Any], Any] | None = None
    """Its value in the row of an item (see `rows_of`)."""


def rows_of(columns: Sequence[Column], items: Iterable[Any]) -> list[dict[str, Any]]:
    """A row for each item, with the columns' values of it."""
    return [{c.key: c.value(item) for c in columns if c.value} for item in items]


@dataclass
class Table:
    """Rows by column key; shares are in percent. `shown=False` makes a file without a table on the page."""

    id: str
    caption: str
    columns: list[Column]
    rows: list[dict[str, Any]]
    note: str = ""
    shown: bool = True
    group: str = ""
    """The column whose change starts a new group of rows."""
    file: str = ""
    """The CSV file of its rows, which several tables may share; by default its own."""
    task: str = ""
    """The task of its rows, which the CSV names if there are several."""

    @property
    def visible(self) -> list[Column]:
        """The columns of the page: those that are to be shown and have something to show."""
        return [c for c in self.columns if c.shown and any(r.get(c.key) not in (None, "") for r in self.rows)]

    def lines(self) -> Iterator[tuple[list[str], bool]]:
        """The texts of each row's visible columns, and whether the row starts a further group."""
        columns, before = self.visible, None
        for i, row in enumerate(self.rows):
            group = row.get(self.group)
            yield [self.cell(row, c) for c in columns], i > 0 and group != before
            before = group

    def cell(self, row: dict[str, Any], column: Column) -> str:
        """The text of a value on the page and in the Markdown."""
        return words.show(row.get(column.key), column.kind, column.digits)


@dataclass
class Chart:
    """A figure: `draw(columns)` gives a matplotlib Figure with its panels in at most so many columns; one
    column is for a phone."""

    id: str
    caption: str
    alt: str
    draw: Callable[[int], Any]
    data: Callable[[], dict[str, Any]] | None = None
    """Data for the page's script: `sheet`, `pairs`."""


@dataclass
class Text:
    """A paragraph, a small remark (note), a heading within a section, a listing (code), or a limit.

    A limit says what the results cannot show. The end of the page collects all limits.
    """

    text: str
    kind: str = "paragraph"


Block = Table | Chart | Text


@dataclass
class Section:
    """One part of the report. A `folded` section shows only its title until a reader opens it."""

    id: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    folded: bool = False
    task: str = ""
    """The task of the section, if there are several."""


@dataclass
class Document:
    """A whole report."""

    title: str
    subtitle: str
    answer: list[str]
    """The findings, a sentence or two each, the most important first."""
    opening: list[Block]
    """The table and the figure that show them."""
    sections: list[Section]
    warnings: list[str]
    arms: dict[str, int] = field(default_factory=dict)
    """The number of each arm, by which the page hides its marks and rows."""
    formats: tuple[str, ...] = ("png", "svg")
    """The formats of the figures' files."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More for report.json: inputs, versions, command."""

    def number(self, block: Chart | Table) -> int:
        """The number of a figure, or of a table on the page, in reading order."""
        same = self.charts() if isinstance(block, Chart) else [t for t in self.tables() if t.shown]
        return next(i for i, other in enumerate(same, 1) if other is block)

    def blocks(self) -> list[Block]:
        """Every block in reading order."""
        return [*self.opening, *(b for s in self.sections for b in s.blocks)]

    def charts(self) -> list[Chart]:
        return [b for b in self.blocks() if isinstance(b, Chart)]

    def tables(self) -> list[Table]:
        return [b for b in self.blocks() if isinstance(b, Table)]
