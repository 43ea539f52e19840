"""What the sections find in studies whose truth is known."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from conftest import make_layer_study, make_run, make_size_study, make_strategies, make_target, provenance

from tlcli.report import drawing, layers, learning, maps, networks, pictures, size_figures, sizes, style
from tlcli.report.document import Chart, Section, Table
from tlcli.report.gather import gather
from tlcli.report.report import compose
from tlcli.report.words import show
from tlcli.store.records import Dataset, EmbeddingPart, Embeddings, Part, Results, Run, Target


def _table(part: Section, id: str) -> Table:
    return next(b for b in part.blocks if isinstance(b, Table) and b.id == id)


def test_no_difference_is_claimed_where_there_is_none() -> None:
    target = make_target("t", 100, 400, ["a", "b"])
    arms = ("scratch", "freeze", "finetune")
    runs = [make_run(target, m, m, r, 0.8 + 0.002 * r, samples=3000) for m in arms for r in range(4)]
    study = gather([Results(runs, {"t": target})])
    part = sizes.section(study, study.entries)
    text = " ".join(part.discussion)
    assert part.answer is not None
    assert part.answer.text.startswith("No gain from transfer can be shown at 100 training images")
    assert "nowhere shown to differ" in text
    assert "No difference between best and runner-up can be shown anywhere" in text


def test_harm_is_told() -> None:
    target = make_target("t", 100, 2000, ["a", "b"])
    runs = [
        make_run(target, m, m, r, a, samples=3000)
        for m, a in (("scratch", 0.9), ("freeze", 0.7))
        for r in range(4)
    ]
    study = gather([Results(runs, {"t": target})])
    part = sizes.section(study, study.entries)
    assert "some arm is worse" in part.answer.text  # type: ignore[union-attr]
    assert "freeze is worse than scratch" in part.discussion[1]


def test_without_scratch_the_best_are_compared() -> None:
    study = gather(make_size_study((100,), 3, 500, (0.0,), arms=("finetune", "freeze:copy=2")))
    part = sizes.section(study, study.entries)
    assert part.answer is not None
    assert part.answer.text.startswith("The best arm at 100 training images is finetune")


def test_dropout_is_compared_with_itself(size_study: list) -> None:
    study = gather(size_study)
    part = sizes.section(study, study.entries)
    rows = _table(part, "variants").rows
    assert len(rows) == 12
    assert all(r["first"] == r["second"] and r["variant"] == "dropout=0.5" for r in rows)
    assert (
        "no effect of dropout=0.5 on test accuracy can be shown in any of 12 comparisons"
        in part.discussion[-1]
    )


def test_speed_of_convergence() -> None:
    study = gather(make_size_study((100,), 2, 500, (0.0,)))
    rows = _table(sizes.section(study, study.entries), "speed").rows
    scratch, tuned = (next(r for r in rows if r["arm"] == a) for a in ("scratch", "finetune"))
    assert tuned["first"] > scratch["first"]
    assert tuned["scratch"] < scratch["scratch"]


def test_speed_is_told_of_curves_alone_and_of_scratch_where_it_is() -> None:
    records = make_size_study((100,), 2, 500, (0.0,))

    def speed(keep: Callable[[Run], bool]) -> Table | None:
        kept = dataclasses.replace(records[0], runs=[r for r in records[0].runs if keep(r)])
        study = gather([kept])
        part = sizes.section(study, study.entries)
        return next((b for b in part.blocks if isinstance(b, Table) and b.id == "speed"), None)

    alone = speed(lambda r: r.method != "scratch")
    assert alone is not None
    assert "scratch" not in [c.key for c in alone.columns]
    assert "dash" not in alone.note
    # Scratch without a curve still has an accuracy that the others reach.
    for run in records[0].runs:
        if run.method == "scratch":
            run.history = {k: v[-1:] for k, v in run.history.items()}
    beside = speed(lambda r: True)
    assert beside is not None
    assert all(r["scratch"] is not None for r in beside.rows)
    assert {r["arm"] for r in beside.rows} == {"freeze:copy=2", "finetune"}
    # Two measurements are no curve.
    for run in records[0].runs:
        run.history = {k: v[-2:] for k, v in run.history.items()}
    assert speed(lambda r: True) is None


@pytest.mark.parametrize("recorded", [True, False])
def test_layer_study_recovers_what_was_put_in(recorded: bool) -> None:
    study = gather(make_layer_study(recorded=recorded))
    (found,) = layers.collect(study, layers.of_layers(study))
    assert (found.unit, len(found.base), found.targets, found.runs) == ("split", 5, 10, 240)
    effects = {(e.name, e.n): e for e in found.effects}
    assert effects["co-adaptation", 3].comparison.difference == pytest.approx(-0.03, abs=0.012)
    assert effects["co-adaptation", 3].shown
    assert not effects["co-adaptation", 1].shown
    assert effects["specificity", 6].comparison.difference == pytest.approx(-0.126, abs=0.02)
    assert effects["tuned transfer against the base", 0].comparison.difference == pytest.approx(
        0.012, abs=0.006
    )
    assert found.slopes["AnB"].difference == pytest.approx(-0.022, abs=0.004)
    assert found.budgets == (100_000, 75_000)


def test_layer_study_on_the_page(layer_study: list) -> None:
    document = compose(gather(layer_study), None, "")
    text = " ".join(
        b.text for s in document.sections if s.id == "discussion" for b in s.blocks if hasattr(b, "text")
    )
    assert "Co-adaptation is seen" in text
    assert "Specificity is seen" in text
    assert "more training than the base" in text
    assert document.answer.chart is not None
    assert document.answer.chart.id == "layers"
    # The whole study is told by one section, not once more as a size study.
    assert [s.id for s in document.sections] == ["layers", "networks", "discussion", "made"]


def test_few_splits_fall_back_to_targets_and_runs() -> None:
    study = gather(make_layer_study(2, 3, 100))
    (found,) = layers.collect(study, layers.of_layers(study))
    assert found.unit == "target"
    study = gather(make_layer_study(1, 3, 100))
    (found,) = layers.collect(study, layers.of_layers(study))
    assert found.unit == "run"


def test_another_head_is_another_layer_study() -> None:
    records = make_layer_study(3, 3, 100)
    results = next(r for r in records if isinstance(r, Results))
    twins = [dataclasses.replace(run, arm=f"{run.arm}, all", all_layers=1) for run in results.runs]
    study = gather([*records, dataclasses.replace(results, runs=twins)])
    found = layers.collect(study, layers.of_layers(study))
    assert [(one.variant, one.runs) for one in found] == [("", 72), ("head on all layers", 12)]


def test_a_figure_for_every_network_of_document_003() -> None:
    study = gather(make_strategies())
    assert [n.name for n in networks.networks(study)] == ["base", "scratch", "freeze", "freeze:copy=4"]
    part = networks.section(study)
    assert part is not None
    assert sum(isinstance(b, Chart) for b in part.blocks) == 4


def _told_of_the_base(measured: int, accuracy: Sequence[float] | None = None) -> str:
    """The discussion of a base whose test loss rises, measured so many times."""
    study = gather(make_strategies())
    history = study.checkpoints[0].history
    for quantity in history:
        history[quantity] = history[quantity][:measured]
    history["test_loss"] = np.linspace(0.5, 1.5, measured)
    if accuracy is not None:
        history["test_accuracy"] = np.asarray(accuracy)
    part = networks.section(study)
    assert part is not None
    return part.discussion[0].partition(" scratch: ")[0]


def test_overfitting_is_told_where_there_are_measurements_to_tell_it_from() -> None:
    told = _told_of_the_base(5)
    assert told.endswith("a sign of over-fitting, though its test accuracy has not fallen.")
    assert _told_of_the_base(5, [0.9, 0.8, 0.7, 0.7, 0.7]).endswith("a sign of over-fitting.")
    assert "test loss" not in _told_of_the_base(4)


def test_a_network_is_told_with_the_decimals_of_its_study() -> None:
    """Of 2,000 test images two decimals, of 141 one; and what its training accuracy is of."""
    assert "it gets 77.00\u00a0% of the images right, as it saw them then. It ends with" in _told_of_the_base(
        20
    )
    records = make_size_study((100,), 1, 141, (0.0,))
    part = networks.section(gather(records))
    assert part is not None
    assert re.search(r"test accuracy \d\d\.\d\u00a0%", part.discussion[0])
    assert "It ends with test accuracy 99.4\u00a0%." in part.discussion[0]


def test_curves_show_wide_bands_and_say_what_they_cut() -> None:
    study = gather(make_size_study((100,), 2, 500, (0.0,)))

    def caption() -> str:
        blocks = sizes.section(study, study.entries).blocks
        return next(b.caption for b in blocks if isinstance(b, Chart) and b.id == "curves")

    assert "The steep beginning is cut off below" in caption()
    for e in study.entries:
        few = np.array([0.70, 0.71, 0.72]) + 0.1 * e.run.run
        e.run.history = {"samples_seen": np.arange(1, 4) * 1000, "test_accuracy": few}
    assert "cut off" not in caption()
    low, high = size_figures.curve_limits(size_figures.mean_curves(study.entries))
    sd = 100 * np.std([0, 0.1], ddof=1)
    assert low < 75 - sd
    assert high > 77 + sd


def test_bias_and_variance_say_what_they_rest_on() -> None:
    study = gather(make_size_study((100, 200), 3, 500, (0.0,)))
    part = learning.section(study, study.entries)
    for row in _table(part, "bias-variance").rows:
        assert row["bias"] + row["variance"] == pytest.approx(row["error"])
    assert any("one training set per size" in t for t in part.limits)
    assert "exceeds 100 points everywhere, so it says nothing about why" in " ".join(part.discussion)


def test_of_one_arm_no_superlatives() -> None:
    study = gather(make_size_study((100,), 3, 500, (0.0,), arms=("finetune",)))
    results = sizes.section(study, study.entries)
    part = learning.section(study, study.entries)
    text = " ".join(results.discussion + part.discussion)
    assert "the gap between training and test accuracy is that of finetune (" in text
    assert results.answer is not None
    assert re.search(r"^At 100 training images, finetune gets .* right \(95 % interval", results.answer.text)
    assert not re.search("widest|narrowest|least", text)
    # One gap, with the same digits wherever it stands.
    (row,), (again,) = _table(results, "accuracy").rows, _table(part, "capacity").rows
    assert row["gap"] == again["gap"]
    assert f"({show(row['gap'], 'number', 1)}\u00a0points" in text


def test_parameters_and_gap_at_the_smallest_and_the_largest_size() -> None:
    """The fewer parameters go with the larger gap at the one and with the smaller gap at the other."""
    runs, targets = [], {}
    for size, frozen in ((100, 0.6), (1000, 0.8)):
        target = targets[f"t{size}"] = make_target(f"t{size}", size, 1000, ["a", "b"])
        for method, accuracy, trained in (("freeze", frozen, 1000), ("finetune", 0.7, 9000)):
            fitted = {"train_accuracy": 1.0 if size == 100 else 0.9}
            runs.append(make_run(target, method, method, 0, accuracy, trainable=trained, attributes=fitted))
    study = gather([Results(runs, targets)])
    small, large = learning.section(study, study.entries).discussion[0].split(" At 1,000 training images, ")
    assert "freeze trains 1,000 parameters (10.0 per image) with a gap of 40.00" in small
    assert small.endswith(
        "There fewer trained parameters do not go with a smaller gap. Both classify every training image "
        "right, so that the gap is the test error."
    )
    assert large.endswith("There fewer trained parameters go with a smaller gap.")
    for run in runs:
        run.trainable_parameters = 2570
    study = gather([Results(runs, targets)])
    text = learning.section(study, study.entries).discussion[0]
    assert "all networks train the same number of parameters (2,570, 25.7 per image)" in text


def _forgetful(target: Target, lost: dict[str, tuple[float, ...]]) -> list[Run]:
    """Runs that lose so much source accuracy, one per value."""
    return [
        make_run(
            target,
            method,
            method,
            r,
            0.8,
            samples=3000,
            attributes={"source_accuracy_before": 0.7, "source_accuracy_after": 0.7 - value},
        )
        for method, values in lost.items()
        for r, value in enumerate(values)
    ]


def test_forgetting() -> None:
    target = make_target("t", 100, 500, ["a", "b"])
    runs = _forgetful(target, {"scratch": (0.69,) * 3, "freeze": (-0.002,) * 3, "finetune": (0.3,) * 3})
    document = compose(gather([Results(runs, {"t": target})]), None, "")
    part = next(s for s in document.sections if s.id == "forgetting")
    assert {r["arm"]: round(r["lost"]) for r in _table(part, "forgetting").rows} == {
        "freeze": 0,
        "finetune": 30,
    }
    assert "finetune loses 30.0" in part.discussion[0]
    assert "freeze gains 0.2" in part.discussion[0]


def test_forgetting_is_told_task_by_task() -> None:
    """Two targets of one size are two questions; means and intervals are over the draws of each."""
    other = make_target("other", 100, 300, ["c", "d"], seed=1)
    draws = [make_target(f"t{i}", 100, 500, ["a", "b"]) for i in range(3)]
    runs = _forgetful(other, {"finetune": (0.1, 0.1)})
    for i, target in enumerate(draws):
        runs += _forgetful(target, {"finetune": (0.1 * i, 0.1 * i + 0.1)})
    document = compose(gather([Results(runs, {t.name: t for t in (other, *draws)})]), None, "")
    parts = [s for s in document.sections if s.id.startswith("forgetting")]
    assert [p.title for p in parts] == [f"Forgetting of the source task: {n}" for n in ("c and d", "a and b")]
    (row,) = _table(parts[1], "forgetting-2").rows
    assert row["lost"] == pytest.approx(15)
    assert row["interval"] == pytest.approx((15 - 24.84, 15 + 24.84), abs=0.01)  # t(2) = 4.303, sd 10, n = 3


def test_pictures_are_those_that_differ() -> None:
    records = make_size_study((100,), 3, 400, (0.0,))
    target = records[0].targets["mnist-6-9-100"]
    part = Part(np.zeros((400, 4, 4, 1), np.uint8), target.test_labels, target.test_source_index)
    dataset = Dataset({"train": part, "test": part}, target.class_names, np.arange(4))
    study = gather([*records, dataset])
    found = pictures.section(study, study.entries)
    assert found is not None
    by_arm = {
        a: np.mean([e.correct for e in study.entries if e.arm == a], axis=0) for a in ("finetune", "scratch")
    }
    better = int(((by_arm["finetune"] > 0.5) & (by_arm["scratch"] < 0.5)).sum())
    assert f"finetune is right and scratch wrong on {better} of 400" in found.discussion[0]
    # Another set of test images is not mistaken for it.
    other = Part(part.images, part.labels, part.source_index + 1)
    study = gather([*records, Dataset({"train": other, "test": other}, target.class_names, np.arange(4))])
    assert pictures.section(study, study.entries) is None


def test_map_repeats_and_keeps_classes_apart() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    points = (rng.normal(size=(120, 16)) + 8 * np.eye(16)[labels]).astype(np.float32)
    part = EmbeddingPart(points, labels, np.arange(120))
    embeddings = Embeddings({"test": part}, "dense", ["a", "b", "c"], np.arange(3), provenance("e.h5", ""))
    sampled, _ = maps.sample(embeddings)
    flat, share = maps.principal(sampled)
    assert flat.shape == (120, 2)
    assert share > 0.5
    assert np.array_equal(maps.t_sne(sampled), maps.t_sne(sampled))  # type: ignore[arg-type]
    assert "100.0\u00a0%" in maps.section(gather([embeddings])).discussion[0].replace(" %", "\u00a0%")  # type: ignore[union-attr]


def test_arms_of_one_method_are_told_apart_without_lines() -> None:
    """As in a figure of differences, which has markers alone."""
    parts = [("anchored", f"anchored(part={n})") for n in range(7)]
    assert len({(look.colour, look.marker) for look in style.looks(parts).values()}) == 7
    beside = style.looks([*parts, ("freeze", "freeze")])
    assert len({(look.colour, look.marker) for look in beside.values()}) == 8
    assert {beside[arm].colour for _, arm in parts[3:6]} == {beside[arm].colour for _, arm in parts[:3]}


def test_boxes_cut_no_run() -> None:
    """Runs at the quartile that is the edge of a box do not lie on the edge of the panel."""
    target = make_target("t", 100, 500, ["a", "b"])
    runs = [make_run(target, "lwf", "lwf", r, a) for r, a in enumerate((0.6, 0.6, 0.6, 0.8))]
    study = gather([Results(runs, {"t": target})])
    with drawing.drawing_style():
        (ax,) = size_figures.boxes(study.entries, study.looks, 2).axes
        low, high = ax.get_xlim()
    assert low < 59.5
    assert high > 80.5
