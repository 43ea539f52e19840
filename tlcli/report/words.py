"""Format numbers and names for a reader, and escape names for each kind of file."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

NBSP = "\u00a0"
MINUS = "\u2212"
DASH = "\u2013"
ALPHA = 0.05
LONGEST_NAME = 60
NUMERIC = {"figure", "count", "number", "percent", "points", "p", "interval"}
"""The kinds of columns whose values are set to the right."""


def clean(name: object) -> str:
    """A printable name from a file: one line, no control or direction characters, at most 60 characters."""
    text = "".join(
        c if unicodedata.category(c)[0] != "C" else ("\ufffd" if c not in "\t\n\r" else " ")
        for c in str(name)
    )
    text = " ".join(text.split()) or "(no name)"
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def slug(name: object) -> str:
    """A name as part of a file name or an anchor: a-z, 0-9 and hyphens."""
    text = unicodedata.normalize("NFKD", str(name)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:40].strip("-") or "x"


def escape_html(text: object) -> str:
    return html.escape(str(text), quote=True)


def escape_markdown(text: object) -> str:
    """Plain text for Markdown (GitHub's kind): no markup, no HTML, no links, no formulas."""
    escaped = re.sub(r"([\\`*_{}\[\]<>|~$#])", r"\\\1", str(text).replace("&", "&amp;"))
    escaped = escaped.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")
    return re.sub(r"^(\s*)([-+=]|\d+[.)])(?=\s|$)", r"\1\\\2", escaped)


def count(n: int | float) -> str:
    """12345 as 12,345."""
    return f"{int(n):,}"


def number(x: float, digits: int) -> str:
    """Rounded, with a real minus sign and without a minus zero."""
    return f"{x:z,.{digits}f}".replace("-", MINUS)


def percent(share: float, digits: int = 2) -> str:
    """0.9752 as 97.52 %."""
    return f"{number(100 * share, digits)}{NBSP}%"


def points(share: float, digits: int = 2, *, sign: bool = False) -> str:
    """A difference of shares as percentage points: 0.0123 as 1.23 points."""
    text = number(100 * share, digits)
    if sign and not text.startswith(MINUS):
        text = "+" + text
    return f"{text}{NBSP}point{'' if text.lstrip('+' + MINUS) == '1' else 's'}"


def p_value(p: float) -> str:
    text = "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
    return text.replace(" ", NBSP)


def between(interval: tuple[float, float] | None, digits: int = 2) -> str:
    """An interval of shares, in percent: 1.20 to 3.40."""
    if interval is None:
        return "no interval"
    return f"{number(100 * interval[0], digits)} to {number(100 * interval[1], digits)}"


def listing(items: Sequence[str], word: str = "and") -> str:
    """a, b and c."""
    items = list(items)
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {word} " + items[-1]


def at_most(items: Sequence[str], most: int = 8) -> str:
    """A listing that stops after `most` items and gives the number of the rest, if that is more than one."""
    items = list(items)
    if len(items) <= most + 1:
        return listing(items)
    return ", ".join(items[:most]) + f" and {len(items) - most} more"


def plural(n: int, one: str, many: str = "") -> str:
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """The text with a capital at the start, unless its first word is a name in lower case."""
    return text[:1].upper() + text[1:]


def show(value: Any, kind: str, digits: int) -> str:
    """A table's value as text; a missing value is a dash."""
    if kind == "interval":
        if value is None or value[0] is None:
            return DASH
        return f"{number(value[0], digits)} to {number(value[1], digits)}"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if kind == "count":
        return count(value)
    if kind in ("number", "percent"):
        return number(value, digits)
    if kind == "points":
        text = number(value, digits)
        return text if text.startswith(MINUS) or round(value, digits) == 0 else "+" + text
    if kind == "p":
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    return str(value)
