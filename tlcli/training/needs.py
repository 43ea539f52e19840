"""Estimate the memory of a training before it starts."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from tlcli.models import network as net
from tlcli.store.records import Dataset
from tlcli.training.arms import Arm
from tlcli.training.recipe import Recipe

WORTH_TELLING = 1 << 30
"""The least bytes to tell the user of."""
_FLOAT = 4
_COPIES = 4
"""Arrays for each weight: itself, its gradient, and two averages of Adam."""
_FRAMEWORK = 1_500_000_000
"""Bytes of TensorFlow, its reserve, and the images that it tests at a time: 1.3 to 1.9 GB at 224 pixels."""


def describe_memory(
    model: keras.Model, below_head: int, datasets: Sequence[Dataset], arms: Sequence[Arm], recipe: Recipe
) -> str:
    """A sentence on the memory that tuning the layers below the head takes; empty for less than 1 GiB, and
    if no arm tunes them.

    The sum has the images of the largest target, the outputs of all layers for a batch (kept for the
    gradient, and the largest once more), the weights with the state of the optimizer, and the framework.
    """
    tuning = [
        arm for arm in arms if any(phase.solve is None and phase.frozen < below_head for phase in arm.phases)
    ]
    if not tuning:
        return ""
    images = max(sum(_bytes(part.images.shape) for part in d.parts.values()) for d in datasets)
    outputs = [_bytes(layer.output.shape[1:]) for layer in model.layers[1:]]
    batch = min(recipe.batch_size, max(len(d.train) for d in datasets))
    activations = _FLOAT * batch * (sum(outputs) + 2 * max(outputs))
    weights = _FLOAT * _COPIES * net.counts(model)[0]
    if (own := images + activations + weights) < WORTH_TELLING:
        return ""
    return (
        f"{tuning[0].label} needs about {_gigabytes(own + _FRAMEWORK)} of memory: "
        f"{_gigabytes(images)} for the images, {_gigabytes(activations)} for the activations of a batch of "
        f"{batch} (less with `batch_size`), {_gigabytes(weights)} for the weights, "
        f"{_gigabytes(_FRAMEWORK)} for the framework."
    )


def _bytes(shape: Sequence[int | None]) -> int:
    return int(np.prod([n or 1 for n in shape], dtype=np.int64))


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
