"""The text of numbers and names."""

from __future__ import annotations

from tlcli.report.words import escape_markdown, number, points, show, slug
from tlcli.text import escape_csv


def test_numbers_and_names() -> None:
    assert number(-0.004, 2) == "0.00"
    assert number(-1234.5, 1) == "\u22121,234.5"
    assert points(0.01, 0, sign=True) == "+1\u00a0point"
    assert show(None, "percent", 2) == "\u2013"
    assert slug("Ünï/../x") == "uni-x"
    assert slug("猫") == "x"
    assert escape_csv("=1+1") == "'=1+1"
    assert escape_markdown("- a_b <i>") == "\\- a\\_b \\<i\\>"
