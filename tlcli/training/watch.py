"""How a training talks to the outside. No Keras here."""

from __future__ import annotations

from collections.abc import Callable
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


@dataclass
class Watch:
    """Where a training reports, whether it shall stop, where it keeps its state."""

    progress: ProgressCallback | None = None
    stop: StopCallback | None = None
    save: Callable[[dict[str, np.ndarray]], None] | None = None

    def report(self, done: int, total: int, doing: str = "") -> None:
        if self.progress:
            self.progress(Progress(done, total, doing))

    def asked_to_stop(self) -> bool:
        return bool(self.stop and self.stop())
