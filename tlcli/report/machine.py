"""Files for other programs: a CSV file per kind of table, and everything as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.report.document import Block, Chart, Column, Document, Table, Text
from tlcli.report.words import MINUS, number, slug
from tlcli.text import escape_csv

FILES_ONLY = ("runs", "curves", "map", "confusion", "predictions")
"""Tables whose rows are only in a CSV file, which the JSON names."""


def figure_files(chart: Chart, formats: Sequence[str]) -> list[str]:
    """The files of a figure, within the folder of the report."""
    return [f"figures/{slug(chart.id)}.{kind}" for kind in formats]


def csv_name(table: Table) -> str:
    """The name of the file, without folder and ending, that holds a table's rows."""
    return table.file or table.id


def csv_files(document: Document) -> dict[str, str]:
    """The text of each CSV file by its name: the rows of all tables of a kind, one after the other."""
    kinds: dict[str, list[Table]] = {}
    for table in document.tables():
        kinds.setdefault(csv_name(table), []).append(table)
    return {name: csv_text(tables) for name, tables in kinds.items()}


def csv_text(tables: Sequence[Table]) -> str:
    """The numbers of the page in plain form: no thousands separators, '-' for minus, empty if missing.

    The columns are those of all the tables; one names the task if a table has it.
    """
    columns: dict[str, Column] = {"task": Column("task", "task")} if any(t.task for t in tables) else {}
    for c in (c for t in tables for c in t.columns):
        columns.setdefault(c.key, c)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([escape_csv(h) for c in columns.values() for h in _heads(c)])
    for t in tables:
        own = {c.key: c for c in t.columns}
        for row in t.rows:
            cells: list[str] = []
            for key, c in columns.items():
                value = row.get(key, t.task if key == "task" else None)
                cells += _cells(value, own.get(key, c))
            writer.writerow(cells)
    return buffer.getvalue()


def _heads(c: Column) -> list[str]:
    return [f"{c.label} low", f"{c.label} high"] if c.kind == "interval" else [c.label]


def _cells(value: Any, c: Column) -> list[str]:
    if c.kind == "interval":
        return [_plain(v, "number", c.digits) for v in value or (None, None)]
    return [_plain(value, c.kind, c.digits)]


def _plain(value: Any, kind: str, digits: int) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if kind == "count":
        return str(int(value))
    if kind == "p":
        return f"{value:.3g}"
    if kind in ("number", "percent", "points"):
        return number(value, digits).replace(MINUS, "-").replace(",", "")
    return escape_csv(str(value).replace(MINUS, "-"))


def json_text(document: Document) -> str:
    """Everything on the page as data, in ASCII: numbers in full precision, and as shown."""
    content = {
        "title": document.title,
        "subtitle": document.subtitle,
        "answer": document.answer,
        "warnings": document.warnings,
        "opening": [_block(b, document.formats) for b in document.opening],
        "sections": [
            {
                "id": s.id,
                "title": s.title,
                "folded": s.folded,
                "blocks": [_block(b, document.formats) for b in s.blocks],
            }
            for s in document.sections
        ],
        **document.facts,
    }
    return json.dumps(content, indent=1, default=_number, allow_nan=False) + "\n"


def _block(block: Block, formats: Sequence[str]) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"text": block.text, "kind": block.kind}
    if isinstance(block, Chart):
        return {
            "figure": block.id,
            "caption": block.caption,
            "alt": block.alt,
            "files": figure_files(block, formats),
        }
    content: dict[str, Any] = {
        "table": block.id,
        "task": block.task,
        "caption": block.caption,
        "note": block.note,
        "file": f"tables/{slug(csv_name(block))}.csv",
        "columns": [{"key": c.key, "label": c.label, "kind": c.kind} for c in block.columns],
    }
    if csv_name(block) not in FILES_ONLY:
        content["rows"] = [{c.key: _finite(row.get(c.key)) for c in block.columns} for row in block.rows]
    if block.shown:
        content["shown"] = [texts for texts, _ in block.lines()]
    return content


def _finite(value: Any) -> Any:
    return None if isinstance(value, float | np.floating) and not np.isfinite(value) else value


def _number(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
