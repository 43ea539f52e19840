"""What runs a network: the only part of a training that knows the backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

Measured = Callable[[], tuple[np.ndarray, np.ndarray, bool]]
"""Waits for the steps of one call, then gives per step the cross-entropy and the number classified right
(float32), and whether all weights are finite after the last."""


class Predictor(Protocol):
    """Runs a network outside training."""

    def put(self, array: np.ndarray) -> Any:
        """An array on the device, to be passed to `train` and `outputs` again and again."""

    def outputs(self, x: Any) -> list[Any]:
        """The model's outputs in inference mode for all of x, in batches: float32, on the device."""


class Engine(Predictor, Protocol):
    """Runs the steps of one training. What it trains it may keep to itself until `write` is called."""

    def train(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> Measured:
        """Begin as many steps as `plan` has rows; may return before they are done."""

    def write(self) -> None:
        """Write what has been trained into Keras's variables."""

    def read(self) -> None:
        """Go on from what Keras's variables hold: they have been assigned to."""

    def swap_average(self) -> None:
        """Exchange the weights and their average (twice is nothing)."""

    def reset(self) -> None:
        """Put the optimizer back to its first step; weights and their average are what Keras's variables
        hold."""

    def state(self) -> dict[str, np.ndarray]:
        """What besides the model changes, by name: the optimizer's variables and the average."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave and Keras's variables hold."""
