"""Mean curves of a quantity over the training images seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 3
"""The fewest measurements of a curve: two give only its begin and end."""
RISE = 0.005
"""The least gain over the last fifth of a training that counts as rising: half a point."""


@dataclass(frozen=True)
class Curve:
    """A quantity of several runs along the training: float64, runs x points."""

    seen: np.ndarray
    """Training images seen, repeats counted."""
    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        return self.values.mean(axis=0)

    @property
    def sd(self) -> np.ndarray:
        """The standard deviation over the runs; 0 for one run."""
        return self.values.std(axis=0, ddof=1) if len(self.values) > 1 else np.zeros(len(self.seen))

    def images_to_reach(self, level: float) -> int | None:
        """The images seen when the mean first reaches the level; None if it never does."""
        there = np.flatnonzero(self.mean >= level - 1e-12)
        return int(self.seen[there[0]]) if len(there) else None

    @property
    def rising(self) -> bool:
        """Whether the mean over the last fifth is above that of the fifth before by more than `RISE`."""
        fifth = max(1, len(self.seen) // 5)
        if len(self.seen) < 2 * fifth + 1:
            return False
        late, before = self.mean[-fifth:], self.mean[-2 * fifth : -fifth]
        return float(late.mean() - before.mean()) > RISE


def curve(histories: Sequence[dict[str, np.ndarray]], quantity: str, fewest: int = FEWEST) -> Curve | None:
    """The curve of the histories with this quantity throughout, with interpolated points."""
    have = [
        h
        for h in histories
        if len(h.get("samples_seen", ())) == len(h.get(quantity, ())) >= fewest
        and np.isfinite(h[quantity]).all()
    ]
    if not have:
        return None
    seen = max((h["samples_seen"] for h in have), key=len)
    rows = [
        h[quantity]
        if np.array_equal(h["samples_seen"], seen)
        else np.interp(seen, h["samples_seen"], h[quantity])
        for h in have
    ]
    return Curve(np.asarray(seen, np.float64), np.asarray(rows, np.float64))
