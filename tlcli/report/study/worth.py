"""The worth of transfer in data: the images that training from scratch needs for the accuracy of an arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tlcli.analysis.statistics import draws_of_difference, draws_of_mean
from tlcli.report.study.contrasts import contrast

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

    The curve is linear in the logarithm of the number of images, between means that are sorted, since more
    images do not harm (the rearrangement of Chernozhukov, Fernández-Val & Galichon 2009). The interval holds
    the middle 95 % of the worth over draws of these means and of the cell's paired difference from the
    reference at its own size, each from its t distribution: it lies above that size where the difference
    lies above zero.
    """
    curve = cell.task.at(variant=cell.variant, arm=reference)
    if len(curve) < FEWEST or any(c.accuracy.n < 3 for c in (cell, *curve)):
        return None
    rng = np.random.default_rng(0)
    sizes = np.array([c.size for c in curve])
    means = np.sort([c.mean for c in curve])[None]
    drawn_means = np.sort(np.stack([draws_of_mean(c.accuracy, DRAWS, rng) for c in curve], axis=1), axis=1)
    level, drawn_levels = np.array([cell.mean]), draws_of_mean(cell.accuracy, DRAWS, rng)
    for place, other in enumerate(curve):
        pair = contrast(cell, other) if other.size == cell.size else None
        if pair is not None and pair.enough:
            level = means[:, place] + pair.difference
            drawn_levels = drawn_means[:, place] + draws_of_difference(pair.comparison, DRAWS, rng)
    (images,) = _where(level, sizes, means)
    drawn = _where(drawn_levels, sizes, drawn_means)
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return Worth(float(images), float(low), float(high), curve[0].size, curve[-1].size)


def _where(levels: np.ndarray, sizes: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The size (float, N) at which ascending means (N x sizes) reach each level (N).

    Linear in the logarithm of the size; minus or plus infinity outside of the means.
    """
    rows, above = np.arange(len(levels)), np.clip((means < levels[:, None]).sum(axis=1), 1, len(sizes) - 1)
    low, high = means[rows, above - 1], means[rows, above]
    share = np.divide(levels - low, high - low, out=np.zeros(len(levels)), where=high > low)
    found = sizes[above - 1] * (sizes[above] / sizes[above - 1]) ** np.clip(share, 0, 1)
    return np.where(levels < means[:, 0], -np.inf, np.where(levels > means[:, -1], np.inf, found))
