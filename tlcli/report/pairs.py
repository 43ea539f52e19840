"""Which runs repeat one another, and which are compared with which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tlcli.analysis import statistics
from tlcli.analysis.statistics import Comparison, Summary
from tlcli.report.gather import Entry, arms_of, by, common_sets, sizes_of, variants_of
from tlcli.report.words import ALPHA

CONTROL = "scratch"
Pair = tuple[Entry, Entry]
ENOUGH_DRAWS = 3


@dataclass
class Contrast:
    """First minus second, within one size and variant, with its p value adjusted for its family."""

    size: int
    variant: str
    first: str
    second: str
    first_mean: float
    second_mean: float
    comparison: Comparison
    p: float | None = None

    @property
    def shown(self) -> bool:
        """Whether the test bears the difference out after Holm's correction."""
        return self.p is not None and self.p < ALPHA

    @property
    def gain(self) -> bool:
        """Whether the first is better, and this is borne out."""
        return self.shown and self.comparison.difference > 0

    @property
    def loss(self) -> bool:
        """Whether the first is worse, and this is borne out."""
        return self.shown and self.comparison.difference < 0

    @property
    def tie(self) -> bool:
        """Whether the means are equal."""
        return abs(self.comparison.difference) < 1e-12


def units(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The independent repetitions: three or more draws of the training set, else the single runs."""
    draws = by(entries, lambda e: e.dataset)
    return list(draws.values()) if len(draws) >= ENOUGH_DRAWS else [[e] for e in entries]


def _accuracy(e: Entry) -> float:
    return e.accuracy


def summarise(
    entries: Sequence[Entry],
    measure: Callable[[Entry], float] = _accuracy,
    bounds: tuple[float, float] | None = (0.0, 1.0),
) -> Summary:
    """Mean of a measure (test accuracy) over the independent repetitions, with its interval."""
    values = [float(np.mean([measure(e) for e in unit])) for unit in units(entries)]
    return statistics.summary(values, bounds=bounds)


def mean_of(entries: Sequence[Entry]) -> float:
    """The mean test accuracy, each independent repetition counted once."""
    return summarise(entries).mean


def fit(entries: Sequence[Entry]) -> tuple[float, float] | None:
    """Mean training accuracy, and the gap from it to mean test accuracy; None where a run lacks the first."""
    trained = {id(e): a for e in entries if (a := e.train_accuracy) is not None}
    if len(trained) < len(entries):
        return None
    train = summarise(entries, lambda e: trained[id(e)], bounds=None).mean
    return train, train - mean_of(entries)


def drawn(entries: Sequence[Entry]) -> Summary:
    """As `summarise`, with the exact binomial interval of the test accuracy where there is one run only."""
    s = summarise(entries)
    if s.n > 1 or entries[0].correct is None:
        return s
    correct = entries[0].correct
    return Summary(1, s.mean, None, *statistics.exact_interval(int(correct.sum()), len(correct)))


def compare_entries(first: Sequence[Entry], second: Sequence[Entry]) -> Comparison | None:
    """Compare two arms on the same test images, repetition by repetition; None where nothing can be paired.

    Runs are paired by training set and number. A method without repetitions (nearest neighbours) is held
    against
    every run of the other. Three or more draws of the training set are the repetitions, their runs averaged.
    """
    pairs = _paired(first, second)
    return _compare(pairs) if pairs else None


def _compare(pairs: Sequence[Pair]) -> Comparison:
    draws = by(pairs, lambda pair: pair[0].dataset)
    groups = list(draws.values()) if len(draws) >= ENOUGH_DRAWS else [[pair] for pair in pairs]
    if any(a.correct is None or b.correct is None or a.task != b.task for a, b in pairs):
        left, right = ([mean_of([pair[i] for pair in g]) for g in groups] for i in (0, 1))
        return statistics.compare_means(left, right)
    return statistics.compare(_correct(groups, 0), _correct(groups, 1))


def _correct(groups: Sequence[Sequence[Pair]], side: int) -> np.ndarray:
    """Repetitions x images: right or wrong, or over several runs of one training set the share of right."""
    rows = [[pair[side].correct for pair in g] for g in groups]
    return np.stack([row[0] if len(row) == 1 else np.mean(row, axis=0) for row in rows])  # type: ignore


def _paired(first: Sequence[Entry], second: Sequence[Entry]) -> list[Pair]:
    one_set = len({e.dataset for e in first}) == len({e.dataset for e in second}) == 1

    def where(e: Entry) -> str:
        return "" if one_set else e.dataset

    there = {(where(e), e.run.run): e for e in second}
    pairs = [(e, there[where(e), e.run.run]) for e in first if (where(e), e.run.run) in there]
    single_first = by(first, where)
    single_second = by(second, where)
    if len(first) > len(pairs) and all(len(g) == 1 for g in single_second.values()):
        return [(e, single_second[where(e)][0]) for e in first if where(e) in single_second]
    if len(second) > len(pairs) and all(len(g) == 1 for g in single_first.values()):
        return [(single_first[where(e)][0], e) for e in second if where(e) in single_first]
    return pairs


def _contrast(size: int, variant: str, first: list[Entry], second: list[Entry]) -> Contrast | None:
    """Two arms over the runs that both have; the means are those of these runs, as the difference is."""
    pairs = _paired(first, second)
    if not pairs:
        return None
    means = mean_of([a for a, _ in pairs]), mean_of([b for _, b in pairs])
    return Contrast(size, variant, first[0].arm, second[0].arm, *means, _compare(pairs))


def _adjusted(contrasts: list[Contrast | None]) -> list[Contrast]:
    """Holm's correction; a family is the comparisons at one size, as each size is a question of its own."""
    found = [c for c in contrasts if c is not None]
    for size in {c.size for c in found}:
        family = [c for c in found if c.size == size]
        for c, p in zip(family, statistics.holm([c.comparison.p for c in family]), strict=True):
            c.p = p
    return found


def against(entries: Sequence[Entry], reference: str = CONTROL) -> list[Contrast]:
    """Every other arm against the reference (by its name) at each size and in each variant."""
    found: list[Contrast | None] = []
    for variant in variants_of(entries):
        for size in sizes_of(entries):
            cell = [e for e in entries if e.size == size and e.variant == variant]
            those = [e for e in cell if _is(e, reference)]
            others = [e for e in cell if not _is(e, reference)]
            for arm in arms_of(others) if those else []:
                found.append(_contrast(size, variant, [e for e in others if e.arm == arm], those))
    return _adjusted(found)


def _is(e: Entry, reference: str) -> bool:
    return e.arm == reference or e.method == reference == CONTROL


def best_against_second(entries: Sequence[Entry]) -> list[Contrast]:
    """The best arm against the runner-up at each size and in each variant, on the training sets of all."""
    found: list[Contrast | None] = []
    for variant in variants_of(entries):
        for size in sizes_of(entries):
            cell = [e for e in entries if e.size == size and e.variant == variant]
            ranked = ranking(comparable(cell))
            if len(ranked) > 1:
                c = _contrast(size, variant, ranked[0], ranked[1])
                # The paired runs can be fewer than those that were ranked: they decide who is first.
                behind = c is not None and c.comparison.difference < 0
                found.append(_contrast(size, variant, ranked[1], ranked[0]) if behind else c)
    return _adjusted(found)


def between_variants(entries: Sequence[Entry]) -> list[Contrast]:
    """The same arm at the same size in every other variant against the first one."""
    variants = variants_of(entries)
    found: list[Contrast | None] = []
    for other in variants[1:]:
        for size in sizes_of(entries):
            for arm in arms_of(entries):
                cell = [e for e in entries if e.size == size and e.arm == arm]
                first = [e for e in cell if e.variant == other]
                second = [e for e in cell if e.variant == variants[0]]
                if first and second:
                    found.append(_contrast(size, other, first, second))
    return _adjusted(found)


def ranking(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The runs of each arm, the best mean accuracy on the training sets of all arms first."""
    groups = [[e for e in entries if e.arm == arm] for arm in arms_of(entries)]
    return sorted(groups, key=lambda g: -mean_of([e for e in comparable(entries) if e.arm == g[0].arm]))


def comparable(entries: Sequence[Entry]) -> list[Entry]:
    """The runs on the training sets that all arms share; all runs where there is no such set."""
    common = common_sets(entries)
    return [e for e in entries if e.dataset in common or not common]
