"""The data of each step of a training, from the seed and the step alone, so that the training can resume
anywhere and run in chunks of any length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tlcli.training import augment
from tlcli.training.order import SampleOrder, rng
from tlcli.training.recipe import Recipe

SEGMENT = 64
"""The number of steps to draw for at once, in a few calls of numpy."""

Draws = dict[str, np.ndarray]


class Plans:
    """The rows of the steps of a training: numbers of images, learning rates, draws of augmentation.

    Args:
        recipe: The recipe of the training.
        shape: The shape of an image.
        size: The number of training images.
        batch: The number of images per step.
        total: The number of steps.
        seed: The seed of all draws.
        views: The number of versions of every image, of which a step draws one.
        replayed: The number of images of the source task, and of those that a step sees.
    """

    def __init__(
        self,
        recipe: Recipe,
        shape: tuple[int, ...],
        size: int,
        batch: int,
        total: int,
        seed: int,
        views: int = 1,
        replayed: tuple[int, int] = (0, 0),
    ) -> None:
        self._recipe, self._shape, self._augmentation = recipe, shape, recipe.augmentation()
        self._size, self._batch, self._total, self._seed, self._views = size, batch, total, seed, views
        self._order = SampleOrder(size, seed)
        self._source_order, self._share = SampleOrder(max(1, replayed[0]), seed, "source"), replayed[1]
        self._sides = rng(seed, "side").integers(0, 2, size)
        self._segments: dict[tuple[str, int], Draws] = {}

    def take(self, start: int, stop: int) -> Draws:
        """The rows of the steps start...stop-1: `index` (steps x batch), `learning_rate` (steps), and, if the
        training has them, `index_source` and the names of `augment.DRAWN`."""
        steps, batch = stop - start, self._batch
        index = self._order.take(start * batch, stop * batch).reshape(steps, batch)
        plan = {"index": index, "learning_rate": self._recipe.learning_rates(start, stop, self._total)}
        if self._augmentation:
            plan.update(self._draw("augment", start, stop, self._draw_augmentation))
        if "alternating-flip" in self._augmentation:
            plan["flip"] = augment.alternating_flips(index, start * batch, self._sides)
        if self._views > 1:
            views = self._draw("view", start, stop, self._draw_views)["view"]
            plan["index"] = index + self._size * views
        if share := self._share:
            plan["index_source"] = self._source_order.take(start * share, stop * share).reshape(steps, share)
        return plan

    def _draw_augmentation(self, rng: np.random.Generator) -> Draws:
        return augment.draw(self._augmentation, (SEGMENT, self._batch), self._shape, rng)

    def _draw_views(self, rng: np.random.Generator) -> Draws:
        return {"view": rng.integers(0, self._views, (SEGMENT, self._batch))}

    def _draw(
        self, purpose: str, start: int, stop: int, draw: Callable[[np.random.Generator], Draws]
    ) -> Draws:
        """The draws for a stretch of steps, from whole segments; the last segment is kept for the next
        call."""
        first, last = start // SEGMENT, (stop - 1) // SEGMENT
        found = [
            self._segments.get((purpose, n)) or draw(rng(self._seed, purpose, n))
            for n in range(first, last + 1)
        ]
        for n in range(first, last):
            self._segments.pop((purpose, n), None)
        self._segments[purpose, last] = found[-1]
        rows = slice(start - first * SEGMENT, stop - first * SEGMENT)
        return {key: np.concatenate([segment[key] for segment in found])[rows] for key in found[0]}
