"""Gather records into one study: merge runs, name doubles and gaps, and tell variants apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tlcli.errors import TlcliError, UsageError
from tlcli.report.study.entry import NEIGHBOURS, Entry, Identity, arm_name, by, components_of, identity_of
from tlcli.report.study.order import arms_of
from tlcli.report.study.study import Options, Study
from tlcli.report.words import at_most, clean, plural
from tlcli.store.records import Checkpoint, Dataset, Embeddings, Neighbours, Record, Results, Run

NO_TREATMENT = ("seed", "runs", "threads")
"""Values of a recipe that make a run another repetition, not another variant."""


def gather(records: Sequence[Record], options: Options | None = None) -> Study:
    """Sort the records and merge the runs of all results files.

    Raises TlcliError if there is nothing to report on, UsageError for an unknown arm in `options`.
    """
    options = options or Options()
    options = replace(
        options,
        against=[arm_name(arm) for arm in options.against],
        confusion=[arm_name(arm) for arm in options.confusion],
    )
    study = Study(records=list(records), options=options)
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
    _drop_doubles(study)
    _drop_unmeasured(study)
    if not (study.entries or study.rankings or study.embeddings or any(c.history for c in study.checkpoints)):
        raise TlcliError(
            "These files hold nothing to report on: expected a results file whose runs have an accuracy, a "
            "checkpoint with a history, or embeddings."
        )
    _adopt(study.entries)
    _name_variants(study.entries)
    _check_arms(study)
    study.warnings += _gaps(study.entries) + _mixed_precision(study) + _oddities(study)
    return study


def _entries(results: Results) -> list[Entry]:
    file = clean(results.provenance.name or "results")
    entries = []
    runs: list[Run | Neighbours] = [*results.runs, *results.neighbours]
    for run in runs:
        if run.dataset not in results.targets:
            raise TlcliError(
                f"{file}: a run of {clean(run.arm)} names the target {clean(run.dataset)}, which the file "
                "lacks."
            )
        target = results.targets[run.dataset]
        entries.append(Entry(run, target, file, results.recipe, identity_of(run)))
    return entries


def _check_arms(study: Study) -> None:
    there = {e.arm for e in study.entries}
    for arm in (*study.options.against, *study.options.confusion):
        if arm not in there:
            raise UsageError(f"These files have no arm {clean(arm)!r}; they have {at_most(sorted(there))}.")


def _key(e: Entry) -> tuple[Any, ...]:
    """The values that identify a run: network, base, training set, arm, repetition and seed."""
    return e.identity, e.run.base_sha256, e.dataset, e.arm, e.number, e.seed


def _drop_doubles(study: Study) -> None:
    """Keep one of equal runs. A difference of recipes tells runs of one name apart."""
    groups = by(study.entries, _key).values()
    differing = [g for g in groups if any(not _equal(g[0], e) for e in g[1:])]
    keys = sorted(
        {
            k
            for g in differing
            for e in g
            for k in e.recipe
            if k not in NO_TREATMENT and any(e.recipe.get(k) != o.recipe.get(k) for o in g)
        }
    )
    if keys:
        for e in study.entries:
            text = ", ".join(f"{clean(k)}={clean(e.recipe.get(k))}" for k in keys)
            e.identity = replace(e.identity, recipe=text)
    groups = by(study.entries, _key).values()
    same = [f"{e.key} ({e.file})" for g in groups for e in g[1:] if _equal(g[0], e)]
    other = [f"{e.key} ({e.file})" for g in groups for e in g[1:] if not _equal(g[0], e)]
    if same:
        study.warnings.append(
            f"The files hold {plural(len(same), 'run')} twice; each is counted once: {at_most(same)}."
        )
    if other:
        study.warnings.append(
            f"{plural(len(other), 'run has', 'runs have')} the name of another run but other results; the "
            f"report uses the first: {at_most(other)}."
        )
    for g in groups:
        g[0].files = {e.file for e in g if _equal(g[0], e)}
    study.entries = [g[0] for g in groups]


def _equal(a: Entry, b: Entry) -> bool:
    same_history = a.history.keys() == b.history.keys() and all(
        np.array_equal(a.history[k], b.history[k], equal_nan=True) for k in a.history
    )
    return same_history and np.array_equal(a.predictions, b.predictions)


def _drop_unmeasured(study: Study) -> None:
    """Leave out the runs without a test accuracy, and name them."""
    lacking = [e for e in study.entries if e.accuracy is None]
    if lacking:
        names = at_most([f"{e.key} ({e.file})" for e in lacking], 4)
        study.warnings.append(
            f"{plural(len(lacking), 'run has', 'runs have')} no test accuracy; the report leaves "
            f"{'it' if len(lacking) == 1 else 'them'} out: {names}."
        )
        study.entries = [e for e in study.entries if e.accuracy is not None]


def _adopt(entries: list[Entry]) -> None:
    """Put neighbours on embeddings into the variant whose base made the embeddings."""
    by_base = {e.run.base_sha256: e.identity for e in entries if e.identity.architecture}
    for e in entries:
        if not e.identity.architecture:
            e.identity = by_base.get(e.run.base_sha256, e.identity)


def _name_variants(entries: list[Entry]) -> None:
    """Label each run by the difference between the networks: architecture, options, or else the base.

    Networks that differ from task to task alone are no variants.
    """
    known = list(dict.fromkeys(e.identity for e in entries if e.identity.architecture))
    layers = any(e.training.relation == "own" for e in entries)
    many_architectures = len({i.architecture for i in known}) > 1
    labels: dict[Identity, str] = {}
    bases = _name_bases(entries)
    for architecture, group in by(known, lambda i: i.architecture).items():
        options = [json.loads(i.options) for i in group]
        keys = sorted({k for o in options for k in o if any(o.get(k) != p.get(k) for p in options)})
        for i, o in zip(group, options, strict=True):
            parts = [clean(architecture)] if many_architectures else []
            parts += [f"{clean(k)}={clean(o.get(k, 'default'))}" for k in keys]
            parts += [i.recipe] if len({j.recipe for j in group}) > 1 else []
            same = [j for j in group if (j.options, j.recipe) == (i.options, i.recipe)]
            if len(same) > 1 and not layers:
                parts.append(f"base {bases[i.base]}")
            labels[i] = ", ".join(parts)
    only = next(iter(labels.values())) if len(set(labels.values())) == 1 else ""
    for e in entries:
        e.variant = labels.get(e.identity, only)
    if all(len({e.variant for e in group}) == 1 for group in by(entries, lambda e: e.task).values()):
        for e in entries:
            e.variant = ""


def _name_bases(entries: list[Entry]) -> dict[str, str]:
    """The names of the bases by their identity; where several have one name, with the digest's beginning."""
    names = {e.identity.base: clean(e.run.base or e.run.base_sha256[:12]) for e in entries}
    known = list(names.values())
    return {base: f"{name} {base[:6]}" if known.count(name) > 1 else name for base, name in names.items()}


def _gaps(entries: list[Entry]) -> list[str]:
    """The runs that a full grid (arms x training sets x repetitions) would have and that are not there.

    A grid is what files declare together that share an arm; arms of other files need not be at all its sizes.
    """
    missing: list[str] = []
    arms = by(entries, lambda e: (e.variant, e.task, e.arm)).values()
    for grid in components_of(arms, lambda runs: {f"{e.variant}|{e.task}|{e.file}" for e in runs}):
        group = [e for runs in grid for e in runs]
        for part in by(group, lambda e: (e.method == NEIGHBOURS, e.training.relation)).values():
            # Neighbours may be missing at a size, but not on some training sets of a size.
            sizes = {e.size for e in part}
            datasets = {e.dataset: clean(e.target.name) for e in group if e.size in sizes}
            missing += _missing(part, datasets, entries)
    if not missing:
        return []
    return [
        f"The grid lacks {plural(len(missing), 'run')} (arms x training sets x repetitions): "
        f"{at_most(missing)}."
    ]


def _missing(part: list[Entry], datasets: dict[str, str], entries: list[Entry]) -> list[str]:
    """The runs that a group of arms lacks on these training sets (their names by their digests)."""
    alike, first = _alike(part, entries), part[0]
    # An arm of the same base may lie in a file of its own.
    kind = (first.task, first.training.relation, first.run.base_sha256)
    here = [*part, *(e for e in alike if (e.task, e.training.relation, e.run.base_sha256) == kind)]
    there = {(e.dataset, e.arm, e.number) for e in here}
    everywhere, repeated = {e.number for e in part}, {e.arm for e in part if e.number > 0}
    missing: list[str] = []
    for arm in arms_of(alike):
        for dataset, name in datasets.items():
            numbers = sorted({e.number for e in part if e.dataset == dataset} or everywhere)
            wanted = numbers if arm in repeated else numbers[:1]
            missing += [f"{arm} on {name}, run {r}" for r in wanted if (dataset, arm, r) not in there]
    return missing


def _alike(part: list[Entry], entries: list[Entry]) -> list[Entry]:
    """The runs whose arms a group should have: its own; in a sweep over layers, also those of other bases."""
    methods = {e.method for e in part} - {NEIGHBOURS}
    if all(e.arm == e.method for e in part if e.method in methods):
        return part
    return [e for e in entries if e.variant == part[0].variant and e.method in methods]


def _mixed_precision(study: Study) -> list[str]:
    """A warning if compared runs were computed in different precision."""
    for entries in by(study.entries, lambda e: (e.task, e.size)).values():
        found = by([e for e in entries if e.precision], lambda e: e.precision)
        if len(found) > 1:
            parts = [f"{clean(p)} ({at_most(arms_of(group), 3)})" for p, group in found.items()]
            return [f"The report compares runs that were computed in different precision: {at_most(parts)}."]
    return []


def _oddities(study: Study) -> list[str]:
    """Warnings for the reader: choices on the test set, unfinished trainings, contradictions."""
    warnings = []
    chosen = sorted({e.file for e in study.entries if e.chosen_on_test})
    if chosen:
        warnings.append(
            f"In {at_most(chosen)} something was chosen on the test images, which overstates the accuracies."
        )
    unfinished = [clean(c.provenance.name or "checkpoint") for c in study.checkpoints if not c.complete]
    if unfinished:
        warnings.append(f"The training of {at_most(unfinished)} was interrupted and is not complete.")
    both = [e for e in study.entries if e.correct is not None and e.recorded is not None]
    odd = [e.key for e in both if abs((e.recorded or 0.0) - e.measured) > 1e-4]
    if odd:
        warnings.append(
            f"In {plural(len(odd), 'run', 'runs')} the last test accuracy is not that of the predictions; "
            f"the report uses the predictions: {at_most(odd, 4)}."
        )
    blind = [e.key for e in study.entries if e.correct is None]
    if blind:
        warnings.append(
            f"{plural(len(blind), 'run has', 'runs have')} no predictions, so the report compares "
            f"{'its' if len(blind) == 1 else 'their'} mean accuracy alone: {at_most(blind, 4)}."
        )
    return warnings
