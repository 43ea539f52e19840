"""The worth of transfer in data: the images that training from scratch needs for the accuracy of an arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tlcli.analysis.statistics import draws_of_mean

if TYPE_CHECKING:
    from tlcli.report.study.cell import Cell

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
    sizes = np.array([c.size for c in curve])
    levels = np.stack([draws_of_mean(c.accuracy, DRAWS, rng) for c in curve], axis=1)
    drawn = _where(draws_of_mean(cell.accuracy, DRAWS, rng), sizes, levels)
    (images,) = _where(np.array([cell.mean]), sizes, np.array([[c.mean for c in curve]]))
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return Worth(float(images), float(low), float(high), curve[0].size, curve[-1].size)


def _where(levels: np.ndarray, sizes: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The size (float, N) at which the running maximum of means (N x sizes) reaches each level (N).

    Linear in the logarithm of the size; minus or plus infinity outside of the means.
    """
    means = np.maximum.accumulate(means, axis=1)
    rows, above = np.arange(len(levels)), np.clip((means < levels[:, None]).sum(axis=1), 1, len(sizes) - 1)
    low, high = means[rows, above - 1], means[rows, above]
    share = np.divide(levels - low, high - low, out=np.zeros(len(levels)), where=high > low)
    found = sizes[above - 1] * (sizes[above] / sizes[above - 1]) ** np.clip(share, 0, 1)
    return np.where(levels < means[:, 0], -np.inf, np.where(levels > means[:, -1], np.inf, found))
