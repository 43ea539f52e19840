"""Tables for LaTeX: a `tabular` each, with the rules of the package booktabs."""

from __future__ import annotations

import re

from tlcli.report.document import Table
from tlcli.report.words import DASH, MINUS, NBSP, NUMERIC

_SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    MINUS: "$-$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "<": r"$<$",
    ">": r"$>$",
    "²": "$^2$",
    "×": r"$\times$",
    DASH: "--",
    NBSP: "~",
} | {c: "\\" + c for c in "&%$#_{}"}
_PATTERN = re.compile("|".join(re.escape(c) for c in _SIGNS))


def escape(text: str) -> str:
    """Plain text for LaTeX: nothing in it is a command."""
    return _PATTERN.sub(lambda found: _SIGNS[found.group()], text)


def tex(table: Table) -> str:
    """The rows that the page shows, with its caption as a comment."""
    columns = table.visible
    lines = [f"% {' '.join(table.caption.split())}", "% Needs \\usepackage{booktabs}."]
    lines.append(rf"\begin{{tabular}}{{{''.join('r' if c.kind in NUMERIC else 'l' for c in columns)}}}")
    lines += [r"\toprule", " & ".join(escape(c.label) for c in columns) + r" \\", r"\midrule"]
    for texts, starts in table.lines():
        if starts:
            lines.append(r"\addlinespace")
        lines.append(" & ".join(map(escape, texts)) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
