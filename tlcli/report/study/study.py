"""The data of a report and its user's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tlcli.report import style
from tlcli.report.study import layers
from tlcli.report.study.entry import CONTROL, Entry, by
from tlcli.report.study.grid import Task
from tlcli.report.study.layers import LayerStudy
from tlcli.report.study.order import arm_order, decimals
from tlcli.store.records import Checkpoint, Dataset, Embeddings, Ranking, Record


@dataclass(frozen=True)
class Options:
    """The user's options of a report."""

    against: Sequence[str] = ()
    margin: float | None = None
    """The share up to which differences count as none."""
    confusion: Sequence[str] = ()
    title: str | None = None
    command: str = ""
    pdf: bool = False
    """Write the figures as PDF, too."""
    predictions: bool = False
    """Write the answer of every run for every test image."""


@dataclass
class Study:
    """The data that a section may use."""

    entries: list[Entry] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    embeddings: list[Embeddings] = field(default_factory=list)
    datasets: list[Dataset] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    options: Options = field(default_factory=Options)

    @cached_property
    def tasks(self) -> list[Task]:
        """The tasks in the order given, without the runs of a layer study of its own."""
        layered = self._layer_runs if layers.is_whole(self._layer_runs) else []
        runs, places = {id(e) for e in layered}, {(e.task, e.size) for e in layered}
        rest = [
            e
            for e in self.entries
            if id(e) not in runs and not (e.method == CONTROL and (e.task, e.size) in places)
        ]
        groups = by(rest, lambda e: e.task).values()
        return [Task(self, i, group) for i, group in enumerate(groups)]

    @cached_property
    def _layer_runs(self) -> list[Entry]:
        return layers.of_layers(self.entries)

    @cached_property
    def layer_studies(self) -> list[LayerStudy]:
        """Layer studies: networks that copy different numbers of layers, compared with their controls."""
        digits = decimals(min((len(e.target.test_labels) for e in self._layer_runs), default=0))
        return layers.collect(self._layer_runs, self.entries, self.checkpoints, digits)

    @cached_property
    def looks(self) -> dict[str, style.Look]:
        """Colour, marker and line of every arm, the same in all figures."""
        arms = sorted({(e.method, e.arm) for e in self.entries}, key=lambda x: arm_order(*x))
        return style.looks(arms)
