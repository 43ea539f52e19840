"""Alternatives (a|b) of an arm are chosen on held-out training images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tlcli import data, store
from tlcli.errors import TlcliError, UsageError
from tlcli.store import stored_images
from tlcli.store.records import Checkpoint
from tlcli.training import Recipe, transfer
from tlcli.training.arms import parse_arms
from tlcli.training.selection import split_held_out

GROUPS = [("conv1",), ("conv2",), ("dense1",), ("head",)]


def without_validation(dataset):
    parts = {name: part for name, part in dataset.parts.items() if name != "validation"}
    return dataclasses.replace(dataset, parts=parts)


def test_alternatives_are_chosen_on_held_out_training_images(base, target_set, tmp_path, monkeypatch):
    (arm,) = parse_arms(["finetune:rate=0.001|1,copy=2"], GROUPS)
    assert arm.label == "finetune:copy=2,rate=0.001|1"
    assert [a.label for a in arm.choices] == ["finetune:copy=2,rate=0.001", "finetune:copy=2"]
    assert [a.phases[0].rate for a in arm.choices] == [0.001, 1.0]
    with pytest.raises(UsageError, match="too many"):
        parse_arms(["lp-ft:probe=" + "|".join(f"0.{n:03}" for n in range(1, 102))], GROUPS)

    small = without_validation(target_set)
    folds, _ = split_held_out(small, 3)
    assert len(folds) == 5
    tested = np.concatenate([fold.test.source_index for fold in folds])
    assert sorted(tested) == sorted(small.train.source_index)
    assert not any(set(f.test.source_index) & set(f.train.source_index) for f in folds)
    (fold,), what = split_held_out(target_set, 3)
    assert (len(fold.train), what) == (len(target_set.train), "the validation part")
    assert np.array_equal(fold.test.labels, target_set.parts["validation"].labels)

    monkeypatch.setattr(stored_images, "IN_MEMORY", 0)
    store.write(tmp_path / "small.h5", small)
    kept_in_file, _ = split_held_out(store.read(tmp_path / "small.h5", store.Dataset), 3)
    for fold, same in zip(kept_in_file, folds, strict=True):
        assert isinstance(fold.train.images, stored_images.StoredImages)
        assert np.array_equal(fold.train.images, same.train.images)
        assert np.array_equal(fold.test.images, same.test.images)

    hopeless = Recipe(samples=600, eval_every=300, batch_size=20)
    (run,) = transfer(
        base, [small], ["finetune:rate=0.00001|1"], recipe=hopeless, save_dir=tmp_path / "kept"
    ).runs
    (direct,) = transfer(base, [small], ["finetune"], recipe=hopeless).runs
    assert (run.selected, run.selected_on) == ("finetune", "5 folds of the training part")
    tried = run.candidates
    assert tried["finetune"]["accuracy"] > tried["finetune:rate=1e-05"]["accuracy"]
    assert np.array_equal(run.predictions, direct.predictions)
    (kept,) = (tmp_path / "kept").iterdir()
    recipe = store.read(kept, Checkpoint).recipe
    assert (recipe["method"], recipe["bn_statistics"]) == ("finetune", "frozen")


def test_one_image_a_class_cannot_be_held_out(base):
    tiny = data.split(data.load_source("digits"), range(6, 10), size=4)
    with pytest.raises(TlcliError, match="only one image"):
        transfer(base, [tiny], ["finetune:rate=0.1|1"], recipe=Recipe(samples=300, batch_size=50))
    (run,) = transfer(base, [tiny], ["ridge"]).runs
    assert run.chosen["ridge"]["on"] == ""
