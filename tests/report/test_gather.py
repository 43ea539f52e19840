"""Runs of several files become one study: doubles and gaps are named, variants told apart."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from studies import make_layer_study, make_run, make_size_study, make_target, provenance

from tlcli.errors import TlcliError
from tlcli.report.study.gather import gather
from tlcli.report.study.order import arm_order
from tlcli.store.records import Neighbours, Results

GRID = "The grid lacks {} (arms x training sets x repetitions): {}."


def test_variants_are_named_by_what_differs(size_study: list) -> None:
    study = gather(size_study)
    (task,) = study.tasks
    assert task.variants == ["dropout=0.0", "dropout=0.5"]
    assert task.sizes == [100, 200, 2300, 23900]
    assert task.arms == ["scratch", "freeze:copy=2", "finetune"]
    assert study.warnings == []


def test_bases_are_variants_only_outside_a_layer_study() -> None:
    assert {e.variant for e in gather(make_layer_study(2, 2, 100)).entries} == {""}
    one = make_size_study((100,), 2, 100, (0.0,))[0]
    other = copy.deepcopy(one)
    for run in other.runs:
        run.base, run.base_sha256 = "other.h5", "f" * 64
    assert gather([one, other]).tasks[0].variants == ["base base05.h5", "base other.h5"]


def test_networks_that_differ_from_task_to_task_are_no_variants() -> None:
    def of(network: str, classes: list[str]) -> Results:
        target = make_target(f"{classes}", 100, 300, classes)
        attributes = {"architecture": network, "base": f"{network}.h5", "base_sha256": network}
        return Results(
            [make_run(target, "freeze", "freeze", 0, 0.8, attributes=attributes)], {target.name: target}
        )

    tasks = [of("cnn2", ["a", "b"]), of("cnn6-bn", ["c", "d"])]
    assert [t.variants for t in gather(tasks).tasks] == [[""], [""]]
    both = gather([*tasks, of("cnn6-bn", ["a", "b"])]).tasks
    assert [t.variants for t in both] == [["cnn2", "cnn6-bn"], ["cnn6-bn"]]


def test_doubles_are_named_and_counted_once() -> None:
    results = make_size_study((100,), 2, 100, (0.0,))[0]
    study = gather([results, copy.deepcopy(results)])
    assert len(study.entries) == 6
    assert "The files hold 6 runs twice" in study.warnings[0]


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
    assert gather([results, other]).tasks[0].variants == ["learning_rate=0.001", "learning_rate=0.01"]


def test_a_seed_is_a_repetition_and_no_treatment() -> None:
    """Two files of the same arms with seeds 100, 101 and 107, 108: four runs, paired seed by seed."""
    results = make_size_study((100,), 2, 100, (0.0,))[0]
    other = copy.deepcopy(results)
    for run in other.runs:
        run.seed += 7
        run.predictions = run.predictions[::-1].copy()
        run.history = {}
    results.recipe, other.recipe = {"seed": 100}, {"seed": 107}
    study = gather([results, other])
    (task,) = study.tasks
    assert (task.variants, study.warnings) == ([""], [])
    assert {len(c.runs) for c in task.cells} == {4}
    assert {c.comparison.runs for c in task.gains} == {4}


def test_a_run_without_an_accuracy_is_left_out_and_named() -> None:
    results = make_size_study((100,), 3, 100, (0.0,))[0]
    gone = results.runs[4]
    gone.predictions, gone.history = np.zeros(0, np.int64), {}
    study = gather([results])
    assert len(study.entries) == 8
    assert study.warnings[0].startswith("1 run ")
    assert gone.arm in study.warnings[0]
    assert all(c.mean > 0.8 for c in study.tasks[0].cells)


def test_different_precision_is_named() -> None:
    one, _ = make_size_study((100,), 2, 100, (0.0,), ("scratch",))
    other, _ = make_size_study((100,), 2, 100, (0.0,), ("finetune",))
    one.recipe, other.recipe = {"precision": "float32"}, {"precision": "mixed"}
    (warning,) = gather([one, other]).warnings
    assert "different precision: float32 (scratch) and mixed (finetune)" in warning


def test_missing_runs_are_named() -> None:
    results = make_size_study((100, 200), 3, 100, (0.0,))[0]
    results.runs = [r for r in results.runs if not (r.arm == "finetune" and r.run == 1 and r.size == 200)]
    assert gather([results]).warnings == [GRID.format("1 run", "finetune on mnist-6-9-200, run 1")]


def test_missing_draws_of_neighbours_are_named_but_not_other_sizes() -> None:
    targets = {n: make_target(n, s, 100, ["a", "b"]) for n, s in (("d0", 100), ("d1", 100), ("all", 800))}
    runs = [make_run(targets[n], "scratch", "scratch", 0, 0.7) for n in ("d0", "d1")]
    runs += [make_run(targets[n], "knn", "knn:x", 0, 0.7) for n in ("d0", "all")]
    warnings = gather([Results(runs, targets)]).warnings
    assert warnings == [GRID.format("1 run", "knn:x on d1, run 0")]


def test_the_whole_method_may_be_in_a_file_of_its_own() -> None:
    targets = {n: make_target(n, 100, 100, ["a", "b"]) for n in ("d0", "d1")}
    files = []
    for name, arms in (("own", ("anchored",)), ("parts", ("anchored:solved=0", "anchored:alpha=0"))):
        runs = [make_run(targets[n], "anchored", arm, 0, 0.7) for n in targets for arm in arms]
        files.append(Results(runs, targets, provenance=provenance(f"{name}.h5", "tlcli transfer")))
    assert gather(files).warnings == []
    files[0].runs.pop()
    assert gather(files).warnings == [GRID.format("1 run", "anchored on d1, run 0")]


def test_missing_layers_of_one_base_are_named() -> None:
    records = make_layer_study(splits=2, images=50)
    first = next(r for r in records if isinstance(r, Results))
    gone = first.runs.pop()
    (warning,) = gather(records).warnings
    assert warning.startswith(GRID.format("1 run", "")[:-1])
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
    results.neighbours = [
        Neighbours(name, 100, 3, selected_on="test", predictions=results.runs[0].predictions)
    ]
    base.complete = False
    text = " ".join(gather([results, base]).warnings)
    for part in ("not that of the predictions", "no predictions", "chosen on the test images", "interrupted"):
        assert part in text


def test_nothing_to_report() -> None:
    with pytest.raises(TlcliError, match="nothing to report"):
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
        made.append(make_run(t, "knn", "knn:metric=cosine", 0, 0.7))
    return Results(made, targets, {}, provenance("draws.h5", "tlcli transfer"))


def test_draws_of_the_training_set_are_the_repetitions() -> None:
    (task,) = gather([_results(3, 2)]).tasks
    assert {len(c.units) for c in task.cells} == {3}
    by_arm = {c.first.arm: c for c in task.gains}
    tuned = by_arm["finetune"]
    assert (tuned.comparison.runs, tuned.comparison.images) == (3, 300)
    assert tuned.difference == pytest.approx(0.1, abs=0.005)
    knn = by_arm["knn:metric=cosine"]
    assert knn.comparison.runs == 3
    assert knn.difference < 0


def test_neighbours_are_held_against_every_run() -> None:
    (task,) = gather([_results(1, 4)]).tasks
    assert {c.first.method: c.comparison.runs for c in task.gains} == {"finetune": 4, "knn": 4}
