"""A network that is only asked: outputs for images, in batches, without a training around it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tlcli.training.engines import make_predictor
from tlcli.training.forward import Forward


class Inference:
    """Outputs of a model in inference mode, compiled once, in the precision of its layers.

    Args:
        model: Takes standardised images, or features.
        mean: float32, per channel in the order that the model takes them, of pixels scaled to 0...1.
        std: Likewise.
        channel_order: `rgb`, or `bgr` where the model takes the channels in reverse order.
        largest: Bytes of an image's largest activation, where that is not to be this model's own.
    """

    def __init__(
        self,
        model: keras.Model,
        mean: np.ndarray,
        std: np.ndarray,
        channel_order: str = "rgb",
        *,
        largest: int = 0,
    ) -> None:
        self._forward = Forward(model, mean, std, channel_order, largest)
        self.largest = self._forward.largest
        self._predictor = make_predictor(self._forward)

    def outputs(self, x: Any) -> list[Any]:
        """The model's outputs for inputs that are on the device: float32, on the device."""
        return self._predictor.outputs(x)

    def __call__(self, images: Any) -> list[np.ndarray]:
        """The model's outputs for images (uint8, N x H x W x C): float32 arrays, N first."""
        x = self._predictor.put(np.ascontiguousarray(images))
        return [np.asarray(output) for output in self._predictor.outputs(x)]
