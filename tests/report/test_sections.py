"""The findings of the sections in studies with a known truth."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from studies import (
    make_run,
    make_size_study,
    make_strategies,
    make_target,
    part_of,
    provenance,
    study_of,
    table_of,
    told_in,
)

from tlcli.report import build, drawing, style
from tlcli.report.document import Chart, Table
from tlcli.report.plots.arms import curve_limits, draw_runs
from tlcli.report.report import compose
from tlcli.report.sections import maps, networks
from tlcli.report.study.grid import Task
from tlcli.report.words import show
from tlcli.store.records import Dataset, EmbeddingPart, Embeddings, Part, Results, Run


def test_no_difference_is_claimed_where_there_is_none() -> None:
    target = make_target("t", 100, 400, ["a", "b"])
    arms = ("scratch", "freeze", "finetune")
    runs = [make_run(target, m, m, r, 0.8 + 0.002 * r, samples=3000) for m in arms for r in range(4)]
    study = study_of([Results(runs, {"t": target})])
    answer = compose(study).answer
    assert answer[0].startswith("No gain from transfer is shown at 100")
    (task,) = study.tasks
    assert [c.verdict for c in task.gains] == ["not shown"] * 2
    _, level, enough = task.leaders(100, task.variants[0])
    assert (len(level), enough) == (2, True)


def test_the_time_of_a_run_is_told_where_it_was_recorded(tmp_path: Path) -> None:
    target = make_target("t", 100, 2000, ["a", "b"])
    runs = [
        make_run(target, m, m, r, a, samples=3000, attributes={"seconds": s})
        for m, a, seconds in (("scratch", 0.7, (40, 4, 4.5)), ("freeze", 0.9, (9, 0.5, 1)))
        for r, s in enumerate(seconds)
    ]
    results = Results(runs, {"t": target})
    said = "At 100 training images, a run takes 1.0 s with freeze and 4.5 s with scratch (medians)."
    assert said in " ".join(compose(study_of([results])).answer).replace("\u00a0", " ")
    build([results], tmp_path)
    rows = list(csv.DictReader((tmp_path / "tables/runs.csv").open()))
    assert [r["seconds"] for r in rows] == ["40.000", "4.000", "4.500", "9.000", "0.500", "1.000"]
    runs[1].seconds = None  # of one run that was made without the option
    document = compose(study_of([results]))
    assert "a run takes" not in " ".join(document.answer)
    assert [r["run_seconds"] for r in table_of(document, "runs").rows][:2] == [40, None]


def test_harm_is_told() -> None:
    target = make_target("t", 100, 2000, ["a", "b"])
    runs = [
        make_run(target, m, m, r, a, samples=3000)
        for m, a in (("scratch", 0.9), ("freeze", 0.7))
        for r in range(4)
    ]
    study = study_of([Results(runs, {"t": target})])
    assert "Worse than scratch: freeze at 100 (−20.00" in " ".join(compose(study).answer)
    (c,) = study.tasks[0].gains
    assert (c.verdict, round(c.difference, 4)) == ("worse", -0.2)


def test_without_scratch_the_best_are_compared() -> None:
    study = study_of(make_size_study((100,), 3, 500, (0.0,), arms=("finetune", "freeze:copy=2")))
    (answer,) = compose(study).answer
    assert answer.startswith("At 100 training images, finetune gets")
    assert answer.endswith("; freeze:copy=2 is not shown to be worse.")


def test_an_ablation_is_held_against_the_whole_method() -> None:
    target = make_target("t", 100, 500, ["a", "b"])
    arms = ("anchored", "anchored:alpha=0", "anchored:solved=0", "knn:x")
    runs = [make_run(target, a.partition(":")[0], a, r, 0.8) for a in arms for r in range(3)]
    (task,) = study_of([Results(runs, {"t": target})]).tasks
    assert task.reference == "anchored"
    assert {c.first.arm for c in task.gains} == set(arms[1:])


def test_dropout_is_compared_with_itself(size_study: list) -> None:
    rows = table_of(part_of(study_of(size_study), "variants"), "variants").rows
    assert len(rows) == 12
    assert all(r["arm"] == r["against"] and r["variant"] == "dropout=0.5" for r in rows)
    assert {r["verdict"] for r in rows} == {"not shown"}


def test_speed_of_convergence() -> None:
    study = study_of(make_size_study((100,), 2, 500, (0.0,)))
    rows = table_of(part_of(study, "curves"), "speed").rows
    scratch, tuned = (next(r for r in rows if r["arm"] == a) for a in ("scratch", "finetune"))
    assert tuned["first"] > scratch["first"]
    assert tuned["reaches"] < scratch["reaches"]


def test_speed_is_told_of_curves_alone_and_of_scratch_where_it_is() -> None:
    records = make_size_study((100,), 2, 500, (0.0,))

    def speed(keep: Callable[[Run], bool]) -> Table | None:
        kept = dataclasses.replace(records[0], runs=[r for r in records[0].runs if keep(r)])
        part = part_of(study_of([kept]), "curves")
        return next((b for b in part.blocks if isinstance(b, Table)), None)

    alone = speed(lambda r: r.method != "scratch")
    assert alone is not None
    assert "reaches" not in [c.key for c in alone.columns]
    assert "dash" not in alone.note
    # Scratch without a curve still has an accuracy that the others reach.
    for run in records[0].runs:
        if run.method == "scratch":
            run.history = {k: v[-1:] for k, v in run.history.items()}
    beside = speed(lambda r: True)
    assert beside is not None
    assert all(r["reaches"] is not None for r in beside.rows)
    assert {r["arm"] for r in beside.rows} == {"freeze:copy=2", "finetune"}
    # Two measurements are no curve.
    for run in records[0].runs:
        run.history = {k: v[-2:] for k, v in run.history.items()}
    assert speed(lambda r: True) is None


def test_a_figure_for_every_network_of_document_003() -> None:
    study = study_of(make_strategies())
    assert [n.name for n in networks.networks(study)] == ["base", "scratch", "freeze", "freeze:copy=4"]
    part = part_of(study, "networks")
    assert sum(isinstance(b, Chart) for b in part.blocks) == 4


def _told_of_the_base(measured: int, accuracy: Sequence[float] | None = None) -> str:
    """The discussion of a base whose test loss rises, measured so many times."""
    study = study_of(make_strategies())
    history = study.checkpoints[0].history
    for quantity in history:
        history[quantity] = history[quantity][:measured]
    history["test_loss"] = np.linspace(0.5, 1.5, measured)
    if accuracy is not None:
        history["test_accuracy"] = np.asarray(accuracy)
    return told_in(part_of(study, "networks")).partition(" scratch: ")[0]


def test_overfitting_is_told_where_there_are_measurements_to_tell_it_from() -> None:
    told = _told_of_the_base(5)
    assert told.endswith("a sign of over-fitting, though its test accuracy has not fallen.")
    assert _told_of_the_base(5, [0.9, 0.8, 0.7, 0.7, 0.7]).endswith("a sign of over-fitting.")
    assert "test loss" not in _told_of_the_base(4)


def test_a_network_is_told_with_the_decimals_of_its_own_test_images() -> None:
    """A base tells nothing of its test images here, the others have 141 of them or 2,000."""
    told = told_in(part_of(study_of(make_strategies()), "networks"))
    assert re.match(r"base: [^.]* 76\.0 %", told)
    assert re.search(r"scratch: [^.]* 96\.80 %", told)
    base = make_strategies()[1]
    base.test_predictions = np.zeros(4000, np.int64)
    assert " 76.00 %" in told_in(part_of(study_of([base]), "networks"))


def test_curves_show_wide_bands_and_say_what_they_cut() -> None:
    study = study_of(make_size_study((100,), 2, 500, (0.0,)))

    def caption() -> str:
        blocks = part_of(study, "curves").blocks
        return next(b.caption for b in blocks if isinstance(b, Chart) and b.id == "curves")

    assert "cut off" in caption()
    study = study_of(make_size_study((100,), 2, 500, (0.0,)))
    for e in study.entries:
        few = np.array([0.70, 0.71, 0.72]) + 0.1 * e.run.run
        e.run.history = {"samples_seen": np.arange(1, 4) * 1000, "test_accuracy": few}
    assert "cut off" not in caption()
    low, high = curve_limits(study.tasks[0].cells)
    sd = 100 * np.std([0, 0.1], ddof=1)
    assert low < 75 - sd
    assert high > 77 + sd


def test_bias_and_variance_say_what_they_rest_on() -> None:
    part = part_of(study_of(make_size_study((100, 200), 3, 500, (0.0,))), "learning")
    table = table_of(part, "bias-variance")
    for row in table.rows:
        assert row["bias"] + row["variance"] == pytest.approx(row["error"])
    assert "one training set" in table.note
    capacity = table_of(part, "capacity")
    assert all(r["train"] - r["bound"] < 30 for r in capacity.rows)  # what guessing the largest class gives
    assert not next(c for c in capacity.columns if c.key == "bound").shown


def test_of_one_arm_no_superlatives() -> None:
    study = study_of(make_size_study((100,), 3, 500, (0.0,), arms=("finetune",)))
    results, part = part_of(study, "accuracy"), part_of(study, "learning")
    text = told_in(results) + told_in(part)
    assert re.search(r"the gap between training and test accuracy is [\d.]+ points with finetune \(", text)
    assert re.search(
        r"^At 100 training images, finetune gets .* right \(95 % inter", compose(study).answer[0]
    )
    assert not re.search("widest|narrowest|least ", text)
    # One gap, with the same digits wherever it stands.
    (row,), (again,) = table_of(results, "accuracy").rows, table_of(part, "capacity").rows
    assert row["gap"] == again["gap"]
    assert f"is {show(row['gap'], 'number', 1)} points" in text


def test_parameters_and_gap_at_the_smallest_and_the_largest_size() -> None:
    """Parameters and gaps are told together where one arm trains many more parameters than another."""
    runs, targets = [], {}
    for size, frozen in ((100, 0.6), (1000, 0.8)):
        target = targets[f"t{size}"] = make_target(f"t{size}", size, 1000, ["a", "b"])
        for method, accuracy, trained in (("freeze", frozen, 1000), ("finetune", 0.7, 9000)):
            fitted = {"train_accuracy": 1.0 if size == 100 else 0.9}
            runs.append(make_run(target, method, method, 0, accuracy, trainable=trained, attributes=fitted))
    results = Results(runs, targets)
    part = part_of(study_of([results]), "learning")
    rows = [r for r in table_of(part, "capacity").rows if r["arm"] == "freeze"]
    assert [(r["parameters"], r["ratio"], round(r["gap"], 6)) for r in rows] == [
        (1000, 10, 40),
        (1000, 1, 10),
    ]
    small, large = told_in(part).split(" At 1,000 training images, ")
    for numbers, text in ((("10.0", "40.00"), small), (("1.0", "10.00"), large)):
        assert all(f"{each} " in text for each in numbers)
    for run in runs:
        run.trainable_parameters = 2570
    assert "per image" not in told_in(part_of(study_of([results]), "learning"))


def test_pictures_are_those_that_differ() -> None:
    records = make_size_study((100,), 3, 400, (0.0,))
    target = records[0].targets["mnist-6-9-100"]
    part = Part(np.zeros((400, 4, 4, 1), np.uint8), target.test_labels, target.test_source_index)
    dataset = Dataset({"train": part, "test": part}, target.class_names, np.arange(4))
    study = study_of([*records, dataset])
    by_arm = {
        a: np.mean([e.correct for e in study.entries if e.arm == a], axis=0) for a in ("finetune", "scratch")
    }
    better = int(((by_arm["finetune"] > 0.5) & (by_arm["scratch"] < 0.5)).sum())
    assert f" {better} of 400" in told_in(part_of(study, "pictures"))
    # Another set of test images is not mistaken for it.
    other = Part(part.images, part.labels, part.source_index + 1)
    dataset = Dataset({"train": other, "test": other}, target.class_names, np.arange(4))
    assert part_of(study_of([*records, dataset]), "pictures").blocks == []


def test_map_repeats_and_keeps_classes_apart() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    points = (rng.normal(size=(120, 16)) + 8 * np.eye(16)[labels]).astype(np.float32)
    part = EmbeddingPart(points, labels, np.arange(120))
    embeddings = Embeddings({"test": part}, "dense", ["a", "b", "c"], np.arange(3), provenance("e.h5", ""))
    sampled, _, _ = maps.sample(embeddings)
    flat, share = maps.principal(sampled)
    assert flat.shape == (120, 2)
    assert share > 0.5
    assert np.array_equal(maps.t_sne(sampled), maps.t_sne(sampled))  # type: ignore[arg-type]
    assert "100.0 %" in told_in(part_of(study_of([embeddings]), "map"))


def test_a_method_has_one_colour_and_its_arms_other_marks() -> None:
    """Also: figures with markers alone, and equal looks on every page."""
    parts = [("anchored", f"anchored:part={n}") for n in range(7)]
    alone = style.looks(parts)
    assert (
        len({look.marker for look in alone.values()}) == len({str(x.line) for x in alone.values()}) + 1 == 7
    )
    beside = style.looks([*parts, ("freeze", "freeze"), ("mine", "mine")])
    assert {look.colour for look in alone.values()} == {beside[arm].colour for _, arm in parts}
    assert style.looks([("mine", "mine"), ("other", "other")])["mine"].colour == beside["mine"].colour


def test_colours_are_seen_on_their_ground() -> None:
    """3:1 at least, in the light and in the dark (WCAG 2.2, 1.4.11)."""

    def luminance(colour: str) -> float:
        shares = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(shares <= 0.03928, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    for name, pair in style.COLOURS.items():
        if name not in ("grid", "paper"):
            for place, ground in enumerate(style.COLOURS["paper"]):
                low, high = sorted((luminance(pair[place]), luminance(ground)))
                assert (high + 0.05) / (low + 0.05) > 3, (name, place)


def test_few_runs_are_points_and_boxes_cut_none() -> None:
    """Runs at the quartile that is the edge of a box do not lie on the edge of the panel."""
    target = make_target("t", 100, 500, ["a", "b"])

    def panel(accuracies: Sequence[float]) -> tuple[int, float, float]:
        runs = [make_run(target, "lwf", "lwf", r, a) for r, a in enumerate(accuracies)]
        study = study_of([Results(runs, {"t": target})])
        task: Task = study.tasks[0]
        with drawing.drawing_style():
            (ax,) = draw_runs(task, study.looks, 2).axes
            return len(ax.patches), *ax.get_xlim()

    assert panel((0.6, 0.7, 0.8))[0] == 0
    boxes, low, high = panel((0.6, 0.6, 0.6, 0.6, 0.8))
    assert boxes == 1
    assert low < 59.5
    assert high > 80.5


def test_the_frontier_of_several_strengths() -> None:
    target = make_target("t", 100, 500, ["a", "b"])
    reached = {  # accuracy, source accuracy lost
        "lwf:weight=0.1": (0.84, 0.3),
        "lwf": (0.82, 0.2),
        "lwf:weight=10": (0.75, 0.1),
        "replay": (0.82, 0.12),
        "freeze": (0.7, 0.0),
    }
    runs = [
        make_run(
            target,
            arm.split(":")[0],
            arm,
            r,
            accuracy,
            attributes={"source_accuracy_before": 0.7, "source_accuracy_after": 0.7 - lost},
        )
        for arm, (accuracy, lost) in reached.items()
        for r in range(3)
    ]
    part = part_of(study_of([Results(runs, {"t": target})]), "frontier")
    on_it = {r["arm"] for r in table_of(part, "frontier").rows if r["frontier"]}
    assert on_it == {"lwf:weight=0.1", "lwf:weight=10", "replay", "freeze"}, "replay beats lwf at both"
    (drawn,) = [b for b in part.blocks if isinstance(b, Chart)]
    assert len(drawn.draw(2).axes) == 1
    assert not part_of(study_of([Results(runs[3:], {"t": target})]), "frontier").blocks, "two are no curve"
    parts = [dataclasses.replace(run, method="lwf", arm=f"lwf:part{i // 3}=0") for i, run in enumerate(runs)]
    assert not part_of(study_of([Results(parts, {"t": target})]), "frontier").blocks, "other options are none"


def gains_by_tenfold(classes: list[str]) -> Results:
    """Scratch gains ten points with every tenfold; an arm ten better is worth ten times as many."""
    sizes = (10, 100, 1000, 10000)
    targets = {f"t{n}{classes}": make_target(f"t{n}{classes}", n, 1000, classes) for n in sizes}
    runs = [
        make_run(target, method, method, r, 0.5 + 0.1 * place + more)
        for place, target in enumerate(targets.values())
        for method, more in (("scratch", 0.0), ("finetune", 0.1))
        for r in range(3)
    ]
    return Results(runs, targets)


def test_effective_data_over_many_sizes() -> None:
    part = part_of(study_of([gains_by_tenfold(["a", "b"])]), "effective-data")
    rows = table_of(part, "effective-data").rows
    assert [r["effective"].split(" (")[0] for r in rows] == ["100", "1,000", "10,000", "over 10,000"]
    assert [r["transferred"].split(" (")[0] for r in rows] == ["90", "900", "9,000", "over 0"]
    (drawn,) = [b for b in part.blocks if isinstance(b, Chart)]
    figure = drawing.lay_out(drawn.draw(2))
    assert len(figure.axes) == 1
    assert "10,000" in drawing.save(figure, "svg").decode()
    assert "mathdefault" not in drawing.save(figure, "svg").decode()

    several = part_of(
        study_of([gains_by_tenfold(["a", "b"]), gains_by_tenfold(["c", "d"])]), "effective-data"
    )
    (drawn,) = [b for b in several.blocks if isinstance(b, Chart)]
    assert [ax.get_title() for ax in drawn.draw(2).axes] == ["mnist a and b", "mnist c and d"]
    assert [len(b.rows) for b in several.blocks if isinstance(b, Table)] == [4, 4]


def test_another_base_and_another_draw_are_told_apart() -> None:
    targets = {f"t{draw}": make_target(f"t{draw}", 100, 1000, ["a", "b"]) for draw in range(3)}

    def of_base(base: int) -> Results:
        attributes = {"architecture": "cnn2", "base": f"base{base}.h5", "base_sha256": str(base) * 64}
        runs = [
            make_run(target, "finetune", "finetune", 0, 0.7 + 0.1 * base + 0.02 * draw, attributes=attributes)
            for draw, target in enumerate(targets.values())
        ]
        return Results(runs, targets)

    both = study_of([of_base(0), of_base(1)])
    (row,) = table_of(part_of(both, "chance"), "chance").rows
    assert (row["bases"], row["draws"], row["seeds"]) == (2, 3, 1)
    assert (round(row["over_bases"], 2), round(row["sd_draws"], 2)) == (77.0, 2.0)
    assert round(row["sd_bases"], 2) == round(10 / 2**0.5, 2)
    assert not part_of(study_of([of_base(0)]), "chance").blocks
