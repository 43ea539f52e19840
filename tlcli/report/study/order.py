"""The order in which arms, variants and sizes are read, and how sizes and shares are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tlcli.report import style
from tlcli.report.study.entry import Entry
from tlcli.report.words import at_most, count

METHOD_ORDER = {name: i for i, name in enumerate(style.METHODS)}


def decimals(images: int) -> int:
    """Decimals of a percentage of `images`: two from a thousand on."""
    return 2 if images >= 1000 else 1


def arm_order(method: str, arm: str) -> tuple[Any, ...]:
    """Scratch first, then the known methods; numbers in arms count as numbers."""
    return METHOD_ORDER.get(method, len(METHOD_ORDER) - 1.5), method, natural(arm)


def natural(text: str) -> tuple[list[tuple[float, str]], str]:
    """A key that sorts the numbers in a text as numbers, and the same text always in the same place."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e-?\d+)?)", text)
    return [(float(part), "") if i % 2 else (-1.0, part) for i, part in enumerate(parts)], text


def arms_of(entries: Iterable[Entry]) -> list[str]:
    """The arms in reading order."""
    pairs = {(e.method, e.arm) for e in entries}
    return list(dict.fromkeys(arm for _, arm in sorted(pairs, key=lambda x: arm_order(*x))))


def size_text(sizes: Sequence[int]) -> str:
    return at_most([count(s) for s in sizes])
