"""Whether a training is long enough for the moving statistics of its batch normalization."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras

from tlcli.training.arms import Arm
from tlcli.training.recipe import Recipe

MOST = 0.01
"""The largest share of the initial values that is not worth a warning."""


def describe_lag(layers: Iterable[keras.layers.Layer], sizes: Iterable[int], recipe: Recipe) -> str:
    """A sentence on moving statistics that are measured too early; empty if the training is long enough.

    After t steps they are, for the share momentum^t, their initial values: mean 0 and variance 1.

    Args:
        layers: The layers that start from initial values.
        sizes: The numbers of training images.
        recipe: How long they train.
    """
    momenta = [layer.momentum for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    steps = min(-(-recipe.total_samples(n) // min(recipe.batch_size, n)) for n in sizes)
    if not momenta or (share := max(momenta) ** steps) <= MOST:
        return ""
    return (
        f"{100 * share:.0f} % of batch norm's moving statistics are still their initial values after "
        f"{steps:,} steps, so tests show less than the network has learned. Give more `samples`, or these "
        f"layers a momentum below {max(momenta):g}."
    )


def describe_lag_of_arms(
    model: keras.Model,
    groups: Sequence[Sequence[str]],
    sizes: Sequence[int],
    arms: Sequence[Arm],
    recipe: Recipe,
) -> str:
    """The sentence for the first arm whose uncopied layers lag behind; empty if there is none."""
    for arm in arms:
        own = [model.get_layer(name) for group in groups[arm.copy :] for name in group]
        if lag := describe_lag(own, sizes, recipe):
            return f"{arm.label}: {lag}"
    return ""
