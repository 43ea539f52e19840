"""Texts of messages that several parts of the package share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` if a known name is near the one received, else nothing.

    A name is near if it differs by a typing error or two, or begins with the text received. The part of a
    name after its colon (`keras:ResNet50`) counts like the whole; the dashes of options do not count.
    """
    near = similar(name, known)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def similar(name: str, known: Iterable[str], most: int = 2) -> list[str]:
    """The known names that are near the one received, the nearest first."""
    from difflib import get_close_matches

    wanted = name.casefold().lstrip("-")
    folded: dict[str, str] = {}
    for full in known:
        plain = full.casefold().lstrip("-")
        folded.setdefault(plain, full)
        folded.setdefault(plain.rpartition(":")[2], full)
    near = get_close_matches(wanted, folded, n=most, cutoff=0.75)
    if not near and len(wanted) > 1:
        near = [k for k in folded if k.startswith(wanted)]
    return list(dict.fromkeys(folded[n] for n in near))[:most]


def short_repr(record: Any) -> str:
    """A dataclass in a line or two: short values in full, arrays and collections by type and size.

    Empty fields and those with their default value are left out.
    """
    shown = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        text = _brief(value)
        if text and not (field.default is not dataclasses.MISSING and value is field.default):
            shown.append(f"{field.name}={text}")
    return f"{type(record).__name__}({', '.join(shown)})"


def _brief(value: Any) -> str:
    """A short value in full, a long one by type and size, nothing for an empty collection."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"<{value.dtype} {'x'.join(map(str, value.shape)) or 'scalar'}>"
    if isinstance(value, list | tuple | dict | set) and not value:
        return ""
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {_brief(inner)}" for key, inner in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(map(_brief, value)) + "]" if len(value) <= 12 else ""
    else:
        text = repr(value)
    size = f"{len(value)} in a " if hasattr(value, "__len__") else ""
    return text if 0 < len(text) <= 300 else f"<{size}{type(value).__name__}>"


def escape_csv(text: object) -> str:
    """Text that a spreadsheet will not run as a formula."""
    plain = str(text)
    return "'" + plain if plain[:1] in ("=", "+", "-", "@", "\t", "\r") else plain
