"""The report as Markdown, for a code host, with PNG figures beside it."""

from __future__ import annotations

from tlcli.report.document import Block, Chart, Document, Table, Text
from tlcli.report.page import table_files
from tlcli.report.words import NUMERIC, slug
from tlcli.report.words import escape_markdown as e


def markdown(document: Document) -> str:
    """The whole report."""
    parts = [f"# {e(document.title)}", e(document.subtitle)]
    parts += [f"**{e(text)}**" if not i else e(text) for i, text in enumerate(document.answer)]
    parts += [_block(block, document) for block in document.opening]
    if document.warnings:
        parts.append("Please note:\n\n" + "\n".join(f"- {e(w)}" for w in document.warnings))
    for section in document.sections:
        if section.blocks:
            parts.append(f"## {e(section.title)}")
            parts += [_block(block, document) for block in section.blocks]
    parts.append(e(document.facts.get("made_by", "")))
    return "\n\n".join(p for p in parts if p) + "\n"


def _block(block: Block, document: Document) -> str:
    if isinstance(block, Table):
        return _table(block, document) if block.shown else _caption(block)
    return _figure(block, document) if isinstance(block, Chart) else _text(block)


def _text(block: Text) -> str:
    if block.kind == "code":
        fence = "```"
        while fence in block.text:
            fence += "`"
        return f"{fence}sh\n{block.text}\n{fence}"
    return f"### {e(block.text)}" if block.kind == "heading" else e(block.text)


def _figure(chart: Chart, document: Document) -> str:
    return (
        f"![{e(chart.alt)}](figures/{slug(chart.id)}.png)\n\n*Figure {document.number(chart)}.* "
        f"{e(chart.caption)}"
    )


def _caption(table: Table) -> str:
    links = ", ".join(f"[{name.rpartition('.')[2].upper()}]({name})" for name in table_files(table))
    return f"{e(table.caption)} ({links})"


def _table(table: Table, document: Document) -> str:
    columns = table.visible
    rows = [[c.label for c in columns], *(texts for texts, _ in table.lines())]
    lines = ["| " + " | ".join(map(e, texts)) + " |" for texts in rows]
    lines.insert(1, "| " + " | ".join("---:" if c.kind in NUMERIC else "---" for c in columns) + " |")
    lines[:0] = [f"*Table {document.number(table)}.* {_caption(table)}", ""]
    if table.note:
        lines += ["", e(table.note)]
    return "\n".join(lines)
