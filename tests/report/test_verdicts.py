"""Conclusions: families, single runs, controls, equivalence, worth; and the runs that are compared."""

from __future__ import annotations

import numpy as np
import pytest
from studies import make_run, make_size_study, make_target, part_of, study_of, table_of, told_in

from tlcli.analysis import statistics
from tlcli.report.document import Table
from tlcli.report.report import compose
from tlcli.report.study import Study
from tlcli.report.study.contrasts import paired_accuracies
from tlcli.report.study.worth import worth
from tlcli.store.records import Results, Run, Target


def _study(accuracies: dict[str, dict[str, float]], runs: int = 1, **options: float) -> Study:
    """Some runs per arm and training set."""
    targets = {name: make_target(name, 100, 2000, ["a", "b"]) for arm in accuracies.values() for name in arm}
    made = [
        make_run(targets[name], arm.split(":")[0], arm, r, accuracy)
        for arm, sets in accuracies.items()
        for name, accuracy in sets.items()
        for r in range(runs)
    ]
    return study_of([Results(made, targets)], **options)


def test_interval_verdict_and_p_value_agree(size_study: list) -> None:
    study = study_of(size_study)
    (task,) = study.tasks
    for c in [*task.gains, *task.changes, *task.pairs]:
        assert c.interval is not None
        assert c.p is not None
        out = c.interval[0] > 0 or c.interval[1] < 0
        assert out == (c.p < 0.05) == c.shown, c
        assert c.verdict == (("better" if c.difference > 0 else "worse") if out else "not shown")


def test_a_file_of_other_arms_changes_nothing() -> None:
    one = make_size_study((100, 200), 3, 500, (0.0,))
    target = one[0].targets["mnist-6-9-100"]
    runs = [make_run(target, "knn", f"knn:{k}", 0, 0.8) for k in "abcd"]
    other = Results(runs, {target.name: target})
    other.provenance = type(other.provenance)(name="knn.h5")
    alone, beside = (
        {(c.first.arm, c.first.size): (c.interval, c.p) for c in study_of(records).tasks[0].gains}
        for records in (one, [*one, other])
    )
    assert len(alone) == 4
    assert {key: beside[key] for key in alone} == alone
    assert {len(c.family) for c in study_of([*one, other]).tasks[0].gains} == {2, 4}


def test_runs_of_one_grid_in_two_files_are_one_family() -> None:
    whole = make_size_study((100,), 4, 300, (0.0,))[0]
    halves = [
        Results([r for r in whole.runs if r.run % 2 == i], whole.targets, {}, type(whole.provenance)(name=n))
        for i, n in enumerate(("a.h5", "b.h5"))
    ]
    assert [(len(c.family), c.comparison.runs) for c in study_of(halves).tasks[0].gains] == [(2, 4)] * 2


def test_one_run_is_no_method() -> None:
    study = _study({"scratch": {"t": 0.8}, "finetune": {"t": 0.9}})
    (answer,) = compose(study).answer
    assert answer.startswith("With one run of each arm ")
    assert "Transfer helped" not in " ".join(
        b.text for b in part_of(study, "gain").blocks if hasattr(b, "text")
    )
    (row,) = table_of(part_of(study, "gain"), "against").rows
    assert row["verdict"] == "networks differ"
    (c,) = study.tasks[0].gains
    assert f" {c.comparison.exact.only_first} test images " in told_in(part_of(study, "gain"))
    two = _study({"scratch": {"t": 0.8}, "finetune": {"t": 0.9}}, runs=2)
    assert compose(two).answer[0].startswith("Two runs of each arm ")
    three = _study({"scratch": {"t": 0.8}, "finetune": {"t": 0.9}}, runs=3)
    assert compose(three).answer[0] == "Transfer helped at 100 training images."


def test_under_three_runs_the_runs_are_shown() -> None:
    """No interval from two runs: Student's would be 65 plus or minus 63.5."""
    t = make_target("t", 100, 1000, ["a", "b"])
    runs = [make_run(t, "lwf", "lwf", r, 0.6 + 0.1 * r) for r in (0, 1)]
    same = [make_run(t, "ridge", "ridge", r, 0.8) for r in range(4)]
    for run in same[1:]:
        run.predictions = same[0].predictions
    part = part_of(study_of([Results([*runs, *same], {"t": t})]), "accuracy")
    assert {r["arm"]: r["at_100"] for r in table_of(part, "glance").rows} == {
        "lwf": "60.00, 70.00",
        "ridge": "80.00 (deterministic)",
    }
    for row in table_of(part, "accuracy").rows:
        assert (row["sd"], row["interval"]) == (None, None)


def test_the_interval_beside_a_mean_contains_it(size_study: list) -> None:
    rows = table_of(part_of(study_of(size_study), "accuracy"), "accuracy").rows
    for row in rows:
        for key in ("interval", "new_images"):
            assert row[key][0] <= row["accuracy"] <= row[key][1]


def _rising(run: Run, gain: float) -> Run:
    end = run.history["test_accuracy"][-1]
    run.history["test_accuracy"] = np.append(np.linspace(end - gain, end - 0.001, 23), end)
    return run


def test_the_control_must_be_trained() -> None:
    """Scratch that still rises, or has not learned its training images, gives a gain of equal budget."""
    target = make_target("t", 100, 2000, ["a", "b"])
    network = {"architecture": "cnn2"}
    tuned = [
        make_run(target, "finetune", "finetune", r, 0.9, train=1.0, attributes=network) for r in range(3)
    ]

    def control(scratch: list[Run], *more: Results) -> tuple[str, float | None]:
        """What the control lacks, and the accuracy of one that was trained to its end."""
        results = Results([*scratch, *tuned], {"t": target}, {"samples": 24000})
        study = study_of([results, *more])
        (task,) = study.tasks
        reference = min(task.at(arm="scratch"), key=lambda c: c.samples)
        longer = task.converged_control(reference)
        lacks = task.shortfall(reference)
        answer = " ".join(compose(study).answer).replace("\u00a0", " ")
        assert ("equal budget" in answer) == bool(lacks)
        assert longer is None or f" {100 * longer.mean:.2f} % " in answer
        return lacks, None if longer is None else longer.mean

    def scratch(train: float, samples: int = 24000, accuracy: float = 0.8) -> list[Run]:
        return [
            make_run(
                target,
                "scratch",
                "scratch",
                r,
                accuracy,
                train=train,
                samples=samples,
                attributes=network,
            )
            for r in range(3)
        ]

    assert control([_rising(r, 0.004) for r in scratch(1.0)]) == ("", None)
    rising = [_rising(r, 0.2) for r in scratch(1.0)]
    assert control(rising) == ("rising", None)
    assert control(scratch(0.7)) == ("behind", None)
    blind = scratch(1.0)
    for run in blind:
        run.history = {"samples_seen": np.array([24000]), "test_accuracy": np.array([0.8])}
    assert control(blind) == ("unknown", None)
    longer = Results(scratch(1.0, 96000, 0.85), {"t": target}, {"samples": 96000})
    assert control(rising, longer) == ("rising", pytest.approx(0.85))


def test_no_difference_has_a_size_and_equivalence_a_margin() -> None:
    accuracies = {"scratch": {"t": 0.9}, "finetune": {"t": 0.9}}
    (c,) = _study(accuracies, runs=4).tasks[0].gains
    assert c.verdict == "not shown"
    assert c.detectable is not None
    assert c.interval is not None
    # Half of the interval and t(0.8) standard errors more.
    half = (c.interval[1] - c.interval[0]) / 2
    assert half < c.detectable < 2 * half
    (wide,) = _study(accuracies, runs=4, margin=0.05).tasks[0].gains
    assert wide.verdict == "equivalent"
    (narrow,) = _study(accuracies, runs=4, margin=half / 2).tasks[0].gains
    assert narrow.verdict == "not shown"
    assert " 5.00 points" in told_in(part_of(_study(accuracies, runs=4, margin=0.05), "gain"))


def test_transfer_is_worth_data() -> None:
    """Scratch has 70, 80 and 90 % at 100, 1,000 and 10,000; 85 % at 100 is worth 10^3.5 images."""
    runs, targets = [], {}
    for size, scratch, tuned in ((100, 0.7, 0.85), (1000, 0.8, 0.95), (10000, 0.9, 0.5)):
        t = targets[f"t{size}"] = make_target(f"t{size}", size, 2000, ["a", "b"])
        for r, change in enumerate((-0.002, 0, 0.002)):
            runs.append(make_run(t, "scratch", "scratch", r, scratch + change))
            runs.append(make_run(t, "finetune", "finetune", r, tuned + change))
    (task,) = study_of([Results(runs, targets)]).tasks
    small, middle, large = (worth(c, "scratch") for c in task.at(arm="finetune"))
    assert small is not None
    assert small.images == pytest.approx(10**3.5, rel=0.01)
    assert 10**3.3 < small.low < 10**3.5 < small.high < 10**3.7
    assert middle is not None
    assert middle.images == float("inf")
    assert large is not None
    assert large.images == -float("inf")
    assert " 3,200 " in " ".join(compose(task.study).answer)
    assert [c.verdict for c in task.gains] == ["better", "better", "worse"]
    rows = table_of(part_of(task.study, "gain"), "against").rows
    assert [(r["worth"] or "").partition(" (")[0] for r in rows] == ["3,200", "over 10,000", ""]


def test_worth_and_paired_test_agree_where_training_sets_differ() -> None:
    """Each training set moves all arms by up to 10 points, and hardly their differences."""
    runs, targets = [], {}
    arms = {
        "scratch": (0, 0, 0),
        "better": (0.05, 0.06, 0.06),
        "same": (0.01, -0.01, 0),
        "worse": (-0.06, -0.065, -0.055),
    }
    for size, scratch in ((100, 0.6), (1000, 0.7), (10000, 0.8)):
        for draw, change in enumerate((-0.1, 0.0, 0.1)):
            t = targets[f"t{size}-{draw}"] = make_target(f"t{size}-{draw}", size, 2000, ["a", "b"])
            runs += [make_run(t, arm, arm, 0, scratch + change + gain[draw]) for arm, gain in arms.items()]
    (task,) = study_of([Results(runs, targets)]).tasks
    sides = {}
    for c in task.gains:
        low, high = statistics.compare_means(*paired_accuracies(c.first, c.second).T).interval() or (0, 0)
        found = worth(c.first, "scratch")
        assert found is not None
        assert (found.low > c.size, found.high < c.size) == (low > 0, high < 0), (c.first.arm, c.size)
        sides[c.first.arm, c.size] = (low > 0) - (high < 0)
    assert [sides[arm, 1000] for arm in ("better", "same", "worse")] == [1, 0, -1]


def test_mirrored_answers_have_no_gap() -> None:
    """Training accuracy is of images as they are, test accuracy a mean with the mirror image."""
    records = make_size_study((100,), 3, 300, (0.0,))
    records[0].recipe = {"mirrored": True}
    table = table_of(part_of(study_of(records), "accuracy"), "accuracy")
    assert {(r["train"], r["gap"]) for r in table.rows} == {(None, None)}
    assert "have no gap" in table.note


def test_the_source_head_is_among_the_parameters() -> None:
    target = make_target("t", 100, 300, ["a", "b"])
    run = make_run(target, "lwf", "lwf", 0, 0.8, parameters=1000, trainable=1200)
    (row,) = table_of(part_of(study_of([Results([run], {"t": target})]), "made"), "seeds").rows
    assert (row["parameters"], row["trainable"]) == (1200, 1200)


def test_a_base_has_the_training_images_that_it_has_or_none() -> None:
    """Samples divided by epochs are those of whole batches: 880 for 869 images."""
    _, base = make_size_study((100,), 1, 100, (0.0,))
    base.samples_seen, base.recipe = 880 * 20, {"epochs": 20}
    (row,) = table_of(part_of(study_of([base]), "networks"), "networks").rows
    assert row["size"] is None


def test_means_of_a_comparison_are_of_paired_runs_and_it_says_so() -> None:
    study = _study({"scratch": {"d0": 0.3, "d1": 0.4}, "anchored": {"d0": 0.6, "d1": 0.7, "d2": 0.5}})
    table = table_of(part_of(study, "gain"), "against")
    (row,) = table.rows
    assert row["difference"] == pytest.approx(30)
    assert row["accuracy"] == pytest.approx(60)
    assert "both have" in table.note


def _target(name: str) -> Target:
    return make_target(name, 100, 1000, ["a", "b"])


@pytest.mark.parametrize(
    ("draws", "runs", "said"),
    [
        (1, 3, "share one training set"),
        (2, 3, "share two training sets, but the intervals treat them as independent"),
        (3, 2, "are drawn from the same published images"),
        (1, 1, "A single run shows how one network does"),
    ],
)
def test_what_the_spread_is_of(draws: int, runs: int, said: str) -> None:
    targets = [_target(f"d{i}") for i in range(draws)]
    made = [make_run(t, "lwf", "lwf", r, 0.6) for t in targets for r in range(runs)]
    limits = told_in(part_of(study_of([Results(made, {t.name: t for t in targets})]), "accuracy"))
    assert said in limits
    others = ("share one", "share two", "are drawn from the same", "A single run")
    assert sum(other in limits for other in others) == 1


def _six_tasks() -> list[Results]:
    """Tuning helps on four tasks of eight and harms on one."""
    runs, targets = [], {}
    for i, gain in enumerate((0.2, 0.2, 0.2, 0.2, 0.0, 0.0, 0.0, -0.2)):
        t = targets[f"t{i}"] = make_target(f"t{i}", 100, 400, [f"a{i}", f"b{i}"], seed=i)
        for r in range(3):
            for method, accuracy in (("scratch", 0.7), ("finetune", 0.7 + gain), ("freeze", 0.7)):
                runs.append(make_run(t, method, method, r, accuracy))
    return [Results(runs, targets)]


def test_the_answer_speaks_for_all_tasks() -> None:
    study = study_of(_six_tasks())
    document = compose(study)
    assert document.answer[0].startswith("Transfer helped on 4 of 8 tasks")
    overview = table_of(document, "overview")
    assert len(overview.rows) == 8
    assert len([s for s in document.sections if s.id.startswith("accuracy")]) == 8
    counts = {r["arm"]: (r["better_on"], r["worse_on"]) for r in table_of(document, "arms-over-tasks").rows}
    assert counts["finetune"] == (4, 1)
    over = {r["arm"]: r for r in table_of(document, "over-tasks").rows}
    assert over["finetune"]["rank"] < over["freeze"]["rank"]
    # Better in every pair of runs on four tasks, worse in every one on one, about even on three.
    assert over["finetune"]["improvement"] == pytest.approx((4 + 3 / 2) / 8 * 100, abs=8)
    low, high = over["finetune"]["improvement_interval"]
    assert low <= over["finetune"]["improvement"] <= high
    headings = [s.title for s in document.sections if s.task]
    assert all("mnist a" in h for h in headings)


def test_more_than_accuracy() -> None:
    """A network that knows one class of two has half of the balanced accuracy, however rare the other is."""
    target = make_target("t", 100, 400, ["a", "b"])
    target.test_labels = np.repeat([0, 1], [300, 100])
    runs = [make_run(target, m, m, r, 0.9) for m in ("scratch", "finetune") for r in range(3)]
    for run in runs[:3]:
        run.predictions = np.zeros(400, np.int64)
    part = part_of(study_of([Results(runs, {"t": target})]), "measures")
    measures = {r["arm"]: r for r in table_of(part, "measures").rows}
    assert measures["scratch"]["accuracy"] == 75
    assert measures["scratch"]["balanced"] == 50
    assert measures["scratch"]["f1"] == pytest.approx(100 * (6 / 7) / 2)
    differences = {r["class"]: r for r in table_of(part, "class-differences").rows}
    assert differences["b"]["second"] == 0
    assert differences["b"]["class_difference"] > 80
    assert differences["b"]["class_interval"][0] > 0
    classes = next(b for b in part.blocks if isinstance(b, Table) and b.id == "classes")
    assert len(classes.rows) == 4
