"""From the records that were given to one study: runs merged, doubles and gaps named, variants told apart."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from tlcli.errors import TlcliError
from tlcli.report import style
from tlcli.report.words import at_most, clean, count, plural
from tlcli.store.records import (
    Checkpoint,
    Dataset,
    Embeddings,
    Neighbours,
    Ranking,
    Record,
    Results,
    Run,
    Target,
)

METHOD_ORDER = {name: i for i, name in enumerate(style.METHODS)}


@dataclass(frozen=True)
class Identity:
    """The network behind a run: what can make it another variant of the same study."""

    architecture: str = ""
    options: str = "{}"
    base: str = ""
    recipe: str = ""


@dataclass
class Entry:
    """One run, the target it was tested on, and the variant of the study it belongs to."""

    run: Run
    target: Target
    file: str
    recipe: dict[str, Any]
    identity: Identity
    variant: str = ""
    neighbours: Neighbours | None = None
    """Where the run is a classification by neighbours: what else is known of it."""

    @cached_property
    def arm(self) -> str:
        return clean(self.run.arm)

    @property
    def method(self) -> str:
        return self.run.method

    @property
    def size(self) -> int:
        return int(self.run.size)

    @property
    def dataset(self) -> str:
        """Which training set: its digest, or its name where there is none."""
        return self.target.content_sha256 or self.target.name

    @cached_property
    def task(self) -> str:
        """What is tested on what: equal for runs with the same classes and the same test images."""
        h = hashlib.sha256(json.dumps(self.target.class_names).encode())
        for array in (self.target.test_labels, self.target.test_source_index):
            h.update(np.ascontiguousarray(array, "<i8").tobytes())
        return h.hexdigest()

    @cached_property
    def correct(self) -> np.ndarray | None:
        """bool, N: which test images it gets right; None without predictions."""
        predictions = np.asarray(self.run.predictions)
        if predictions.shape != self.target.test_labels.shape or predictions.size == 0:
            return None
        return predictions == self.target.test_labels

    @cached_property
    def accuracy(self) -> float:
        """Test accuracy at the end, from the predictions or else the history."""
        if self.correct is not None:
            return float(self.correct.mean())
        return last(self.run.history, "test_accuracy") or 0.0

    @property
    def train_accuracy(self) -> float | None:
        """Accuracy on the training part after the last step; else the last average seen during training."""
        measured = self.run.train_accuracy
        return last(self.run.history, "train_accuracy") if measured is None else float(measured)


@dataclass
class Study:
    """Everything a section may draw on."""

    entries: list[Entry] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    embeddings: list[Embeddings] = field(default_factory=list)
    datasets: list[Dataset] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def looks(self) -> dict[str, style.Look]:
        """Colour, marker and line of every arm, the same in all figures."""
        arms = sorted({(e.method, e.arm) for e in self.entries}, key=lambda x: arm_order(*x))
        return style.looks(arms)

    @cached_property
    def digits(self) -> int:
        """Decimals of a percentage: two where a thousand or more images were tested."""
        sizes = [len(e.target.test_labels) for e in self.entries]
        return 1 if sizes and min(sizes) < 1000 else 2

    def tasks(self) -> list[list[Entry]]:
        """The runs by task, in the order given."""
        return list(by(self.entries, lambda e: e.task).values())


def last(history: dict[str, np.ndarray], name: str) -> float | None:
    """The last value of a quantity, None where it was not measured."""
    values = history.get(name)
    if values is None or len(values) == 0 or not np.isfinite(values[-1]):
        return None
    return float(values[-1])


T = TypeVar("T")


def by(entries: Iterable[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:
    """Entries (or pairs of them) grouped by a key, groups in the order of their first member."""
    groups: dict[Any, list[T]] = {}
    for e in entries:
        groups.setdefault(key(e), []).append(e)
    return groups


def arm_order(method: str, arm: str) -> tuple[Any, ...]:
    """Scratch first, then the known methods; numbers in arms count as numbers."""
    return METHOD_ORDER.get(method, len(METHOD_ORDER) - 1.5), method, _natural(arm)


def _natural(text: str) -> tuple[list[tuple[float, str]], str]:
    """A key that sorts the numbers in a text as numbers, and the same text always in the same place."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e-?\d+)?)", text)
    return [(float(part), "") if i % 2 else (-1.0, part) for i, part in enumerate(parts)], text


def arms_of(entries: Iterable[Entry]) -> list[str]:
    """The arms in reading order."""
    pairs = {(e.method, e.arm) for e in entries}
    return list(dict.fromkeys(arm for _, arm in sorted(pairs, key=lambda x: arm_order(*x))))


def sizes_of(entries: Iterable[Entry]) -> list[int]:
    return sorted({e.size for e in entries})


def variants_of(entries: Iterable[Entry]) -> list[str]:
    """The variants in the order of their names: without dropout before with."""
    return sorted({e.variant for e in entries}, key=_natural)


def gather(records: Sequence[Record]) -> Study:
    """Sort the records and merge the runs of all results files."""
    study = Study(records=list(records))
    for r in records:
        if isinstance(r, Results):
            study.entries += _entries(r)
            study.rankings += r.rankings
        elif isinstance(r, Checkpoint):
            study.checkpoints.append(r)
        elif isinstance(r, Embeddings):
            study.embeddings.append(r)
        elif isinstance(r, Dataset):
            study.datasets.append(r)
    if not (study.entries or study.rankings or study.embeddings or any(c.history for c in study.checkpoints)):
        raise TlcliError(
            "Nothing to report on: expected at least one file of results, a checkpoint with a history or "
            "embeddings."
        )
    _without_doubles(study)
    _adopt(study.entries)
    _name_variants(study.entries)
    study.warnings += _gaps(study.entries) + _nothing_in_common(study.entries) + _oddities(study)
    return study


def _entries(results: Results) -> list[Entry]:
    file = clean(results.provenance.name or "results")
    entries = []
    for run, found in [*((run, None) for run in results.runs), *((_run(n), n) for n in results.neighbours)]:
        if run.dataset not in results.targets:
            raise TlcliError(
                f"{file}: run {clean(run.key)} names the target {clean(run.dataset)}, which it lacks."
            )
        options = json.dumps(run.architecture_options, sort_keys=True, default=str)
        identity = Identity(run.architecture, options, run.base or run.base_sha256)
        target = results.targets[run.dataset]
        entries.append(Entry(run, target, file, results.recipe, identity, neighbours=found))
    return entries


def _run(found: Neighbours) -> Run:
    """A classification by neighbours where runs are compared with each other."""
    measured = {} if found.test_accuracy is None else {"test_accuracy": np.array([found.test_accuracy])}
    return Run(
        "knn",
        found.arm,
        found.dataset,
        found.size,
        run=0,
        seed=0,
        parameters=0,
        trainable_parameters=0,
        base=found.base,
        base_sha256=found.base_sha256,
        history={"samples_seen": np.array([found.size]), **measured} if measured else {},
        predictions=found.predictions,
    )


def _key(e: Entry) -> tuple[Any, ...]:
    """What makes a run the same run: network, training set, arm, base and repetition."""
    base = e.run.base_sha256
    return e.identity, base, e.dataset, e.run.arm, e.run.run


def _without_doubles(study: Study) -> None:
    """Keep one of equal runs; where runs of one name differ, a difference of recipes tells them apart."""
    doubles = [group for group in by(study.entries, _key).values() if len(group) > 1]
    if not doubles:
        return
    differing = [g for g in doubles if any(not _equal(g[0], e) for e in g[1:])]
    keys = sorted(
        {
            k
            for g in differing
            for e in g
            for k in e.recipe
            if any(e.recipe.get(k) != o.recipe.get(k) for o in g)
        }
    )
    if keys:
        for e in study.entries:
            text = ", ".join(f"{clean(k)}={clean(e.recipe.get(k))}" for k in keys)
            e.identity = Identity(e.identity.architecture, e.identity.options, e.identity.base, text)
    kept: list[Entry] = []
    same: list[str] = []
    other: list[str] = []
    for group in by(study.entries, _key).values():
        kept.append(group[0])
        for e in group[1:]:
            (same if _equal(group[0], e) else other).append(f"{clean(e.run.key)} ({e.file})")
    if same:
        study.warnings.append(
            f"{plural(len(same), 'run is', 'runs are')} there twice and counted once: {at_most(same)}."
        )
    if other:
        study.warnings.append(
            f"{plural(len(other), 'run has', 'runs have')} the name of another run but other results; only "
            f"the first is used: {at_most(other)}."
        )
    study.entries = kept


def _equal(a: Entry, b: Entry) -> bool:
    same_history = a.run.history.keys() == b.run.history.keys() and all(
        np.array_equal(a.run.history[k], b.run.history[k], equal_nan=True) for k in a.run.history
    )
    return same_history and np.array_equal(a.run.predictions, b.run.predictions) and a.run.seed == b.run.seed


def _adopt(entries: list[Entry]) -> None:
    """Neighbours on embeddings belong to the variant whose base made the embeddings."""
    by_base = {e.run.base_sha256: e.identity for e in entries if e.identity.architecture}
    for e in entries:
        if not e.identity.architecture:
            e.identity = by_base.get(e.run.base_sha256, e.identity)


def _name_variants(entries: list[Entry]) -> None:
    """Label each run by what differs between the networks: architecture, options, or else the base."""
    known = list(dict.fromkeys(e.identity for e in entries if e.identity.architecture))
    layers = any(e.run.relation == "own" for e in entries)
    many_architectures = len({i.architecture for i in known}) > 1
    by_architecture: dict[str, list[Identity]] = {}
    for i in known:
        by_architecture.setdefault(i.architecture, []).append(i)
    labels: dict[Identity, str] = {}
    for architecture, group in by_architecture.items():
        options = [json.loads(i.options) for i in group]
        keys = sorted({k for o in options for k in o if any(o.get(k) != p.get(k) for p in options)})
        for i, o in zip(group, options, strict=True):
            parts = [clean(architecture)] if many_architectures else []
            parts += [f"{clean(k)}={clean(o.get(k, 'default'))}" for k in keys]
            parts += [i.recipe] if len({j.recipe for j in group}) > 1 else []
            same = [j for j in group if (j.options, j.recipe) == (i.options, i.recipe)]
            if len(same) > 1 and not layers:
                parts.append(f"base {clean(i.base)}")
            labels[i] = ", ".join(parts)
    only = next(iter(labels.values())) if len(set(labels.values())) == 1 else ""
    for e in entries:
        e.variant = labels.get(e.identity, only)


def common_sets(cell: Iterable[Entry]) -> set[str]:
    """The training sets that every arm of a cell (one size and variant) was trained on."""
    sets = [{e.dataset for e in group} for group in by(cell, lambda e: e.arm).values()]
    return set.intersection(*sets) if sets else set()


def _gaps(entries: list[Entry]) -> list[str]:
    """The runs that a full grid (arms x training sets x repetitions) would have and that are not there."""
    missing: list[str] = []
    for group in by(entries, lambda e: (e.variant, e.task)).values():
        for part in by(group, lambda e: (e.method == "knn", e.run.relation)).values():
            # Neighbours need not be asked at every size, but then on all training sets of that size.
            sizes = sizes_of(part)
            datasets = {e.dataset: clean(e.target.name) for e in group if e.size in sizes}
            missing += _missing(part, datasets, entries)
    if not missing:
        return []
    return [f"{plural(len(missing), 'run is', 'runs are')} missing from the grid: {at_most(missing)}."]


def _missing(part: list[Entry], datasets: dict[str, str], entries: list[Entry]) -> list[str]:
    """What arms that belong together lack of the training sets of their task."""
    cells = by(part, lambda e: (e.dataset, e.arm))
    wanted = {e.run.run for e in part}
    repeated = {e.arm for e in part if e.run.run > 0}
    # In a sweep over layers, the grid of another base tells what this one lacks.
    swept = any(e.run.arm != e.run.method != "knn" for e in part)
    alike = [e for e in entries if e.variant == part[0].variant and e.method != "knn"] if swept else part
    missing: list[str] = []
    for arm in arms_of(alike):
        for dataset, name in datasets.items():
            have = {e.run.run for e in cells.get((dataset, arm), [])}
            lacking = sorted((wanted if arm in repeated else {0}) - have)
            missing += [f"{arm} on {name}, run {r}" for r in lacking]
    return missing


def _nothing_in_common(entries: list[Entry]) -> list[str]:
    """A warning where the arms of one size have no training set in common."""
    cells = by(entries, lambda e: (e.variant, e.task, e.size)).values()
    sizes = sorted({cell[0].size for cell in cells if not common_sets(cell)})
    if not sizes:
        return []
    return [
        f"At {at_most([count(s) for s in sizes])} training images no training set is common to all arms: "
        "they are ranked by means over different training sets."
    ]


def _oddities(study: Study) -> list[str]:
    """What a reader must know: choices made on the test set, unfinished trainings, contradictions."""
    warnings = []
    chosen = sorted({e.file for e in study.entries if _chosen_on_test(e)})
    if chosen:
        warnings.append(
            f"Something was chosen on the test set in {at_most(chosen)}: its accuracies are optimistic."
        )
    unfinished = [clean(c.provenance.name or "checkpoint") for c in study.checkpoints if not c.complete]
    if unfinished:
        warnings.append(f"The training of {at_most(unfinished)} was interrupted and is not complete.")
    odd = [
        clean(e.run.key)
        for e in study.entries
        if e.correct is not None
        and (recorded := last(e.run.history, "test_accuracy")) is not None
        and abs(recorded - e.accuracy) > 1e-4
    ]
    if odd:
        warnings.append(
            f"In {plural(len(odd), 'run', 'runs')} the last test accuracy is not that of the predictions, "
            f"which are used: {at_most(odd, 4)}."
        )
    blind = [clean(e.run.key) for e in study.entries if e.correct is None]
    if blind:
        warnings.append(
            f"{plural(len(blind), 'run has', 'runs have')} no predictions and cannot be compared image by "
            f"image: {at_most(blind, 4)}."
        )
    return warnings


def _chosen_on_test(e: Entry) -> bool:
    return e.neighbours is not None and e.neighbours.selected_on == "test"
