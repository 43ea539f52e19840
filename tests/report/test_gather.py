"""Runs of several files become one study: doubles and gaps are named, variants told apart."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from conftest import make_layer_study, make_run, make_size_study, make_target, provenance

from tlcli.errors import TlcliError
from tlcli.report.gather import arm_order, arms_of, gather, sizes_of, variants_of
from tlcli.report.pairs import compare_entries, units
from tlcli.store.records import Neighbours, Results


def test_variants_are_named_by_what_differs(size_study: list) -> None:
    study = gather(size_study)
    assert variants_of(study.entries) == ["dropout=0.0", "dropout=0.5"]
    assert sizes_of(study.entries) == [100, 200, 2300, 23900]
    assert arms_of(study.entries) == ["scratch", "freeze:copy=2", "finetune"]
    assert len(study.tasks()) == 1
    assert study.warnings == []


def test_bases_are_variants_only_outside_a_layer_study() -> None:
    assert variants_of(gather(make_layer_study(2, 2, 100)).entries) == [""]
    one = make_size_study((100,), 2, 100, (0.0,))[0]
    other = copy.deepcopy(one)
    for run in other.runs:
        run.base, run.base_sha256 = "other.h5", "f" * 64
    assert variants_of(gather([one, other]).entries) == ["base base05.h5", "base other.h5"]


def test_doubles_are_named_and_counted_once() -> None:
    results = make_size_study((100,), 2, 100, (0.0,))[0]
    study = gather([results, copy.deepcopy(results)])
    assert len(study.entries) == 6
    assert "6 runs are there twice" in study.warnings[0]


def test_other_results_under_one_name_are_told_apart_by_their_recipe() -> None:
    results = make_size_study((100,), 2, 100, (0.0,))[0]
    other = copy.deepcopy(results)
    for run in other.runs:
        run.predictions = run.predictions[::-1].copy()
        run.history = {}
    clash = gather([results, other])
    assert len(clash.entries) == 6
    assert "other results" in clash.warnings[0]
    other.recipe = {**results.recipe, "learning_rate": 0.01}
    assert variants_of(gather([results, other]).entries) == ["learning_rate=0.001", "learning_rate=0.01"]


def test_missing_runs_are_named() -> None:
    results = make_size_study((100, 200), 3, 100, (0.0,))[0]
    results.runs = [r for r in results.runs if not (r.arm == "finetune" and r.run == 1 and r.size == 200)]
    assert gather([results]).warnings == ["1 run is missing from the grid: finetune on mnist-6-9-200, run 1."]


def test_missing_draws_of_neighbours_are_named_but_not_other_sizes() -> None:
    targets = {n: make_target(n, s, 100, ["a", "b"]) for n, s in (("d0", 100), ("d1", 100), ("all", 800))}
    runs = [make_run(targets[n], "scratch", "scratch", 0, 0.7) for n in ("d0", "d1")]
    runs += [make_run(targets[n], "knn", "knn(x)", 0, 0.7) for n in ("d0", "all")]
    warnings = gather([Results(runs, targets)]).warnings
    assert warnings == ["1 run is missing from the grid: knn(x) on d1, run 0."]


def test_missing_layers_of_one_base_are_named() -> None:
    records = make_layer_study(splits=2, images=50)
    first = next(r for r in records if isinstance(r, Results))
    gone = first.runs.pop()
    (warning,) = gather(records).warnings
    assert warning.startswith("1 run is missing from the grid: ")
    assert gone.arm in warning


def test_runs_of_two_machines_merge() -> None:
    whole = make_size_study((100,), 4, 100, (0.0,))[0]
    halves = [copy.deepcopy(whole), copy.deepcopy(whole)]
    for i, half in enumerate(halves):
        half.runs = [r for r in half.runs if r.run % 2 == i]
    study = gather(halves)
    assert len(study.entries) == 12
    assert study.warnings == []


def test_what_a_reader_must_know() -> None:
    results, base = make_size_study((100,), 2, 100, (0.0,))
    results.runs[0].history["test_accuracy"][-1] = 0.1
    results.runs[1].predictions = np.zeros(0, np.int64)
    (name,) = results.targets
    results.neighbours = [Neighbours(name, 100, 3, selected_on="test")]
    base.complete = False
    text = " ".join(gather([results, base]).warnings)
    for part in ("not that of the predictions", "no predictions", "chosen on the test set", "interrupted"):
        assert part in text


def test_nothing_to_report() -> None:
    with pytest.raises(TlcliError, match="Nothing to report"):
        gather([])


def test_numbers_in_arms_are_sorted_as_numbers() -> None:
    arms = ["freeze:copy=10", "freeze:copy=2"]
    assert sorted(arms, key=lambda a: arm_order("freeze", a)) == ["freeze:copy=2", "freeze:copy=10"]


def _results(draws: int, runs: int) -> Results:
    made, targets = [], {}
    for d in range(draws):
        t = make_target(f"draw{d}", 100, 300, ["a", "b"])
        targets[t.name] = t
        for arm, accuracy in (("scratch", 0.8), ("finetune", 0.9)):
            made += [make_run(t, arm, arm, r, accuracy - 0.01 * d) for r in range(runs)]
        made.append(make_run(t, "knn", "knn(cosine, uniform)", 0, 0.7))
    return Results(made, targets, {}, provenance("draws.h5", "tlcli transfer"))


def test_draws_of_the_training_set_are_the_repetitions() -> None:
    entries = gather([_results(3, 2)]).entries
    scratch, tuned, knn = ([e for e in entries if e.method == m] for m in ("scratch", "finetune", "knn"))
    assert len(units(scratch)) == 3
    c = compare_entries(tuned, scratch)
    assert c is not None
    assert (c.runs, c.images) == (3, 300)
    assert c.difference == pytest.approx(0.1, abs=0.005)
    against = compare_entries(knn, scratch)
    assert against is not None
    assert against.runs == 3
    assert against.difference < 0


def test_neighbours_are_held_against_every_run() -> None:
    entries = gather([_results(1, 4)]).entries
    c = compare_entries(
        [e for e in entries if e.method == "knn"], [e for e in entries if e.method == "scratch"]
    )
    assert c is not None
    assert c.runs == 4
