"""The worth of transfer in data: the images that training from scratch needs for the accuracy of an arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tlcli.analysis.statistics import draws_of_mean
from tlcli.report.study.grid import Cell

DRAWS = 4000
FEWEST = 2
"""The fewest sizes of the reference for a curve."""


@dataclass(frozen=True)
class Worth:
    """Training images of the reference with the same accuracy, or a bound beyond the measured sizes."""

    images: float
    low: float
    high: float
    smallest: int
    largest: int
    """The smallest and largest measured size of the reference; beyond them the worth is infinite."""


def worth(cell: Cell, reference: str) -> Worth | None:
    """The worth of a cell in images of the reference; None if that has no curve over sizes.

    The curve is the running maximum of the reference's means, linear in the logarithm of the number of
    images. The interval holds the middle 95 % of the worth over draws of all means from their t
    distributions.
    """
    curve = cell.task.at(variant=cell.variant, arm=reference)
    if len(curve) < FEWEST or any(c.accuracy.n < 3 for c in (cell, *curve)):
        return None
    rng = np.random.default_rng(0)
    sizes = np.log([c.size for c in curve])
    levels = np.maximum.accumulate(np.stack([draws_of_mean(c.accuracy, DRAWS, rng) for c in curve]), axis=0)
    drawn = [
        _where(x, sizes, y) for x, y in zip(draws_of_mean(cell.accuracy, DRAWS, rng), levels.T, strict=True)
    ]
    images = _where(cell.mean, sizes, np.maximum.accumulate([c.mean for c in curve]))
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return Worth(images, float(low), float(high), curve[0].size, curve[-1].size)


def _where(level: float, sizes: np.ndarray, means: np.ndarray) -> float:
    """The size at which rising means reach a level; minus or plus infinity outside of them."""
    if level < means[0]:
        return -np.inf
    if level > means[-1]:
        return np.inf
    i = int(np.searchsorted(means, level))
    if i == 0 or means[i] == means[i - 1]:
        return float(np.exp(sizes[i]))
    share = (level - means[i - 1]) / (means[i] - means[i - 1])
    return float(np.exp(sizes[i - 1] + share * (sizes[i] - sizes[i - 1])))
