"""Moving statistics of batch normalization, in trainings of few steps."""

from __future__ import annotations

import numpy as np
import pytest

from tlcli.training import Recipe, train_base, transfer

RECIPE = Recipe(samples=1000, batch_size=20)
STEPS = 50


def test_a_training_too_short_for_its_statistics_is_warned_of(source_set, target_set):
    """The momentum changes no weight, only what the tests see of them."""
    heard: list[str] = []
    how = {"recipe": RECIPE, "warn": heard.append}
    slow = train_base(source_set, "cnn6-bn", options={"filters": "8-8-8"}, **how)
    assert len(heard) == 1
    assert f"{100 * 0.99**STEPS:.0f} %" in heard[0]
    quick = train_base(source_set, "cnn6-bn", options={"filters": "8-8-8", "bn_momentum": 0.8}, **how)
    assert len(heard) == 1
    assert np.array_equal(slow.weights["conv6/kernel"], quick.weights["conv6/kernel"])
    assert quick.history["test_accuracy"][-1] > slow.history["test_accuracy"][-1] + 0.1

    transfer(slow, [target_set], ["finetune", "ridge"], **how)
    assert len(heard) == 1, "these start from the statistics of the base"
    with pytest.warns(UserWarning, match="finetune:copy=2: "):
        transfer(slow, [target_set], ["finetune:copy=2", "scratch"], recipe=RECIPE)
