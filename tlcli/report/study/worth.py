"""The worth of transfer in data: the images that training from scratch needs for the accuracy of an arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tlcli.analysis.statistics import draws_of_means
from tlcli.report.study.contrasts import ENOUGH_RUNS, paired_accuracies

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
    the middle 95 % of the worth over draws of all means, each from its t distribution. The cell's mean is
    drawn together with that of the reference on the same training sets, so the interval lies above their
    size where the difference lies above zero.
    """
    curve = cell.task.at(variant=cell.variant, arm=reference)
    if len(curve) < FEWEST or any(c.accuracy.n < ENOUGH_RUNS for c in (cell, *curve)):
        return None
    rng = np.random.default_rng(0)
    sizes, means = np.array([c.size for c in curve]), np.array([c.mean for c in curve])
    drawn = np.concatenate([_draw(c.values, rng) for c in curve], axis=1)
    level, drawn_level = cell.mean, _draw(cell.values, rng)[:, 0]
    same = next((i for i, c in enumerate(curve) if c.size == cell.size), None)
    if same is not None and len(pairs := paired_accuracies(cell, curve[same])) >= ENOUGH_RUNS:
        both = _draw(pairs, rng)
        drawn[:, same] = both[:, 1]
        level = np.sort(means)[same] + (pairs[:, 0] - pairs[:, 1]).mean()
        drawn_level = np.sort(drawn)[:, same] + both[:, 0] - both[:, 1]
    images = _where(np.array([level]), sizes, np.sort(means)[None])[0]
    low, high = np.quantile(_where(drawn_level, sizes, np.sort(drawn)), [0.025, 0.975], method="nearest")
    return Worth(float(images), float(low), float(high), curve[0].size, curve[-1].size)


def _draw(values: Sequence[float] | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws of the means of values, a row for each repetition: DRAWS x columns."""
    return draws_of_means(np.asarray(values).reshape(len(values), -1), DRAWS, rng)


def _where(levels: np.ndarray, sizes: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The size (float, N) at which ascending means (N x sizes) reach each level (N).

    Linear in the logarithm of the size; minus or plus infinity outside of the means.
    """
    rows, above = np.arange(len(levels)), np.clip((means < levels[:, None]).sum(axis=1), 1, len(sizes) - 1)
    low, high = means[rows, above - 1], means[rows, above]
    share = np.divide(levels - low, high - low, out=np.zeros(len(levels)), where=high > low)
    found = sizes[above - 1] * (sizes[above] / sizes[above - 1]) ** np.clip(share, 0, 1)
    return np.where(levels < means[:, 0], -np.inf, np.where(levels > means[:, -1], np.inf, found))
