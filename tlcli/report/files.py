"""The files of a report: tables as CSV, everything as JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np

from tlcli.report.document import Chart, Document, Table, Text
from tlcli.report.words import MINUS, escape_csv, number, slug


def csv_text(table: Table) -> str:
    """The numbers of the page, plain: no thousands separators, '-' for minus, nothing for missing."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head: list[str] = []
    for c in table.columns:
        head += [f"{c.label} low", f"{c.label} high"] if c.kind == "interval" else [c.label]
    writer.writerow([escape_csv(h) for h in head])
    for row in table.rows:
        cells: list[str] = []
        for c in table.columns:
            value = row.get(c.key)
            if c.kind == "interval":
                low, high = value or (None, None)
                cells += [_plain(low, "number", c.digits), _plain(high, "number", c.digits)]
            else:
                cells.append(_plain(value, c.kind, c.digits))
        writer.writerow(cells)
    return buffer.getvalue()


def _plain(value: Any, kind: str, digits: int) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if kind == "count":
        return str(int(value))
    if kind == "p":
        return f"{value:.3g}"
    if kind in ("number", "percent", "points"):
        return number(value, digits).replace(MINUS, "-").replace(",", "")
    return escape_csv(value)


def json_text(document: Document) -> str:
    """Everything on the page as data: numbers in full, and as shown."""
    content = {
        "title": document.title,
        "subtitle": document.subtitle,
        "answer": document.answer.text,
        "warnings": document.warnings,
        "sections": [
            {"id": s.id, "title": s.title, "blocks": [_block(b) for b in s.blocks]} for s in document.sections
        ],
        **document.facts,
    }
    if document.answer.chart:
        content["answer_figure"] = _block(document.answer.chart)
    return json.dumps(content, indent=1, ensure_ascii=False, default=_number, allow_nan=False) + "\n"


def _block(block: Table | Chart | Text) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"text": block.text, "kind": block.kind}
    if isinstance(block, Chart):
        name = slug(block.id)
        return {
            "figure": block.id,
            "caption": block.caption,
            "alt": block.alt,
            "files": [f"figures/{name}.png", f"figures/{name}.svg"],
        }
    rows = [{c.key: _finite(row.get(c.key)) for c in block.columns} for row in block.rows]
    content = {
        "table": block.id,
        "caption": block.caption,
        "note": block.note,
        "file": f"tables/{slug(block.id)}.csv",
        "columns": [{"key": c.key, "label": c.label, "kind": c.kind} for c in block.columns],
        "rows": rows,
    }
    if block.shown:
        content["shown"] = [[block.cell(row, c) for c in block.visible] for row in block.rows]
    return content


def _finite(value: Any) -> Any:
    return None if isinstance(value, float | np.floating) and not np.isfinite(value) else value


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
