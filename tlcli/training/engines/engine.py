"""What runs a step: the only part of a training that knows the backend."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Engine(Protocol):
    """Runs the steps of one training, and its network outside training."""

    def put(self, array: np.ndarray) -> Any:
        """An array on the device, to be passed to `train` and `outputs` again and again."""

    def train(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Run as many steps as `plan` has rows; per step the cross-entropy and the number right."""

    def outputs(self, x: Any) -> list[Any]:
        """The model's outputs in inference mode for all of x, in batches: float32, on the device."""

    def variables(self) -> dict[str, Any]:
        """What besides the model changes: the optimizer's variables and the weight average, by name."""

    def reset(self) -> None:
        """Put the optimizer back to its first step and the average onto the weights."""
