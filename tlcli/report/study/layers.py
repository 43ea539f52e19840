"""The layer study of Yosinski et al. (2014): the effect of copying, freezing or tuning n layers.

B is the target, A the other task. BnB: the first n layers copied from a base trained on B itself (selffer)
and frozen; AnB: copied from a base trained on A (transfer) and frozen; with a plus: copied and then tuned
with the rest. The control, n = 0, copies nothing and is trained as long as these networks are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tlcli.analysis import statistics
from tlcli.analysis.statistics import Comparison, Summary
from tlcli.report.study.entry import CONTROL, Entry, by, last
from tlcli.report.words import ALPHA
from tlcli.store.records import Checkpoint

SERIES = {
    ("freeze", "own"): "BnB",
    ("finetune", "own"): "BnB+",
    ("freeze", "other"): "AnB",
    ("finetune", "other"): "AnB+",
}
BASE, NOTHING = "base", "n = 0"
ENOUGH = 3
FAMILIES = (
    ("co-adaptation", "BnB", NOTHING),
    ("specificity", "AnB", "BnB"),
    ("tuning against freezing", "AnB+", "AnB"),
    ("tuned transfer against tuned selffer", "AnB+", "BnB+"),
    ("tuned selffer against n = 0", "BnB+", NOTHING),
    ("tuned transfer against n = 0", "AnB+", NOTHING),
)
"""The name of each effect, with the series that is compared and its control."""

Values = dict[object, float]


@dataclass
class Effect:
    """One difference between two series at one n, or with n = 0 its mean over all n."""

    name: str
    first: str
    second: str
    n: int
    comparison: Comparison
    family: int = 1
    """The values of n for which interval and p value hold at once."""

    @property
    def difference(self) -> float:
        return self.comparison.difference

    @property
    def interval(self) -> tuple[float, float] | None:
        return self.comparison.interval(self.family)

    @property
    def p(self) -> float | None:
        return self.comparison.p(self.family)

    @property
    def shown(self) -> bool:
        return self.comparison.runs >= ENOUGH and self.p is not None and self.p < ALPHA

    @property
    def detectable(self) -> float | None:
        """The smallest difference that this comparison shows with a power of 80 %."""
        return self.comparison.detectable(self.family) if self.comparison.runs >= ENOUGH else None


@dataclass
class LayerStudy:
    """Accuracies by series, n and unit; a unit is a split, else a target, else a run."""

    variant: str
    unit: str
    values: dict[str, dict[int, Values]]
    base: Values
    """The base's accuracy by unit, or by target if runs are the units, as each target has one base."""
    nothing: Values
    """The control's accuracy by unit."""
    digits: int
    targets: int
    runs: int
    samples: int
    """Images that each network saw after copying."""
    base_samples: int = 0
    """Images that a base has seen; 0 if unknown."""

    @property
    def depths(self) -> list[int]:
        return sorted({n for series in self.values.values() for n in series})

    @property
    def units(self) -> int:
        """The repetitions that the means are over."""
        return max(len(units) for series in self.values.values() for units in series.values())

    def of(self, series: str, n: int) -> Values:
        if series == NOTHING:
            return self.nothing
        return self.base if series == BASE else self.values.get(series, {}).get(n, {})

    def summary(self, series: str, n: int = 0) -> Summary | None:
        """Mean accuracy over the units with its interval."""
        values = list(self.of(series, n).values())
        return statistics.summary(values, bounds=(0.0, 1.0)) if values else None

    def from_base(self, series: str, n: int) -> Comparison | None:
        """The difference from the base, over targets if each has one base."""
        return _difference(self.of(series, n), self.base, self.unit == "run")

    @cached_property
    def effects(self) -> list[Effect]:
        """Every family of differences at each n, and over all n."""
        effects: list[Effect] = []
        for name, first, second in FAMILIES:
            pairs = [(n, self.of(first, n), self.of(second, n)) for n in self.depths]
            found = [(n, _difference(left, right, False)) for n, left, right in pairs]
            family = [Effect(name, first, second, n, c) for n, c in found if c is not None]
            for e in family:
                e.family = len(family)
            effects += family
            if len(family) > 1:
                pooled = by(((u, a[u] - b[u]) for _, a, b in pairs for u in a if u in b), lambda one: one[0])
                means = [float(np.mean([d for _, d in group])) for group in pooled.values()]
                c = statistics.compare_means(means, np.zeros(len(means)))
                effects.append(Effect(name, first, second, 0, c))
        return effects

    @cached_property
    def slopes(self) -> dict[str, Comparison]:
        """The change of accuracy per further layer, by series."""
        return {s: c for s, values in self.values.items() if (c := _slope(values)) is not None}

    def family(self, name: str) -> tuple[list[Effect], Effect | None]:
        """An effect at each n, and its mean over n."""
        mine = [e for e in self.effects if e.name == name]
        return [e for e in mine if e.n], next((e for e in mine if not e.n), None)

    def overall(self, name: str) -> Effect | None:
        """The mean of an effect over n, or the effect at the only n."""
        effects, mean = self.family(name)
        return mean or next(iter(effects), None)


def of_layers(entries: Sequence[Entry]) -> list[Entry]:
    """The runs of a layer study: frozen or tuned up to n, for several n."""
    candidates = [e for e in entries if (e.method, e.training.relation) in SERIES and e.copied]
    candidates = [e for e in candidates if e.method != "freeze" or e.frozen == e.copied]
    chosen = []
    for group in by(candidates, _kind).values():
        own = any(e.training.relation == "own" for e in group)
        if len({e.copied for e in group}) >= (2 if own else 3):
            chosen += group
    return chosen


def is_whole(entries: Sequence[Entry]) -> bool:
    """Whether the study has selffers and is thus a layer study, not a part of a size study."""
    return any(e.training.relation == "own" for e in entries)


def collect(
    layered: Sequence[Entry], everything: Sequence[Entry], checkpoints: Sequence[Checkpoint], digits: int
) -> list[LayerStudy]:
    """One layer study per variant and kind of head (and per size, where a target has several)."""
    sizes = {t: sorted({e.size for e in group}) for t, group in by(layered, lambda e: e.task).items()}
    groups = by(layered, lambda e: (_kind(e), sizes[e.task].index(e.size)))
    return [_collect(kind, group, everything, checkpoints, digits) for (kind, _), group in groups.items()]


def _kind(e: Entry) -> str:
    """The variant and, if it is not of the base's kind, the head."""
    return ", ".join(filter(None, [e.variant, e.head]))


def _collect(
    variant: str,
    entries: Sequence[Entry],
    everything: Sequence[Entry],
    checkpoints: Sequence[Checkpoint],
    digits: int,
) -> LayerStudy:
    unit, name = _units(entries)
    values = {
        series: {n: _means(runs, unit) for n, runs in sorted(by(group, lambda e: e.copied).items())}
        for series, group in by(entries, lambda e: SERIES[e.method, e.training.relation]).items()
    }
    samples = max(e.samples for e in entries)
    places = {(e.task, e.size, e.variant) for e in entries}
    control = [e for e in everything if e.method == CONTROL and (e.task, e.size, e.variant) in places]
    control = [e for e in control if e.samples == samples]
    accuracies = {
        t: a for t in {e.task for e in entries} if (a := _base_accuracy(t, entries, checkpoints)) is not None
    }
    known = [e for e in entries if e.task in accuracies]
    bases = {
        u: float(np.mean([accuracies[t] for t in dict.fromkeys(e.task for e in group)]))
        for u, group in by(known, lambda e: e.task if name == "run" else unit(e)).items()
    }
    digests = {e.run.base_sha256 for e in entries}
    seen = [c.samples_seen for c in checkpoints if c.provenance.content_sha256 in digests]
    return LayerStudy(
        variant,
        name,
        values,
        bases,
        _means(control, unit),
        digits,
        len({e.task for e in entries}),
        len(entries),
        samples,
        int(np.median(seen)) if seen else 0,
    )


def _means(entries: Sequence[Entry], unit: Callable[[Entry], object]) -> Values:
    return {u: float(np.mean([e.measured for e in group])) for u, group in by(entries, unit).items()}


def _units(entries: Sequence[Entry]) -> tuple[Callable[[Entry], object], str]:
    """The unit of repetition: a split in two halves if all targets pair up, else a target, else a run."""
    classes = {e.task: frozenset(e.target.class_names) for e in entries}
    everything = frozenset().union(*classes.values())
    splits = {task: frozenset({names, everything - names}) for task, names in classes.items()}
    whole = all(everything - names in classes.values() for names in classes.values())
    if whole and len(set(splits.values())) >= ENOUGH:
        return (lambda e: splits.get(e.task)), "split"
    if len(classes) >= ENOUGH:
        return (lambda e: e.task), "target"
    return (lambda e: (e.task, e.number)), "run"


def _base_accuracy(task: str, entries: Sequence[Entry], checkpoints: Sequence[Checkpoint]) -> float | None:
    """The test accuracy on a target of the base that was trained on it."""
    own = [e for e in entries if e.task == task and e.training.relation == "own"]
    for e in own:
        if e.training.base_accuracy is not None:
            return e.training.base_accuracy
    digests = {e.run.base_sha256 for e in own}
    for c in checkpoints:
        if c.provenance.content_sha256 and c.provenance.content_sha256 in digests:
            return last(c.history, "test_accuracy")
    return None


def _difference(first: Values, second: Values, by_target: bool) -> Comparison | None:
    """The paired difference over common units, or over targets if the second is one network per target."""
    if by_target:
        groups = by(first, lambda u: u[0] if isinstance(u, tuple) else u)
        first = {t: float(np.mean([first[u] for u in units])) for t, units in groups.items()}
    units = [u for u in first if u in second]
    if not units:
        return None
    return statistics.compare_means([first[u] for u in units], [second[u] for u in units])


def _slope(series: dict[int, Values]) -> Comparison | None:
    """The change of accuracy per further layer: a line through each unit, then a t test of the slopes."""
    slopes = []
    for unit in dict.fromkeys(u for units in series.values() for u in units):
        points = [(n, units[unit]) for n, units in series.items() if unit in units]
        if len(points) >= 2:
            n, accuracy = np.array(sorted(points)).T
            slopes.append(float(np.polyfit(n, accuracy, 1)[0]))
    return statistics.compare_means(slopes, np.zeros(len(slopes))) if slopes else None
