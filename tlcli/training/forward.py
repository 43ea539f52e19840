"""A network with its preprocessing: it standardises pixels as its weights expect, then computes outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops


@dataclass
class Forward:
    """A model and the preprocessing of its inputs: `(pixel / 255 - mean) / std`, channel by channel."""

    model: keras.Model
    mean: np.ndarray
    """float32, one per channel in the order that the model takes them, of pixels scaled to 0...1."""
    std: np.ndarray
    """float32, one per channel, of pixels scaled to 0...1."""
    channel_order: str = "rgb"
    """`bgr`: the model takes the channels of an image in reverse order."""
    largest: int = 0
    """Bytes of an image's largest activation, which limits batches outside training; 0: that of this
    model."""

    def __post_init__(self) -> None:
        if not self.largest:
            shapes = [layer.output.shape[1:] for layer in self.model.layers[1:]]
            self.largest = 4 * max(int(np.prod(shape)) for shape in shapes)
        inputs = self.model.inputs[0].shape
        self.takes_images = len(inputs) == 4 and self.model.layers[0].name == "images"
        if self.takes_images:
            # In two passes, with mean and std as large as an image: a broadcast along three channels takes
            # TensorFlow ten times as long as one along the images.
            std = np.broadcast_to(np.asarray(self.std, np.float64), inputs[1:])
            self._scale = (1 / (255 * std)).astype(np.float32)
            self._shift = (self.mean / std).astype(np.float32)

    def prepare(self, x: Any) -> Any:
        """uint8 pixels to standardised float32; features pass through."""
        if not self.takes_images:
            return x
        if self.channel_order == "bgr":
            x = ops.flip(x, axis=-1)
        return ops.cast(x, "float32") * self._scale - self._shift

    def outputs(self, x: Any, training: bool) -> list[Any]:
        """The model's outputs on prepared inputs: the target's logits first."""
        outputs = self.model(x, training=training)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
