"""Logits averaged over an image and its mirror image, against plain Keras on the two."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tlcli import store
from tlcli.store.records import Checkpoint
from tlcli.training import Recipe, train_base, transfer
from tlcli.training.embedding import rebuild

PLAIN = Recipe(samples=300, eval_every=150, batch_size=50)
MIRRORED = dataclasses.replace(PLAIN, mirrored=True)


def mean_logits(network: Checkpoint, images) -> np.ndarray:
    model = rebuild(network).model
    x = ((np.asarray(images[:]) / 255.0 - network.mean) / network.std).astype("float32")
    return (np.asarray(model(x)) + np.asarray(model(x[:, :, ::-1]))) / 2


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    z = logits.astype(float)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels]).mean())


def test_a_base_is_trained_alike_and_answers_with_both_sides(target_set):
    plain, mirrored = (train_base(target_set, "cnn2", recipe=r, seed=1) for r in (PLAIN, MIRRORED))
    for name, weights in plain.weights.items():
        assert np.array_equal(mirrored.weights[name], weights)
    assert mirrored.recipe == {**plain.recipe, "mirrored": True}
    for part in ("test", "validation"):
        expected = mean_logits(plain, target_set.parts[part].images)
        loss = cross_entropy(expected, target_set.parts[part].labels)
        assert mirrored.history[f"{part}_loss"][-1] == pytest.approx(loss, abs=1e-5)
        assert plain.history[f"{part}_loss"][-1] != pytest.approx(loss, abs=1e-3)
    expected = mean_logits(plain, target_set.test.images).argmax(axis=1)
    assert np.array_equal(mirrored.test_predictions, expected)


def test_every_kind_of_arm_answers_with_both_sides(base, source_set, target_set, tmp_path):
    """Whether its images are augmented, what its frozen layers make of them is kept, or it is solved for."""
    arms = ["finetune", "freeze", "freeze:head_units=8", "freeze:copy=2,freeze=1", "ridge", "anchored"]
    how = {"source": source_set, "seed": 3}
    plain = transfer(base, [target_set], arms, recipe=PLAIN, **how)
    found = transfer(base, [target_set], arms, recipe=MIRRORED, save_dir=tmp_path, **how)
    assert found.recipe["mirrored"]
    assert not plain.recipe["mirrored"]
    kept = {n.recipe["method"]: n for n in (store.read(path, Checkpoint) for path in tmp_path.iterdir())}
    for run, other in zip(found.runs, plain.runs, strict=True):
        expected = mean_logits(kept[run.arm], target_set.test.images)
        assert np.array_equal(run.predictions, expected.argmax(axis=1)), run.arm
        loss = cross_entropy(expected, target_set.test.labels)
        assert run.history["test_loss"][-1] == pytest.approx(loss, abs=1e-4), run.arm
        assert other.history["test_loss"][-1] != pytest.approx(loss, abs=1e-3), run.arm
        assert run.history["train_loss"][-1] == pytest.approx(other.history["train_loss"][-1], rel=0.2)
        before = run.source_accuracy_before
        assert before == other.source_accuracy_before
