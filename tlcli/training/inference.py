"""Outputs of a network for images, in batches, without a training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tlcli.store.records import ImageArray
from tlcli.training.engines import make_predictor
from tlcli.training.forward import Forward


class Inference:
    """Outputs of a model in inference mode, compiled once, in the precision of its layers.

    Args:
        model: Takes standardised images, or features.
        mean: float32, per channel in the order that the model takes them, of pixels scaled to 0...1.
        std: Likewise.
        channel_order: `rgb`, or `bgr` if the model takes the channels in reverse order.
        largest: Bytes of an image's largest activation, if not that of this model.
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
        """The model's outputs for inputs on the device: float32, on the device."""
        return self._predictor.outputs(x)

    def __call__(self, images: ImageArray) -> list[np.ndarray]:
        """The model's outputs for images (uint8, N x H x W x C), read a block at a time: float32, N first."""
        block = block_size(images)
        found = [
            [np.asarray(output) for output in self._predictor.outputs(self._put(images, start, block))]
            for start in range(0, max(1, len(images)), block)
        ]
        return [
            np.concatenate(outputs) if len(outputs) > 1 else outputs[0]
            for outputs in zip(*found, strict=True)
        ]

    def _put(self, images: ImageArray, start: int, block: int) -> Any:
        return self._predictor.put(np.ascontiguousarray(images[start : start + block]))


_BLOCK = 64 << 20
"""Bytes of images that are put on the device at a time."""


def block_size(images: ImageArray) -> int:
    """The number of images in a block: 64 MiB of pixels, at most 5,000."""
    return max(1, min(5_000, _BLOCK // max(1, int(np.prod(images.shape[1:])))))
