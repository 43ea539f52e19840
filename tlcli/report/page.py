"""The page: one HTML file that loads nothing from the network, with its figures as SVG."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.report.document import Block, Chart, Column, Document, Section, Table, Text
from tlcli.report.machine import csv_name
from tlcli.report.page_style import STYLE
from tlcli.report.words import NUMERIC, slug
from tlcli.report.words import escape_html as e

LONG = 24
NAMES = ("arm", "variant", "against", "name")
"""The columns of names, which stay on one line unless they are long."""
MANY = 8
SHORT = 16
"""The most rows of a table that paper keeps on one page."""
SCRIPT = Path(__file__).with_name("page.js").read_text("utf-8")
DIGEST = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{DIGEST}'; "
POLICY += "base-uri 'none'; form-action 'none'"
"""The policy that lets only the page's own script run: a script in a name has another digest."""
HEAD = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{{title}}</title>
<style>{{style}}</style>
</head>
<body>
<main>
<header>
<h1>{{title}}</h1>
<p class="subtitle">{{subtitle}}</p>
</header>
<div class="answer">
{{answer}}
</div>"""


@dataclass(frozen=True)
class DrawnChart:
    """A chart as SVG for the full width and, if that is too wide for a phone, another for a phone."""

    wide: str
    narrow: str = ""
    single: bool = False
    """Whether it is narrower than the page."""
    data: str = ""
    """Attributes for the script."""
    files: Sequence[str] = ()
    """The files that hold it, beside the page."""


def html(document: Document, drawn: dict[str, DrawnChart]) -> str:
    """The whole page."""
    title, answer = e(document.title), "\n".join(f"<p>{e(text)}</p>" for text in document.answer)
    parts = [HEAD.format(title=title, subtitle=e(document.subtitle), answer=answer, style=STYLE)]
    if len(document.arms) > 2:
        boxes = "".join(
            f'<label><input type="checkbox" value="{i}" checked> {e(arm)}</label>'
            for arm, i in document.arms.items()
        )
        parts.append(f'<fieldset id="arms" hidden><legend>Arms shown</legend>{boxes}</fieldset>')
    parts += [_block(block, drawn, document) for block in document.opening]
    if document.warnings:
        items = "".join(f"<li>{e(w)}</li>" for w in document.warnings)
        parts.append(
            f'<aside class="warnings" aria-label="Warnings"><b>Please note</b><ul>{items}</ul></aside>'
        )
    shown = [s for s in document.sections if s.blocks]
    listed = [s for s in shown if not (s.task and s.folded)]
    links = "".join(f'<li><a href="#{s.id}">{e(s.title)}</a></li>' for s in listed)
    parts.append(f'<nav aria-label="Contents"><ul>{links}</ul></nav>')
    parts += [_section(s, drawn, document) for s in shown]
    parts += [f"<footer>{e(document.facts.get('made_by', ''))}</footer>", "</main>"]
    parts += [f"<script>{SCRIPT}</script>", "</body>", "</html>", ""]
    return "\n".join(parts)


def _section(section: Section, drawn: dict[str, DrawnChart], document: Document) -> str:
    """A section; its title opens a folded one."""
    blocks = [_block(block, drawn, document) for block in section.blocks]
    head = f"<h2>{e(section.title)}</h2>"
    start, end = f'<section id="{section.id}">', "</section>"
    if section.folded:
        return "\n".join([f"{start}<details><summary>{head}</summary>", *blocks, f"</details>{end}"])
    return "\n".join([start, head, *blocks, end])


def _block(block: Block, drawn: dict[str, DrawnChart], document: Document) -> str:
    if isinstance(block, Table):
        return _table(block, document) if block.shown else _file(block)
    return _figure(block, drawn[block.id], document) if isinstance(block, Chart) else _text(block)


def _text(block: Text) -> str:
    if block.kind == "code":
        return f'<pre tabindex="0"><code>{e(block.text)}</code></pre>'
    if block.kind == "heading":
        return f"<h3>{e(block.text)}</h3>"
    return f'<p class="note">{e(block.text)}</p>' if block.kind == "note" else f"<p>{e(block.text)}</p>"


def _figure(chart: Chart, drawn: DrawnChart, document: Document) -> str:
    picture = (
        f'<div class="wide">{drawn.wide}</div><div class="narrow">{drawn.narrow}</div>'
        if drawn.narrow
        else drawn.wide
    )
    kind = "single" if drawn.single else "panels"
    return (
        f'<figure id="figure-{slug(chart.id)}" class="{kind}"{drawn.data}>{picture}\n<figcaption><b>Figure '
        f"{document.number(chart)}.</b> {e(chart.caption)} {_links(drawn.files)}</figcaption></figure>"
    )


def _table(table: Table, document: Document) -> str:
    columns = table.visible
    head = "".join(f'<th scope="col"{_class(c)}{_arm(c.arm, document)}>{e(c.label)}</th>' for c in columns)
    rows = []
    for row, (texts, starts) in zip(table.rows, table.lines(), strict=True):
        name, *others = (
            f"{_class(c, text)}{_arm(c.arm, document)}>{_breakable(c, text)}"
            for c, text in zip(columns, texts, strict=True)
        )
        cells = f'<th scope="row"{name}</th>' + "".join(f"<td{cell}</td>" for cell in others)
        mark = ' class="group"' if starts else ""
        rows.append(f"<tr{mark}{_arm(row.get('arm'), document)}>{cells}</tr>")
    n, name = document.number(table), f"table-{slug(table.id)}"
    short = " short" if len(rows) <= SHORT else ""
    many = ' class="many"' if len(columns) > MANY else ""
    caption = f"<b>Table {n}.</b> {e(table.caption)} {_links(table_files(table))}"
    note = f'<p class="note">{e(table.note)}</p>' if table.note else ""
    return (
        f'<p class="caption" id="{name}">{caption}</p>'
        f'<div class="scroll{short}" role="region" aria-labelledby="{name}" tabindex="0">'
        f'<table aria-labelledby="{name}"{many}>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _file(table: Table) -> str:
    """A table that is only a file."""
    return f'<p class="note file">{e(table.caption)} {_links(table_files(table))}</p>'


def _breakable(column: Column, text: str) -> str:
    """The text of a cell; a name may be broken behind a colon or a comma."""
    return re.sub("([:,])", r"\1<wbr>", e(text)) if column.key in NAMES else e(text)


def table_files(table: Table) -> list[str]:
    """The files that hold a table."""
    return [f"tables/{slug(csv_name(table))}.csv", *([f"tables/{slug(table.id)}.tex"] if table.shown else [])]


def _links(files: Sequence[str]) -> str:
    """A link to each file, by its kind."""
    links = (f'<a href="{e(f)}" download>{f.rpartition(".")[2].upper()}</a>' for f in files)
    return f'<span class="files">{" ".join(links)}</span>' if files else ""


def _arm(arm: Any, document: Document) -> str:
    """The arm of a row or a column, for the script."""
    return f' data-arm="{document.arms[arm]}"' if arm in document.arms else ""


def attributes(data: dict[str, Any]) -> str:
    """The attributes of a figure for the script."""
    return "".join(
        f' data-{name}="{e(json.dumps(value, ensure_ascii=False))}"' for name, value in data.items()
    )


def _class(column: Column, text: str = "") -> str:
    """The CSS class: numbers to the right, names on one line, long text with room."""
    if column.kind in NUMERIC:
        return ' class="num"'
    if column.kind == "digest":
        return ' class="digest"'
    if column.key in NAMES:
        return ' class="name wrap"' if len(text) > LONG else ' class="name"'
    if len(text) > LONG:
        return ' class="long"'
    return ' class="word"' if column.key == "version" or column.key.endswith("verdict") else ""
