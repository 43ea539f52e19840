"""Activations of frozen layers: kept, shared and computed from one another without changing a result."""

from __future__ import annotations

import numpy as np
import pytest

from tlcli.training import Recipe, arm_trainer, train_base, transfer
from tlcli.training.features import FrozenLayers

SHORT = Recipe(samples=100, batch_size=50)


@pytest.fixture
def starts(monkeypatch):
    """From where the activations of each cut were computed."""
    seen = []
    compute = FrozenLayers.outputs

    def outputs(self, x, behind=None):
        seen.append((self.cut, behind))
        return compute(self, x, behind)

    monkeypatch.setattr(FrozenLayers, "outputs", outputs)
    return seen


def test_a_deeper_cut_starts_from_a_shallower_one_and_gives_the_same_bits(base, target_set, starts):
    sweep = transfer(base, [target_set], ["freeze:copy=1-3"], recipe=SHORT).runs
    parts = len(target_set.parts)
    (first, second, third) = dict.fromkeys(cut for cut, _ in starts)
    assert starts == [(first, None)] * parts + [(second, first)] * parts + [(third, second)] * parts
    for number, run in enumerate(sweep, 1):
        (alone,) = transfer(base, [target_set], [f"freeze:copy={number}"], recipe=SHORT).runs
        assert np.array_equal(run.predictions, alone.predictions)
        for name, values in run.history.items():
            assert np.array_equal(values, alone.history[name]), (number, name)


@pytest.mark.parametrize("how", [{}, {"bn_statistics": "moving"}])
def test_what_is_frozen_drops_nothing_whether_or_not_it_is_kept(source_set, target_set, monkeypatch, how):
    dropping = train_base(source_set, "cnn2", options={"dropout": 0.5}, recipe=Recipe(samples=200))
    (kept,) = transfer(dropping, [target_set], ["freeze"], recipe=SHORT, **how).runs
    monkeypatch.setattr(arm_trainer, "FEATURE_BYTES", 0)
    (anew,) = transfer(dropping, [target_set], ["freeze"], recipe=SHORT, **how).runs
    for name, values in kept.history.items():
        assert values == pytest.approx(anew.history[name], abs=1e-5), name


def test_two_at_once_share_what_is_computed(base, target_set, starts):
    """And end where one after the other ends, whoever computed what."""
    arms = ["freeze:copy=1-3", "finetune:copy=1-3", "lp-ft"]
    apart = transfer(base, [target_set], arms, recipe=SHORT).runs
    starts.clear()
    together = transfer(base, [target_set], arms, recipe=SHORT, at_once=2).runs
    cuts = [cut for cut, _ in starts]
    assert cuts.count(cuts[0]) == len(target_set.parts)
    for one, other in zip(apart, together, strict=True):
        assert one.key == other.key
        assert np.array_equal(one.history["test_loss"], other.history["test_loss"])
