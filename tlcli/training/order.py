"""The order of the samples of a training, from (seed, epoch) alone, so that it can resume anywhere."""

from __future__ import annotations

import numpy as np

from tlcli.errors import UsageError

SEEDS = 2**32
"""Seeds are below this: scikit-learn, which makes the folds, takes no larger ones."""


def require_seeds(seed: int, runs: int = 1) -> None:
    """Refuse seeds outside 0...2^32 - 1, of any run.

    Raises:
        UsageError: A seed is outside.
    """
    if not 0 <= seed <= SEEDS - runs:
        raise UsageError(f"`seed`: received {seed}, expected a number from 0 to {SEEDS - runs}.")


def rng(seed: int, *words: str | int) -> np.random.Generator:
    """An independent stream of random numbers for a purpose, for example `rng(seed, "order", epoch)`."""
    entropy = [seed]
    for word in words:
        entropy.extend([word] if isinstance(word, int) else word.encode())
    return np.random.default_rng(entropy)


class SampleOrder:
    """The endless stream of sample numbers: one shuffled epoch after another.

    A batch may reach over two epochs, so that every batch is full and every image is seen equally often.
    """

    def __init__(self, size: int, seed: int, purpose: str = "order") -> None:
        self.size, self.seed, self.purpose = size, seed, purpose
        self._epochs: dict[int, np.ndarray] = {}

    def take(self, start: int, stop: int) -> np.ndarray:
        """The sample numbers at the places start...stop-1 of the stream: int64."""
        first, last = start // self.size, (stop - 1) // self.size
        self._epochs = {e: order for e, order in self._epochs.items() if e >= first}
        parts = [self._epoch(e) for e in range(first, last + 1)]
        offset = first * self.size
        return np.concatenate(parts)[start - offset : stop - offset]

    def _epoch(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            self._epochs[epoch] = rng(self.seed, self.purpose, epoch).permutation(self.size)
        return self._epochs[epoch]


def next_evaluation(done: int, total_steps: int, every: int, batch: int) -> int:
    """The next step after `done` with an evaluation: the first to reach a multiple of `every` samples, or the
    last."""
    multiple = done * batch // every + 1
    return min(total_steps, -(-multiple * every // batch))
