"""Words for messages that several parts of the package need."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` where a known name is a likely slip for the one received, else nothing.

    Likely are names that differ by a typing error or two, and names that begin with, or contain, what was
    typed. The part of a name after its colon (`keras:ResNet50`) counts like the whole.
    """
    near = similar(name, known)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def similar(name: str, known: Iterable[str], most: int = 2) -> list[str]:
    """The known names that are a likely slip for the one received, the nearest first."""
    from difflib import get_close_matches

    wanted = name.casefold()
    folded: dict[str, str] = {}
    for full in known:
        folded.setdefault(full.casefold(), full)
        folded.setdefault(full.casefold().rpartition(":")[2], full)
    near = get_close_matches(wanted, folded, n=most, cutoff=0.75)
    if not near and len(wanted) > 1:
        near = [k for k in folded if k.startswith(wanted)] or [k for k in folded if wanted in k]
    return list(dict.fromkeys(folded[n] for n in near))[:most]
