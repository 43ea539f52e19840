"""Progress, stopping and saving of a training, without Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Progress:
    """The progress of a command: `done` of `total` samples (or images), and the present task."""

    done: int
    total: int
    doing: str = ""
    measured: str = ""
    """The latest measurement, in words: epoch, loss, training and test accuracy."""


ProgressCallback = Callable[[Progress], None]
StopCallback = Callable[[], bool]
MeasuredCallback = Callable[[str, Mapping[str, float]], None]
"""A function that takes a run's name and one row of its history, as soon as it is measured."""


@dataclass
class Watch:
    """The callbacks of a training on `size` images: to report, to ask whether to stop, to save its state."""

    progress: ProgressCallback | None = None
    stop: StopCallback | None = None
    save: Callable[[dict[str, np.ndarray]], None] | None = None
    measured: Callable[[Mapping[str, float]], None] | None = None
    size: int = 0
    latest: str = ""

    def report(self, done: int, total: int, doing: str = "") -> None:
        if self.progress:
            self.progress(Progress(done, total, doing, self.latest))

    def measure(self, row: Mapping[str, float]) -> None:
        """Pass on a row of the history, with the epoch: the samples seen over the training images."""
        if self.size:
            epoch = row["samples_seen"] / self.size
            row = {"epoch": int(epoch) if epoch == int(epoch) else epoch, **row}
        self.latest = in_words(row)
        if self.measured:
            self.measured(row)

    def should_stop(self) -> bool:
        return bool(self.stop and self.stop())


def in_words(row: Mapping[str, float]) -> str:
    """`epoch 3, loss 0.512, accuracy 81.2 % (training), 78.0 % (test)`."""
    parts = [f"epoch {round(row['epoch'], 2):g}"] if "epoch" in row else []
    if "train_loss" in row:
        parts.append(f"loss {row['train_loss']:.3f}")
    measured = {part: row.get(f"{part}_accuracy") for part in ("train", "validation", "test")}
    shown = [
        f"{100 * value:.1f} % ({'training' if part == 'train' else part})"
        for part, value in measured.items()
        if value is not None
    ]
    return ", ".join([*parts, *([f"accuracy {', '.join(shown)}"] if shown else [])])


def rows(history: Mapping[str, Sequence[float] | np.ndarray]) -> Iterator[dict[str, float]]:
    """The measurements of a history, one after the other."""
    import numpy as np

    for values in zip(*(np.asarray(column).tolist() for column in history.values()), strict=True):
        yield dict(zip(history, values, strict=True))
