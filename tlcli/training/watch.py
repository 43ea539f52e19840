"""How a training talks to the outside. No Keras here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Progress:
    """How far a command is: `done` of `total` samples (or images), and what it does now."""

    done: int
    total: int
    doing: str = ""


ProgressCallback = Callable[[Progress], None]
StopCallback = Callable[[], bool]
MeasuredCallback = Callable[[str, Mapping[str, float]], None]
"""Called with a run's name and one row of its history, as soon as that has been measured."""


@dataclass
class Watch:
    """Where a training reports, whether it shall stop, where it keeps its state."""

    progress: ProgressCallback | None = None
    stop: StopCallback | None = None
    save: Callable[[dict[str, np.ndarray]], None] | None = None
    measured: Callable[[Mapping[str, float]], None] | None = None

    def report(self, done: int, total: int, doing: str = "") -> None:
        if self.progress:
            self.progress(Progress(done, total, doing))

    def measure(self, row: Mapping[str, float]) -> None:
        if self.measured:
            self.measured(row)

    def asked_to_stop(self) -> bool:
        return bool(self.stop and self.stop())


def rows(history: Mapping[str, Sequence[float] | np.ndarray]) -> Iterator[dict[str, float]]:
    """The measurements of a history, one after the other."""
    for values in zip(*(np.asarray(column).tolist() for column in history.values()), strict=True):
        yield dict(zip(history, values, strict=True))
