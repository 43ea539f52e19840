"""Heads: the options that every architecture has for its head, and the layers that they ask for.

Reading options needs no Keras: a function that makes layers imports it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tlcli.errors import UsageError

if TYPE_CHECKING:
    import keras

HEAD = "head"
"""The name of the last, classifying layer of every architecture."""
HEAD_UNITS, HEAD_DROPOUT, ALL_LAYERS = "head_units", "head_dropout", "all_layers"
"""Options of every architecture: hidden layers in the head, `512` or `512-256`, the dropout on the inputs of
each of its layers, and whether the head reads the outputs of all layers."""
HEAD_OPTIONS = (HEAD_UNITS, HEAD_DROPOUT, ALL_LAYERS)
MOST_UNITS = 65_536
"""The most units of a layer: a typing error must not ask for all memory."""


def with_head(options: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a network with another head. `all_layers: 0` is the architecture's own head; without
    options of a head, the head stays."""
    if not head:
        return dict(options)
    kept = {key: value for key, value in options.items() if key not in HEAD_OPTIONS}
    return kept | {key: value for key, value in head.items() if value}


def parse_head_units(value: Any) -> str:
    """The widths of hidden layers, `512` or `512-256` (or with commas), in one form.

    Raises:
        UsageError: The text has another form.
    """
    units = str(value).replace("-", ",").split(",")
    if not all(re.fullmatch("[0-9]{1,5}", u.strip()) and 0 < int(u) <= MOST_UNITS for u in units):
        raise UsageError(f"`head_units`: received {value!r}, expected numbers of units such as 512,256.")
    return "-".join(str(int(u)) for u in units)


def with_hidden_layers(model: keras.Model, units: list[int], dropout: float, classes: int) -> keras.Model:
    """The network up to its last layer with spatial extent, flattened, and a head with hidden layers."""
    import keras

    def drop(x: Any, number: int) -> Any:
        return keras.layers.Dropout(dropout, name=f"{HEAD}_dropout{number}")(x) if dropout else x

    spatial = [layer.output for layer in model.layers[1:] if len(layer.output.shape) == 4]
    x = keras.layers.Flatten(name=f"{HEAD}_flatten")(spatial[-1] if spatial else model.get_layer(HEAD).input)
    for number, width in enumerate(units, start=1):
        x = keras.layers.Dense(width, activation="relu", name=f"{HEAD}_dense{number}")(drop(x, number))
    outputs = keras.layers.Dense(classes, name=HEAD)(drop(x, len(units) + 1))
    return keras.Model(model.inputs, outputs, name=model.name)


def all_layers(model: keras.Model) -> Any:
    """The outputs of all weighted layers below the head: a Keras tensor, images x features.

    Each layer gives its last activation before the next layer, averaged over positions, even if the
    architecture's own head reads each position (Evci et al., Head2Toe, ICML 2022, who then select features;
    here a penalty does).
    """
    import keras

    ends: list[Any] = []
    for layer in model.layers:
        if layer.name == ALL_LAYERS:
            return layer.output
    for layer in model.layers:
        if layer.name.startswith(HEAD):
            break
        if hasattr(layer, "kernel") or hasattr(layer, "pointwise_kernel"):
            ends.append(layer)
        elif ends and not isinstance(layer, keras.layers.Dropout | keras.layers.Flatten):
            ends[-1] = layer if len(layer.output.shape) == len(ends[-1].output.shape) else ends[-1]
    means = [
        keras.layers.GlobalAveragePooling2D(name=f"{HEAD}_mean_{end.name}")(end.output)
        if len(end.output.shape) == 4
        else end.output
        for end in ends
    ]
    return keras.layers.Concatenate(name=ALL_LAYERS)(means) if len(means) > 1 else means[0]
