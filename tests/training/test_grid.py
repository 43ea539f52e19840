"""The grid: what each arm copies, freezes and changes; pairing, resuming, forgetting."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

from tlcli import data, store
from tlcli.errors import Interrupted, TlcliError, UsageError
from tlcli.store.records import Checkpoint, Dataset, Part
from tlcli.store.results import run_row
from tlcli.store.tables import columns
from tlcli.training import Recipe, embed, transfer
from tlcli.training.arms import parse_arms
from tlcli.training.compatible import relation
from tlcli.training.methods import METHODS
from tlcli.training.order import SampleOrder
from tlcli.training.solved import Problem, ridge

GROUPS = [("conv1",), ("conv2",), ("dense1",), ("head",)]
SHORT = Recipe(samples=300, eval_every=100, batch_size=50)


def saved(tmp_path, arm: str) -> Checkpoint:
    (path,) = [p for p in tmp_path.iterdir() if arm in p.name]
    return store.read(path, Checkpoint)


def test_arms_from_specifications():
    (arm,) = parse_arms(["freeze"], GROUPS)
    assert (arm.label, arm.copy, arm.freeze) == ("freeze", 3, 3)
    labels = [a.label for a in parse_arms(["freeze", "finetune"], GROUPS, copy="1-3")]
    assert labels == [
        "freeze:copy=1",
        "freeze:copy=2",
        "freeze:copy=3",
        "finetune:copy=1",
        "finetune:copy=2",
        "finetune:copy=3",
    ]
    (arm,) = parse_arms(["freeze:freeze=2"], GROUPS)
    assert (arm.label, arm.copy, arm.freeze) == ("freeze:freeze=2", 3, 2)
    wrong_specs = [
        [],
        ["freez"],
        ["freeze:copy=1,freeze=2"],
        ["scratch:copy=1"],
        ["l2-sp:gamma=1"],
        ["l2-sp:alpha=x"],
        ["freeze", "freeze"],
        ["finetune:freeze=1"],
        ["freeze:copy"],
        ["freeze:copy=9"],
    ]
    for wrong in wrong_specs:
        with pytest.raises(UsageError):
            parse_arms(wrong, GROUPS)


def columns_of(run):
    """The values of a run in the table of a results file."""
    row = run_row(run)
    return {name: row[name] for name in columns("runs")}


def test_what_each_arm_copies_and_changes(base, target_set, tmp_path):
    arms = ["scratch", "freeze:copy=2", "freeze", "finetune"]
    results = transfer(base, [target_set], arms, recipe=SHORT, save_dir=tmp_path)
    frozen = saved(tmp_path, "--freeze--")
    for layer in ("conv1", "conv2", "dense1"):
        assert np.array_equal(frozen.weights[f"{layer}/kernel"], base.weights[f"{layer}/kernel"])
    part = saved(tmp_path, "freeze-copy=2")
    assert np.array_equal(part.weights["conv2/kernel"], base.weights["conv2/kernel"])
    tuned, scratch = saved(tmp_path, "finetune"), saved(tmp_path, "scratch")
    for layer in ("conv1", "conv2", "dense1"):
        moved = np.abs(tuned.weights[f"{layer}/kernel"] - base.weights[f"{layer}/kernel"]).max()
        apart = np.abs(scratch.weights[f"{layer}/kernel"] - base.weights[f"{layer}/kernel"]).max()
        assert 0 < moved < 0.05 < 0.1 < apart
    head = 128 * 4 + 4
    assert [r.trainable_parameters for r in results.runs] == [26596, 26596 - 320 - 9248, head, 26596]
    assert {r.parameters for r in results.runs} == {26596}


def test_frozen_layers_kept_as_features_give_the_weights_of_plain_training(base, target_set, tmp_path):
    """The stored activations change the speed, not the result."""
    import keras

    from tlcli.models import network as net
    from tlcli.training.order import SampleOrder

    transfer(base, [target_set], ["freeze:copy=2"], recipe=SHORT, save_dir=tmp_path, seed=4)
    ours = saved(tmp_path, "freeze")
    network = net.build("cnn2", target_set.image_shape, 4)
    model, start = network.model, net.initial_weights(network, 4, "run")
    copied = {k: v for k, v in base.weights.items() if k.startswith("conv")}
    net.assign(model, {**start, **copied})
    for name in ("conv1", "conv2"):
        model.get_layer(name).trainable = False
    model.compile(keras.optimizers.Adam(0.001), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = ((np.asarray(target_set.train.images) / 255.0 - base.mean) / base.std).astype("float32")
    for batch in SampleOrder(len(x), 4).take(0, 300).reshape(6, 50):
        model.train_on_batch(x[batch], target_set.train.labels[batch])
    for key, value in net.weights(model).items():
        np.testing.assert_allclose(ours.weights[key], value, atol=1e-4, err_msg=key)


def test_runs_pair_and_repeat(base, target_set):
    def accuracy(**how):
        return transfer(base, [target_set], ["scratch", "finetune"], recipe=SHORT, **how).runs

    first = accuracy(runs=2)
    again = accuracy(runs=2)
    assert [r.seed for r in first] == [0, 1, 0, 1]
    assert [r.arm for r in first] == ["scratch", "scratch", "finetune", "finetune"]
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.predictions, b.predictions)
        assert all(np.array_equal(a.history[k], b.history[k]) for k in a.history)
    assert not np.array_equal(first[0].history["train_loss"], first[1].history["train_loss"])
    alone = accuracy(seed=1)[0]
    assert np.array_equal(alone.history["test_loss"], first[1].history["test_loss"])


def test_an_interrupted_grid_goes_on_and_ends_the_same(base, target_set, tmp_path):
    how = {"recipe": SHORT, "runs": 2, "state_dir": tmp_path / "state"}
    whole = transfer(base, [target_set], ["scratch", "freeze"], recipe=SHORT, runs=2)
    interruptions = 0

    def finished() -> int:
        return len(list((tmp_path / "state").glob("*.h5")))

    while True:
        before = finished()

        def stop(before: int = before) -> bool:
            return finished() > before

        try:
            resumed = transfer(base, [target_set], ["scratch", "freeze"], resume=True, stop=stop, **how)
            break
        except Interrupted:
            interruptions += 1
            assert interruptions < 20
    assert interruptions >= 1
    for a, b in zip(whole.runs, resumed.runs, strict=True):
        assert a.key == b.key
        assert np.array_equal(a.predictions, b.predictions)
        assert columns_of(a) == columns_of(b)
        assert all(np.array_equal(a.history[k], b.history[k]) for k in a.history)
    with pytest.raises(TlcliError, match="samples was 300, now 100"):
        transfer(base, [target_set], ["scratch"], resume=True, **{**how, "recipe": Recipe(samples=100)})


def test_every_method_runs_and_measures_forgetting(base, source_set, target_set):
    how = {"recipe": SHORT, "source": source_set, "refit_source": True, "record_seconds": True}
    results = transfer(base, [target_set], list(METHODS), **how)
    by_arm = {run.arm: run for run in results.runs}
    assert set(by_arm) == set(METHODS)
    before = {run.source_accuracy_before for run in results.runs}
    assert before == {base.history["test_accuracy"][-1]}
    assert by_arm["freeze"].source_accuracy_after == before.pop()
    assert by_arm["scratch"].source_accuracy_after < 0.6

    parts = embed(base, source_set).parts
    head = ridge(Problem(parts["train"].embeddings[None], source_set.train.labels, 6, seed=0))
    answers = (parts["test"].embeddings @ head.kernel + head.bias).argmax(axis=1)
    refitted = {run.source_refitted_before for run in results.runs}
    assert refitted == {(answers == source_set.test.labels).mean()}
    assert by_arm["freeze"].source_refitted_after == refitted.pop()
    assert by_arm["scratch"].source_refitted_after > by_arm["scratch"].source_accuracy_after + 0.2
    for run in results.runs:
        right = (run.predictions == target_set.test.labels).mean()
        assert right == run.test_accuracy
        assert run.seconds > 0


def test_the_pull_of_l2_sp_keeps_the_weights_near_the_base(base, target_set, tmp_path):
    transfer(base, [target_set], ["l2-sp:alpha=10", "finetune"], recipe=SHORT, save_dir=tmp_path)

    def distance(checkpoint: Checkpoint) -> float:
        return float(np.square(checkpoint.weights["conv2/kernel"] - base.weights["conv2/kernel"]).sum())

    assert distance(saved(tmp_path, "l2-sp")) < 0.5 * distance(saved(tmp_path, "finetune"))


def test_replay_remembers_more_than_tuning(base, source_set, target_set):
    recipe = Recipe(learning_rate=0.005, samples=3000, eval_every=3000, batch_size=50)
    runs = transfer(base, [target_set], ["finetune", "replay", "lwf"], recipe=recipe, source=source_set).runs
    after = {run.arm: run.source_accuracy_after for run in runs}
    assert after["replay"] > after["finetune"]


def test_frozen_batch_normalization_keeps_its_statistics_and_moving_does_not(source_set, tmp_path):
    from tlcli.training import train_base

    big = dataclasses.replace(source_set)
    small = Recipe(samples=200, eval_every=200, batch_size=50)
    base = train_base(big, "cnn6-bn", recipe=small)
    for statistics, same in (("frozen", True), ("moving", False)):
        folder = tmp_path / statistics
        transfer(
            base, [source_set], ["freeze:copy=3"], recipe=small, save_dir=folder, bn_statistics=statistics
        )
        kept = saved(folder, "freeze")
        assert (
            np.array_equal(kept.weights["conv2_bn/moving_mean"], base.weights["conv2_bn/moving_mean"]) is same
        )
        for variable in ("conv2/kernel", "conv2_bn/gamma", "conv2_bn/beta"):
            assert np.array_equal(kept.weights[variable], base.weights[variable]), variable
        assert not np.array_equal(kept.weights["conv4_bn/moving_mean"], base.weights["conv4_bn/moving_mean"])

    arms = ["finetune:copy=3,statistics=1", "finetune:statistics=1"]
    transfer(base, [source_set], arms, recipe=small, save_dir=tmp_path / "tuned")
    below, whole = (saved(tmp_path / "tuned", label) for label in ("copy", "--finetune-statistics"))
    for variable in ("moving_mean", "moving_variance", "gamma", "beta"):
        for layer, arm, same in (("conv2", below, True), ("conv4", below, False), ("conv4", whole, True)):
            key = f"{layer}_bn/{variable}"
            assert np.array_equal(arm.weights[key], base.weights[key]) is same, (key, same)
    assert not np.array_equal(below.weights["conv2/kernel"], base.weights["conv2/kernel"])


def test_lp_ft_first_trains_the_head_alone(base, target_set, tmp_path):
    recipe = dataclasses.replace(SHORT, learning_rate=1e-12)
    transfer(base, [target_set], ["lp-ft"], recipe=recipe, save_dir=tmp_path)
    history = saved(tmp_path, "lp-ft").history
    assert list(history["samples_seen"]) == [100, 150, 250, 300]


def test_lp_ft_can_start_from_the_solved_head(base, target_set):
    """Then all samples are left for the tuning."""
    still = dataclasses.replace(SHORT, learning_rate=1e-12)
    solved, tuned = transfer(base, [target_set], ["logistic", "lp-ft:probe=0"], recipe=still).runs
    assert np.array_equal(solved.predictions, tuned.predictions)
    n = len(target_set.train)
    assert list(tuned.history["samples_seen"]) == [n, n + 100, n + 200, n + 300]


def test_own_and_other_targets_are_told_apart(base, source_set, target_set):
    recipe = Recipe(samples=100, batch_size=50)
    few = np.arange(0, len(source_set.train), 3)
    part = Part(
        source_set.train.images[few], source_set.train.labels[few], source_set.train.source_index[few]
    )
    own = dataclasses.replace(source_set, parts={"train": part, "test": source_set.test})
    own.provenance = dataclasses.replace(own.provenance, name="few.h5", content_sha256="0" * 64)
    runs = transfer(base, [source_set, own, target_set], ["finetune"], recipe=recipe).runs
    assert [run.relation for run in runs] == ["own", "own", "other"]
    part.source_index[0] = 10_000  # an image that the base has not seen
    assert relation(base, own) == "other"


def test_images_of_another_size_are_refused(base, folder):
    source = data.load_source("digits")
    dataset = data.split(source, range(6, 10))
    for part in dataset.parts.values():
        part.images = np.pad(np.asarray(part.images), ((0, 0), (1, 1), (1, 1), (0, 0)))
    with pytest.raises(TlcliError, match=r"10x10x1.*8x8x1"):
        transfer(base, [dataset], ["freeze"])


def test_replay_needs_the_source_and_the_right_one(base, target_set):
    with pytest.raises(UsageError, match="`source`"):
        transfer(base, [target_set], ["replay"])
    with pytest.raises(TlcliError, match="not those that the base was trained on"):
        transfer(base, [target_set], ["finetune"], source=target_set)


def test_a_dataset_is_not_needed_as_a_file():
    """The Python API works on what `split` returns, without writing it."""
    from tlcli.training import train_base

    source = data.load_source("digits")
    made: Dataset = data.split(source, range(6))
    base = train_base(made, "cnn2", recipe=Recipe(samples=200))
    run = transfer(
        base, [data.split(source, range(6, 10), size=40)], ["freeze"], recipe=Recipe(samples=80)
    ).runs[0]
    assert run.dataset == "digits-n40"


def test_early_stopping_of_one_phase_does_not_end_the_next(base, target_set):
    recipe = Recipe(learning_rate=0.01, samples=6000, eval_every=60, batch_size=20, early_stopping=2)
    (run,) = transfer(base, [target_set], ["lp-ft"], recipe=recipe).runs
    steps = np.diff(run.history["samples_seen"])
    assert len(run.history["samples_seen"]) < 100
    losses = run.history["validation_loss"]
    assert len(losses) >= 6, "both phases measure at least best + patience"
    assert (steps[:-1] > 0).all()
    assert run.test_accuracy == (run.predictions == target_set.test.labels).mean()


def test_runs_at_once_give_what_runs_one_by_one_give(base, target_set, source_set):
    how = {"recipe": SHORT, "runs": 2, "source": source_set}
    methods = ["scratch", "freeze:copy=1", "lwf"]
    seen = []
    alone = transfer(base, [source_set, target_set], methods, **how)
    together = transfer(base, [source_set, target_set], methods, at_once=3, progress=seen.append, **how)
    for a, b in zip(alone.runs, together.runs, strict=True):
        assert a.key == b.key
        assert np.array_equal(a.predictions, b.predictions)
        assert columns_of(a) == columns_of(b)
        assert all(np.array_equal(a.history[k], b.history[k]) for k in a.history)
    assert seen[-1].done == seen[-1].total


def test_arms_see_the_same_images_also_behind_a_solved_head(base, target_set, monkeypatch):
    from tlcli.training import plan

    seeds = []

    class Recorded(SampleOrder):
        def __init__(self, size, seed, purpose="order"):
            super().__init__(size, seed, purpose)
            seeds.append(seed)

    monkeypatch.setattr(plan, "SampleOrder", Recorded)
    transfer(base, [target_set], ["finetune", "lp-ft:probe=0", "anchored"], recipe=SHORT, seed=4)
    assert set(seeds) == {4}
    transfer(base, [target_set], ["lp-ft"], recipe=SHORT, seed=4)
    assert len(set(seeds)) == 2, "two phases that train do not repeat each other"


def test_statistics_cannot_both_move_and_stay(base, target_set):
    with pytest.raises(UsageError, match="`bn_statistics`"):
        transfer(base, [target_set], ["anchored"], recipe=SHORT, bn_statistics="moving")


def test_distillation_does_not_meet_mixed_images(base, target_set):
    with pytest.raises(UsageError, match="mixup mixes two"):
        transfer(base, [target_set], ["lwf"], recipe=dataclasses.replace(SHORT, augment=("mixup",)))


def test_a_target_of_one_class_is_refused(base):
    one = data.split(data.load_source("digits"), [3])
    with pytest.raises(TlcliError, match="has one class"):
        transfer(base, [one], ["ridge"], recipe=SHORT)
    from tlcli.training import train_base

    with pytest.raises(TlcliError, match="has one class"):
        train_base(one, "cnn2", recipe=SHORT)


def test_a_run_that_fails_ends_those_beside_it(base, target_set):
    recipe = Recipe(samples=100_000, learning_rate=1000.0, optimizer="sgd")
    with pytest.raises(TlcliError, match="diverged"):
        transfer(base, [target_set], ["scratch", "finetune"], recipe=recipe, runs=4, at_once=2)
    assert threading.active_count() == 1


def test_whitening_filters_come_from_the_images_that_train_them(source_set, target_set, padded, tmp_path):
    """A network from scratch whitens by its own images, one that copies the layer by the base's."""
    from tlcli.models import network as net
    from tlcli.training import train_base

    source, target = padded(source_set), padded(target_set)
    small = Recipe(samples=40, batch_size=20)
    base = train_base(source, "whitened-cnn", options={"filters": "4-4-4"}, recipe=small)
    transfer(base, [target], ["scratch", "finetune", "freeze:copy=1"], recipe=small, save_dir=tmp_path)
    model = net.build("whitened-cnn", source.image_shape, 4, {"filters": "4-4-4"}).model

    def made_from(dataset: Dataset) -> np.ndarray:
        return net.adapt_weights(model, dataset.train.images, base.mean, base.std)["whiten/kernel"]

    assert np.array_equal(base.weights["whiten/kernel"], made_from(source))
    assert np.array_equal(saved(tmp_path, "scratch").weights["whiten/kernel"], made_from(target))
    assert np.array_equal(saved(tmp_path, "finetune").weights["whiten/kernel"], made_from(source))
    frozen = saved(tmp_path, "freeze").weights
    assert np.array_equal(frozen["whiten/kernel"], base.weights["whiten/kernel"])
