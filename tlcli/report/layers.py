"""The layer study after Yosinski et al. (2014): how far can features be copied, frozen or tuned (document
002).

B is the target, A the other task. BnB: the first n layers copied from a base trained on B itself (selffer)
and frozen;
AnB: copied from a base trained on A (transfer) and frozen; with a plus: copied and then tuned with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tlcli.analysis import statistics
from tlcli.analysis.statistics import Comparison, Summary
from tlcli.report.gather import Entry, Study, by, last
from tlcli.report.words import ALPHA
from tlcli.store.records import Checkpoint

SERIES = {
    ("freeze", "own"): "BnB",
    ("finetune", "own"): "BnB+",
    ("freeze", "other"): "AnB",
    ("finetune", "other"): "AnB+",
}
BASE = "base"
ENOUGH = 3
FAMILIES = (
    ("co-adaptation", "BnB", BASE),
    ("specificity", "AnB", "BnB"),
    ("tuning against freezing", "AnB+", "AnB"),
    ("tuned transfer against the base", "AnB+", BASE),
    ("tuned selffer against the base", "BnB+", BASE),
)
"""Name of the effect, and which series is held against which."""


@dataclass
class Effect:
    """One difference between two series at one n, or with n = 0 its mean over all n."""

    name: str
    first: str
    second: str
    n: int
    comparison: Comparison
    p: float | None = None

    @property
    def shown(self) -> bool:
        return self.p is not None and self.p < ALPHA


@dataclass
class LayerStudy:
    """Accuracies by series, n and unit; a unit is a split, else a target, else a run."""

    variant: str
    unit: str
    values: dict[str, dict[int, dict[object, float]]]
    base: dict[object, float]
    targets: int
    runs: int
    budgets: tuple[int, int] | None = None
    """Samples that a base has seen, and that each network saw after copying."""
    effects: list[Effect] = field(default_factory=list)
    slopes: dict[str, Comparison] = field(default_factory=dict)

    @property
    def depths(self) -> list[int]:
        return sorted({n for series in self.values.values() for n in series})

    def summary(self, series: str, n: int) -> Summary | None:
        """Mean accuracy over the units with its interval."""
        values = (
            list(self.base.values())
            if series == BASE
            else list(self.values.get(series, {}).get(n, {}).values())
        )
        return statistics.summary(values, bounds=(0.0, 1.0)) if values else None


def of_layers(study: Study) -> list[Entry]:
    """The runs of a layer study: frozen or tuned up to n, for several n."""
    candidates = [e for e in study.entries if (e.method, e.run.relation) in SERIES and _n(e)]
    candidates = [e for e in candidates if e.method != "freeze" or e.run.freeze in (None, _n(e))]
    chosen = []
    for group in by(candidates, _kind).values():
        own = any(e.run.relation == "own" for e in group)
        if len({_n(e) for e in group}) >= (2 if own else 3):
            chosen += group
    return chosen


def is_whole(entries: Sequence[Entry]) -> bool:
    """Whether the study has selffers, so that it stands for itself and not as part of a size study."""
    return any(e.run.relation == "own" for e in entries)


def collect(study: Study, entries: Sequence[Entry]) -> list[LayerStudy]:
    """One layer study per variant and kind of head (and per size, where a target has several)."""
    sizes: dict[str, list[int]] = {}
    for e in entries:
        sizes.setdefault(e.task, [])
        if e.size not in sizes[e.task]:
            sizes[e.task] = sorted([*sizes[e.task], e.size])
    groups = by(entries, lambda e: (_kind(e), sizes[e.task].index(e.size)))
    return [_collect(study, kind, group) for (kind, _), group in groups.items()]


def _kind(e: Entry) -> str:
    """The variant and, where it is not the base's kind, the head."""
    units, everything = e.run.head_units, e.run.all_layers
    head = [f"head with {units} hidden units"] if units else []
    return ", ".join(filter(None, [e.variant, *head, "head on all layers" if everything else ""]))


def _collect(study: Study, variant: str, entries: Sequence[Entry]) -> LayerStudy:
    unit, name = _units(entries)
    by_target: dict[str, dict[int, dict[object, list[float]]]] = {}
    for e in entries:
        series = SERIES[e.method, e.run.relation]
        by_target.setdefault(series, {}).setdefault(_n(e), {}).setdefault(unit(e), []).append(e.accuracy)
    values = {
        s: {n: {u: float(np.mean(v)) for u, v in units.items()} for n, units in depths.items()}
        for s, depths in by_target.items()
    }
    bases: dict[object, dict[str, float]] = {}
    for e in entries:
        if (accuracy := _base_accuracy(study, e, entries)) is not None:
            bases.setdefault(unit(e), {})[e.task] = accuracy
    base = {u: float(np.mean(list(found.values()))) for u, found in bases.items()}
    found = LayerStudy(
        variant, name, values, base, len({e.task for e in entries}), len(entries), _budgets(study, entries)
    )
    found.effects = _effects(found)
    found.slopes = {s: c for s in values if (c := _slope(values[s])) is not None}
    return found


def _n(e: Entry) -> int:
    return e.run.copy or 0


def _units(entries: Sequence[Entry]) -> tuple[Callable[[Entry], object], str]:
    """What counts as one repetition: a split in two halves if all targets pair up, else a target, a run."""
    classes = {e.task: frozenset(e.target.class_names) for e in entries}
    everything = frozenset().union(*classes.values())
    splits = {task: frozenset({names, everything - names}) for task, names in classes.items()}
    whole = all(everything - names in classes.values() for names in classes.values())
    if whole and len(set(splits.values())) >= ENOUGH:
        return (lambda e: splits[e.task]), "split"
    if len(classes) >= ENOUGH:
        return (lambda e: e.task), "target"
    return (lambda e: (e.task, e.run.run)), "run"


def _base_accuracy(study: Study, e: Entry, entries: Sequence[Entry]) -> float | None:
    """The test accuracy on the target of e of the base that was trained on it."""
    own = [o for o in entries if o.task == e.task and o.run.relation == "own"]
    for o in own:
        if (recorded := o.run.base_accuracy) is not None:
            return float(recorded)
    digests = {o.run.base_sha256 for o in own}
    for c in study.checkpoints:
        known = c.provenance.content_sha256 and c.provenance.content_sha256 in digests
        if known or (not own and c.class_names == e.target.class_names):
            return last(c.history, "test_accuracy")
    control = [o.accuracy for o in study.entries if o.task == e.task and o.method == "scratch"]
    return float(np.mean(control)) if control else None


def _budgets(study: Study, entries: Sequence[Entry]) -> tuple[int, int] | None:
    digests = {e.run.base_sha256 for e in entries}
    seen = [c.samples_seen for c in study.checkpoints if _digest(c) in digests]
    after = [int(h[-1]) for e in entries if len(h := e.run.history.get("samples_seen", np.zeros(0)))]
    return (int(np.median(seen)), int(np.median(after))) if seen and after else None


def _digest(c: Checkpoint) -> str:
    return c.provenance.content_sha256


def _effects(study: LayerStudy) -> list[Effect]:
    """Every family of differences at each n (Holm over n) and over all n."""
    effects: list[Effect] = []
    for name, first, second in FAMILIES:
        family = []
        pooled: dict[object, list[float]] = {}
        for n in study.depths:
            left = study.values.get(first, {}).get(n, {})
            right = study.base if second == BASE else study.values.get(second, {}).get(n, {})
            units = [u for u in left if u in right]
            if not units:
                continue
            for u in units:
                pooled.setdefault(u, []).append(left[u] - right[u])
            c = statistics.compare_means([left[u] for u in units], [right[u] for u in units])
            family.append(Effect(name, first, second, n, c))
        for e, p in zip(family, statistics.holm([e.comparison.p for e in family]), strict=True):
            e.p = p
        effects += family
        if len(family) > 1:
            means = [float(np.mean(d)) for d in pooled.values()]
            c = statistics.compare_means(means, np.zeros(len(means)))
            effects.append(Effect(name, first, second, 0, c, c.p))
    return effects


def _slope(series: dict[int, dict[object, float]]) -> Comparison | None:
    """The change of accuracy per further layer: a line through each unit, then a t test of the slopes."""
    slopes = []
    for unit in dict.fromkeys(u for units in series.values() for u in units):
        points = [(n, units[unit]) for n, units in series.items() if unit in units]
        if len(points) >= 2:
            n, accuracy = np.array(sorted(points)).T
            slopes.append(float(np.polyfit(n, accuracy, 1)[0]))
    return statistics.compare_means(slopes, np.zeros(len(slopes))) if slopes else None
