"""Words for messages that several parts of the package need."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` where a known name is a likely slip for the one received, else nothing.

    Likely are names that differ by a typing error or two, and names that begin with what was typed. The part
    of a name after its colon (`keras:ResNet50`) counts like the whole; the dashes of options do not count.
    """
    near = similar(name, known)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def similar(name: str, known: Iterable[str], most: int = 2) -> list[str]:
    """The known names that are a likely slip for the one received, the nearest first."""
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
    """A dataclass in a line or two: short values as they are; of arrays and collections, what they are.

    Fields that are empty, or as by default, are left out.
    """
    shown = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        text = _brief(value)
        if text and not (field.default is not dataclasses.MISSING and value is field.default):
            shown.append(f"{field.name}={text}")
    return f"{type(record).__name__}({', '.join(shown)})"


def _brief(value: Any) -> str:
    """A value, or what it is where it is long; nothing for an empty collection."""
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
