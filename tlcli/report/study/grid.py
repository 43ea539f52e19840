"""The grid: tasks, and their cells of size x variant x arm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from tlcli.report.study.cell import Cell
from tlcli.report.study.contrasts import Contrast, compare_lost, contrast, in_families
from tlcli.report.study.entry import CONTROL, NEIGHBOURS, Entry, by
from tlcli.report.study.order import arm_order, arms_of, decimals, natural
from tlcli.report.words import at_most, clean
from tlcli.store.records import Target

if TYPE_CHECKING:
    from tlcli.report.study.study import Study

TUNED = "finetune"
BEHIND = 0.1
"""The gap of training accuracy below the others at which the reference counts as not trained."""


def at_ends(cells: Iterable[Cell]) -> Iterator[tuple[str, list[Cell]]]:
    """The cells at the smallest and at the largest size, with "At 100 training images" before them."""
    groups = by(cells, lambda c: c.size)
    for size in sorted({min(groups), max(groups)}) if groups else ():
        yield f"At {groups[size][0].where}", groups[size]


@dataclass(eq=False)
class Task:
    """The runs on the same classes and test images, as a grid of cells."""

    study: Study
    index: int
    entries: list[Entry]

    @cached_property
    def cells(self) -> list[Cell]:
        """In reading order: by size, variant and arm."""
        groups = by(self.entries, lambda e: (e.size, e.variant, e.arm))
        variants = {v: i for i, v in enumerate(self.variants)}
        order = sorted(groups, key=lambda k: (k[0], variants[k[1]], arm_order(groups[k][0].method, k[2])))
        return [Cell(self, s, v, a, groups[s, v, a][0].method, groups[s, v, a]) for s, v, a in order]

    @cached_property
    def variants(self) -> list[str]:
        """In the order of their names: without dropout before with."""
        return sorted({e.variant for e in self.entries}, key=natural)

    @cached_property
    def sizes(self) -> list[int]:
        return sorted({e.size for e in self.entries})

    @cached_property
    def arms(self) -> list[str]:
        return arms_of(self.entries)

    def at(
        self, *, size: int | None = None, variant: str | None = None, arm: str | None = None
    ) -> list[Cell]:
        """The cells of a size, a variant, an arm."""
        return [
            c
            for c in self.cells
            if size in (None, c.size) and variant in (None, c.variant) and arm in (None, c.arm)
        ]

    @property
    def target(self) -> Target:
        """The target of a run, whose test part is that of all."""
        return self.entries[0].target

    @cached_property
    def classes(self) -> list[str]:
        return [clean(n) for n in self.target.class_names]

    @property
    def images(self) -> int:
        """Test images."""
        return len(self.target.test_labels)

    @cached_property
    def chance(self) -> float:
        """The share of the largest class: the accuracy of guessing."""
        labels = self.target.test_labels
        return float(np.bincount(labels).max() / len(labels)) if len(labels) else 0.0

    @property
    def digits(self) -> int:
        """Decimals of a percentage."""
        return decimals(self.images)

    @cached_property
    def name(self) -> str:
        """A short name: the published set and the classes, or else the data sets' name."""
        names = at_most(self.classes, 4)
        source = f"{clean(self.target.source)} " if self.target.source else ""
        text = f"{source}{names}" if len(self.classes) <= 12 else f"{source}{len(self.classes)} classes"
        same = [t for t in self.study.tasks if t is not self and t.classes == self.classes]
        return f"{text} ({clean(self.target.name)})" if same else text

    def id(self, name: str) -> str:
        """A unique name for a block of this task."""
        return f"{name}-{self.index + 1}" if self.index else name

    def title(self, text: str) -> str:
        """A heading that names the task if there are several."""
        return f"{text}: {self.name}" if len(self.study.tasks) > 1 else text

    @cached_property
    def control(self) -> str | None:
        """The arm that is trained from scratch."""
        return next((a for a in self.arms if any(c.method == CONTROL for c in self.at(arm=a))), None)

    @cached_property
    def reference(self) -> str | None:
        """The arm to compare all others with: scratch, or the arm that the others extend by options."""
        if self.control is not None:
            return self.control
        trained = [a for a in self.arms if any(c.method != NEIGHBOURS for c in self.at(arm=a))]
        whole = [a for a in trained if all(a == b or re.match(re.escape(a) + r"[:(]", b) for b in trained)]
        return whole[0] if whole and len(trained) > 1 else None

    @cached_property
    def references(self) -> list[str]:
        """The reference, and the arms that the user named."""
        named = [a for a in self.study.options.against if a in self.arms]
        first = [] if self.reference is None else [self.reference]
        return list(dict.fromkeys([*first, *named]))

    def against(self, reference: str) -> list[Contrast]:
        """Every other arm against this one of the references, at each size and in each variant.

        Those before it among the references are left out: they are compared with it already.
        """
        return self._against[reference]

    @cached_property
    def _against(self) -> dict[str, list[Contrast]]:
        return {
            reference: in_families(
                contrast(c, other, margin=self.study.options.margin)
                for c in self.cells
                if c.arm not in self.references[: place + 1]
                for other in self.at(size=c.size, variant=c.variant, arm=reference)
            )
            for place, reference in enumerate(self.references)
        }

    @property
    def gains(self) -> list[Contrast]:
        """Every arm against the reference; none without one."""
        return self.against(self.reference) if self.reference is not None else []

    @cached_property
    def changes(self) -> list[Contrast]:
        """Every arm in each further variant against itself in the first."""
        first = self.variants[0]
        return in_families(
            contrast(c, same, margin=self.study.options.margin)
            for c in self.cells
            if c.variant != first
            for same in self.at(size=c.size, variant=first, arm=c.arm)
        )

    @cached_property
    def pairs(self) -> list[Contrast]:
        """Every two arms of one size and variant except the references, the better one first."""
        others = sorted((c for c in self.cells if c.arm not in self.references), key=lambda c: -c.mean)
        groups = by(others, lambda c: (c.size, c.variant))
        places = dict.fromkeys((c.size, c.variant) for c in self.cells)
        return in_families(
            contrast(*pair) for place in places for pair in combinations(groups.get(place, ()), 2)
        )

    @cached_property
    def forgetting(self) -> list[Contrast]:
        """Source accuracy lost: every arm against the reference, else finetune, else the first."""
        found: list[Contrast | None] = []
        for cells in by([c for c in self.cells if c.lost], lambda c: (c.size, c.variant)).values():
            reference = min(cells, key=lambda c: (c.arm != self.reference, c.arm != TUNED))
            found += [contrast(c, reference, compare_lost) for c in cells if c is not reference]
        return in_families(found)

    def leaders(self, size: int, variant: str) -> tuple[Cell, list[Cell], bool]:
        """The best arm, the arms not shown to be behind it, and whether the runs suffice for this."""
        cells = self.at(size=size, variant=variant)
        best = self.best(size, cells)
        found = [c for r in self.references for c in self.against(r)] + self.pairs
        mine = {c.second if c.first is best else c.first: c for c in found if best in (c.first, c.second)}
        level = [c for c in cells if c is not best and (c not in mine or not mine[c].shown)]
        return best, level, any(c.enough for c in mine.values())

    def best(self, size: int, cells: Sequence[Cell] | None = None) -> Cell:
        """The arm of the highest mean at a size."""
        return max(cells or self.at(size=size), key=lambda c: c.mean)

    def shortfall(self, reference: Cell) -> str:
        """The reason why the reference is not a trained control, or empty."""
        others = [c.train for c in self.at(size=reference.size) if c.train is not None and c is not reference]
        if reference.train is not None and others and max(others) - reference.train > BEHIND:
            return "behind"
        if reference.curve is None:
            return "unknown" if reference.train is None else ""
        return "rising" if reference.curve.rising else ""

    def converged_control(self, reference: Cell) -> Cell | None:
        """The same control, trained to its end, if there is one beside a short one."""
        longer = [
            c
            for c in self.at(size=reference.size, arm=reference.arm)
            if c.samples > reference.samples and not self.shortfall(c)
        ]
        return max(longer, key=lambda c: c.samples) if longer else None
