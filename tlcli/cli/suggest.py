"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` when something known is near, else nothing."""
    from difflib import get_close_matches

    folded = {k.lower(): k for k in known}
    near = [folded[n] for n in get_close_matches(name.lower(), folded, n=2, cutoff=0.6)]
    if not near:
        near = [k for k in folded.values() if name and k.lower().startswith(name.lower())][:2]
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
