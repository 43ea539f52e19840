"""The spread of accuracies taken apart: against numbers that are known, and intervals that must cover."""

from __future__ import annotations

import numpy as np

from tlcli.analysis.components import components


def test_what_bases_draws_and_seeds_add_is_told_apart():
    bases, draws = np.array([0.7, 0.72, 0.77]), np.array([-0.02, 0.0, 0.01, 0.05])
    seeds = np.array([-0.003, 0.003])
    found = components(bases[:, None, None] + draws[None, :, None] + seeds)
    assert np.isclose(found.mean, bases.mean() + draws.mean())
    assert np.isclose(found.bases, bases.std(ddof=1))
    assert np.isclose(found.draws, draws.std(ddof=1))
    assert np.isclose(found.seeds, seeds.std(ddof=1))
    assert components((bases[:, None] + draws)[..., None]).seeds is None


def test_the_interval_covers_the_mean_of_other_bases_draws_and_seeds():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        made = 0.02 * rng.normal(size=(4, 1, 1)) + 0.02 * rng.normal(size=(1, 5, 1))
        found = components(made + 0.01 * rng.normal(size=(4, 5, 2)))
        covered += found.low < 0 < found.high
    assert 0.92 < covered / 500 < 0.99
