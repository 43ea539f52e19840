"""The interface of engines, which run a network: the only part of a training that knows the backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

Measured = Callable[[], tuple[np.ndarray, np.ndarray, bool]]
"""A function that waits for the steps of one call. It gives the cross-entropy and the number classified
right of each step (float32), and whether all weights are finite after the last."""


class Predictor(Protocol):
    """Runs a network outside training."""

    def put(self, array: np.ndarray) -> Any:
        """Put an array on the device, for many calls of `train` and `outputs`."""

    def outputs(self, x: Any) -> list[Any]:
        """The model's outputs in inference mode for all of x, in batches: float32, on the device."""


class Engine(Predictor, Protocol):
    """Runs the steps of one training. It may keep the trained weights to itself until `write`."""

    runs_ahead: bool
    """Whether the device still computes when `train` returns; the next call should then follow before the
    measurements of the last one are read."""

    def train(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> Measured:
        """Begin one step for each row of `plan`; may return before they are done."""

    def write(self) -> None:
        """Write the trained weights into Keras's variables."""

    def read(self) -> None:
        """Take the values of Keras's variables, after an assignment to them."""

    def swap_average(self) -> None:
        """Exchange the weights and their average; a second call undoes the first."""

    def reset(self) -> None:
        """Put the optimizer back to its first step, and take weights and their average from Keras's
        variables."""

    def state(self) -> dict[str, np.ndarray]:
        """The state beside the model, by name: the optimizer's variables and the average."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the result of `state`, and take the values of Keras's variables."""
