"""The cells of a grid, one for each run, and their progress together."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tlcli.store.records import Dataset
from tlcli.training.arms import Arm
from tlcli.training.compatible import target_name
from tlcli.training.recipe import Recipe
from tlcli.training.watch import Progress, ProgressCallback


@dataclass(eq=False)  # cells differ by identity: comparing their arrays is slow and fails
class Cell:
    """One run to do: a place in the grid."""

    dataset: Dataset
    arm: Arm
    run: int

    @property
    def name(self) -> str:
        return target_name(self.dataset)

    @property
    def key(self) -> str:
        return f"{self.name}|{self.arm.label}|{self.run}"


def network_key(arm: Arm, classes: int) -> Hashable:
    """The key of runs that can share one compiled network, which takes its learning rate and length."""
    tied = any(phase.terms or phase.frozen_statistics for phase in arm.phases)
    phases = tuple(dataclasses.replace(phase, rate=1.0, share=1.0) for phase in arm.phases)
    return (phases, arm.head, classes, arm.copy if tied else None)


class Board:
    """The progress of all runs of a grid together."""

    def __init__(self, cells: Sequence[Cell], recipe: Recipe) -> None:
        self._cells = list(cells)
        self._samples = {cell.key: recipe.total_samples(len(cell.dataset.train)) for cell in cells}
        self._done: dict[str, int] = {}
        self._latest = ""

    def reporter(self, cell: Cell) -> ProgressCallback:
        """The function that a run calls with its progress, in its own thread."""
        number = self._cells.index(cell) + 1
        label = f"{cell.name} {cell.arm.label} run {cell.run + 1} ({number} of {len(self._cells)})"
        self._latest = label
        self._done[cell.key] = 0

        def report(progress: Progress) -> None:
            self._done[cell.key] = min(progress.done, self._samples[cell.key])
            if progress.measured:
                self._latest = f"{label}: {progress.measured}"

        return report

    def show(self, progress: ProgressCallback | None) -> None:
        if progress and self._done:
            progress(Progress(sum(self._done.copy().values()), sum(self._samples.values()), self._latest))
