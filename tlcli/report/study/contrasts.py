"""Compare cells, run by run and image by image, in families of comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tlcli.analysis import statistics
from tlcli.analysis.statistics import Comparison
from tlcli.report.study.entry import NEIGHBOURS, Entry, by, components_of
from tlcli.report.words import ALPHA, between, points

if TYPE_CHECKING:
    from tlcli.report.study.cell import Cell

Pair = tuple[Entry, Entry]
ENOUGH_DRAWS = 3
"""The fewest draws of the training set that count as the repetitions, instead of the runs."""
ENOUGH_RUNS = 3
"""The fewest repetitions for a claim on a method instead of the networks at hand."""


@dataclass(eq=False)
class Contrast:
    """The difference first minus second of a measure, over common repetitions, in a family."""

    first: Cell
    second: Cell
    comparison: Comparison
    margin: float | None = None
    """The difference up to which two arms count as equivalent."""
    family: list[Contrast] = field(default_factory=list, repr=False)
    """The comparisons that the adjustment of intervals and p values counts, with this one."""

    @property
    def size(self) -> int:
        return self.first.size

    @property
    def difference(self) -> float:
        return self.comparison.difference

    @property
    def points(self) -> str:
        """The difference as text."""
        return points(self.difference, self.first.task.digits, sign=True)

    @property
    def brackets(self) -> str:
        """The interval in brackets behind a space, if there is one."""
        text = between(self.interval, self.first.task.digits)
        return f" (95 % interval {text})" if self.interval else ""

    @property
    def _known(self) -> bool:
        """Whether an interval is meaningful: not for two runs, which leave one degree of freedom."""
        return self.enough or self.comparison.exact is not None

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The interval that holds for the whole family at once, at 95 %."""
        if not self._known:
            return None
        return self.comparison.interval(max(1, len(self.family)))

    @cached_property
    def p(self) -> float | None:
        return self.comparison.p(max(1, len(self.family))) if self._known else None

    @property
    def enough(self) -> bool:
        """Whether the runs suffice for a claim on the method."""
        return self.comparison.runs >= ENOUGH_RUNS

    @property
    def apart(self) -> bool:
        """Whether the interval excludes zero, for methods or for two networks."""
        return self.p is not None and self.p < ALPHA

    @property
    def gain(self) -> bool:
        """Whether the first method is shown to be better."""
        return self.enough and self.apart and self.difference > 0

    @property
    def loss(self) -> bool:
        """Whether the first method is shown to be worse."""
        return self.enough and self.apart and self.difference < 0

    @property
    def shown(self) -> bool:
        return self.gain or self.loss

    @property
    def equivalent(self) -> bool:
        """Whether the whole interval lies within the margin."""
        if self.margin is None or self.interval is None or not self.enough:
            return False
        return -self.margin <= self.interval[0] and self.interval[1] <= self.margin

    @property
    def detectable(self) -> float | None:
        """The smallest difference that this comparison shows with a power of 80 %; 1 if it shows none."""
        found = self.comparison.detectable(max(1, len(self.family))) if self.enough else None
        return None if found is None else min(1.0, found)

    @property
    def verdict(self) -> str:
        if self.comparison.single:
            return "networks differ" if self.apart else "one run each"
        if not self.enough:
            return "too few runs"
        if self.shown:
            return "better" if self.gain else "worse"
        return "equivalent" if self.equivalent else "not shown"


def units(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The independent repetitions: three or more draws of the training set, else the single runs."""
    draws = by(entries, lambda e: e.dataset)
    return list(draws.values()) if len(draws) >= ENOUGH_DRAWS else [[e] for e in entries]


def pair_runs(first: Sequence[Entry], second: Sequence[Entry]) -> list[Pair]:
    """Pairs of runs of one training set and repetition.

    Nearest neighbours draw nothing: their result pairs with every run of the other.
    """
    one_set = len({e.dataset for e in first}) == len({e.dataset for e in second}) == 1

    def where(e: Entry) -> str:
        return "" if one_set else e.dataset

    for key in (lambda e: (where(e), e.repetition), lambda e: (where(e), e.number)):
        there = {key(e): e for e in second}
        if pairs := [(e, there[key(e)]) for e in first if key(e) in there]:
            break
    if all(e.method == NEIGHBOURS for e in second):
        single = {where(e): e for e in second}
        return [(e, single[where(e)]) for e in first if where(e) in single]
    if all(e.method == NEIGHBOURS for e in first):
        single = {where(e): e for e in first}
        return [(single[where(e)], e) for e in second if where(e) in single]
    return pairs


def compare_runs(pairs: Sequence[Pair]) -> Comparison:
    """Compare test accuracies, repetition by repetition, on the same images if there are predictions."""
    groups = repetitions(pairs)
    left, right = (right_answers([[pair[side] for pair in g] for g in groups]) for side in (0, 1))
    if left is None or right is None or any(a.task != b.task for a, b in pairs):
        return _compare_means(groups, lambda e: e.measured)
    return statistics.compare(left, right)


def compare_lost(pairs: Sequence[Pair]) -> Comparison:
    """Compare source accuracies lost, repetition by repetition."""
    return _compare_means(repetitions(pairs), lambda e: e.lost or 0.0)


def paired_accuracies(first: Cell, second: Cell) -> np.ndarray:
    """The test accuracies of two cells, repetition by repetition: R x 2, float64; R is 0 if no runs pair."""
    return _means(repetitions(pair_runs(first.runs, second.runs)), lambda e: e.measured)


def repetitions(pairs: Sequence[Pair]) -> list[list[Pair]]:
    draws = by(pairs, lambda pair: pair[0].dataset)
    return list(draws.values()) if len(draws) >= ENOUGH_DRAWS else [[pair] for pair in pairs]


def _compare_means(groups: Sequence[Sequence[Pair]], measure: Callable[[Entry], float]) -> Comparison:
    return statistics.compare_means(*_means(groups, measure).T)


def _means(groups: Sequence[Sequence[Pair]], measure: Callable[[Entry], float]) -> np.ndarray:
    """A measure of both sides, averaged within each repetition: R x 2, float64."""
    means = [[np.mean([measure(pair[side]) for pair in group]) for side in (0, 1)] for group in groups]
    return np.array(means, np.float64).reshape(-1, 2)


def right_answers(repetitions: Sequence[Sequence[Entry]]) -> np.ndarray | None:
    """Repetitions x images: right or wrong, or the share of right over several runs of one training set.

    None where a run has no predictions.
    """
    rows = [[e.correct for e in runs] for runs in repetitions]
    if any(c is None for row in rows for c in row):
        return None
    return np.stack([row[0] if len(row) == 1 else np.mean(row, axis=0) for row in rows])  # type: ignore


def contrast(
    first: Cell,
    second: Cell,
    compare: Callable[[Sequence[Pair]], Comparison] = compare_runs,
    margin: float | None = None,
) -> Contrast | None:
    """The comparison of two cells; None if no runs pair."""
    pairs = pair_runs(first.runs, second.runs)
    return Contrast(first, second, compare(pairs), margin) if pairs else None


def in_families(found: Iterable[Contrast | None]) -> list[Contrast]:
    """Contrasts with their families: those at one size whose arms are of one declaration.

    Results files that share an arm form one declaration, so a file of other arms changes nothing.
    """
    contrasts = [c for c in found if c is not None]
    for group in by(contrasts, lambda c: c.size).values():
        for family in components_of(group, lambda c: {file for e in c.first.runs for file in e.files}):
            for c in family:
                c.family = family
    return contrasts
