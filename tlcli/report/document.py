"""What a report is made of before it becomes HTML, Markdown, CSV and JSON: sections of text, tables, charts.

All text is plain; names that come from files are cleaned where they enter (`words.clean`) and escaped where
they leave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tlcli.report import words


@dataclass(frozen=True)
class Column:
    """A column: `kind` is text, figure, count, number, percent, points, p, digest, or interval (low, high).

    `figure` is text that is set like a number.
    """

    key: str
    label: str
    kind: str = "text"
    digits: int = 2
    shown: bool = True
    """Whether it is on the page, or only in the CSV and JSON."""


@dataclass
class Table:
    """Rows by column key; shares are given in percent. With `shown=False` a file only, not on the page."""

    id: str
    caption: str
    columns: list[Column]
    rows: list[dict[str, Any]]
    note: str = ""
    shown: bool = True
    group: str = ""
    """The column whose change starts a new group of rows."""

    @property
    def visible(self) -> list[Column]:
        """The columns of the page."""
        return [c for c in self.columns if c.shown]

    def cell(self, row: dict[str, Any], column: Column) -> str:
        """A value as the page and the Markdown show it."""
        return words.show(row.get(column.key), column.kind, column.digits)


@dataclass
class Chart:
    """A figure: `draw(columns)` gives a matplotlib Figure with its panels in at most so many columns; one
    column is for a phone."""

    id: str
    caption: str
    alt: str
    draw: Callable[[int], Any]


@dataclass
class Text:
    """A paragraph, a remark set smaller (note), a heading within a section, or a listing (code)."""

    text: str
    kind: str = "paragraph"


@dataclass
class Answer:
    """What a reader wants to know first: two sentences, and the figure that shows it."""

    text: str
    chart: Chart | None = None
    weight: int = 0
    """The section with the largest weight opens the report."""


Block = Table | Chart | Text


@dataclass
class Section:
    """One part of the report, its share of the discussion, and what it cannot show."""

    id: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    discussion: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    answer: Answer | None = None


@dataclass
class Document:
    """A whole report."""

    title: str
    subtitle: str
    answer: Answer
    sections: list[Section]
    warnings: list[str]
    facts: dict[str, Any] = field(default_factory=dict)
    """More for report.json: inputs, versions, command."""

    def blocks(self) -> list[Block]:
        """Every block in reading order, the opening figure first."""
        opening: list[Block] = [self.answer.chart] if self.answer.chart else []
        return opening + [b for s in self.sections for b in s.blocks if b is not self.answer.chart]

    def charts(self) -> list[Chart]:
        return [b for b in self.blocks() if isinstance(b, Chart)]

    def tables(self) -> list[Table]:
        return [b for b in self.blocks() if isinstance(b, Table)]
