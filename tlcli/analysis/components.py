"""Take apart the spread of an accuracy: between bases, between draws of the training set, between seeds."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from tlcli.analysis.statistics import crossed_error, t_quantile


@dataclass(frozen=True)
class Components:
    """A mean, its interval for another base, draw and seed, and the standard deviations behind it."""

    mean: float
    low: float
    high: float
    bases: float
    """The standard deviation between bases, whatever the draw."""
    draws: float
    """Between draws of the training set, whatever the base."""
    seeds: float | None
    """Between trainings of one base on one draw; None where each was trained once."""


def components(values: np.ndarray, *, level: float = 0.95) -> Components:
    """Take apart the spread of `values` (bases x draws x seeds, two or more of the first two).

    Bases and draws are crossed random effects, seeds are nested in each pair: the method of moments on the
    mean squares of the analysis of variance (Searle, Casella & McCulloch 1992); a component that comes out
    negative is zero. The interval is that of `crossed_error` on the means over the seeds.
    """
    values = np.asarray(values, np.float64)
    bases, draws, seeds = values.shape
    cells = values.mean(axis=2)
    error, df = crossed_error(cells)
    mean, half = float(cells.mean()), t_quantile(level, df) * error
    by_base, by_draw = cells.mean(axis=1), cells.mean(axis=0)
    rest = cells - by_base[:, None] - by_draw[None] + mean
    rest_square = float((rest**2).sum()) / ((bases - 1) * (draws - 1))
    return Components(
        mean,
        mean - half,
        mean + half,
        sqrt(max(0.0, float(by_base.var(ddof=1)) - rest_square / draws)),
        sqrt(max(0.0, float(by_draw.var(ddof=1)) - rest_square / bases)),
        sqrt(float(values.var(axis=2, ddof=1).mean())) if seeds > 1 else None,
    )
