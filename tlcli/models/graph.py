"""The graph of a network: the inputs of each layer, and the place to cut the network in two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras

from tlcli.models.building import is_seed
from tlcli.models.keras_private import calls, producer


@dataclass
class Cut:
    """A network in two: `below` runs once over the data, `above` is trained.

    If nothing can run beforehand, `below` is None and `above` is the whole network.
    """

    below: keras.Model | None
    above: keras.Model
    layer: str | None
    """The name of the layer whose output is kept."""


def cut(model: keras.Model, frozen: Iterable[tuple[str, ...]]) -> Cut:
    """Cut a network behind its frozen groups.

    The cut is at the last layer that every path from the input passes and below which all is constant: frozen
    layers, layers without weights, and dropout below a frozen layer (the frozen part runs in inference mode).
    """
    parents = parent_layers(model)
    outputs = model.outputs
    fixed, inference = _constant_layers(model, frozen, parents)
    for layer in model.layers:  # dropout or noise that no frozen layer follows stays active
        if _is_random(layer) and layer.name not in inference:
            fixed -= {layer.name} | _descendants({layer.name}, parents)
    final = [producer(output).name for output in outputs]
    start = model.layers[0].name
    used = _ancestors(final, parents) - {start, *final} - _reused_layers(model)
    for layer in reversed(model.operations):
        name = layer.name
        if name not in fixed & used:
            continue
        if not _reachable(start, final, parents, without=name):
            return Cut(
                keras.Model(model.inputs, layer.output, name="below"),
                keras.Model(layer.output, outputs if len(outputs) > 1 else outputs[0], name="above"),
                name,
            )
    return Cut(None, model, None)


def frozen_dropouts(model: keras.Model, frozen: Iterable[tuple[str, ...]]) -> set[str]:
    """The names of the dropout layers below a frozen layer, which drop nothing (see `cut`)."""
    _, inference = _constant_layers(model, frozen, parent_layers(model))
    return {
        layer.name
        for layer in model.layers
        if layer.name in inference and isinstance(layer, keras.layers.Dropout)
    }


def _constant_layers(
    model: keras.Model, frozen: Iterable[tuple[str, ...]], parents: dict[str, list[str]]
) -> tuple[set[str], set[str]]:
    """Layers whose output is constant while dropout is off; and, of these, the frozen ones and all below
    them."""
    frozen_layers = {name for group in frozen for name in group}
    fixed: set[str] = set()
    for layer in model.operations:
        constant = not getattr(layer, "weights", []) or layer.name in frozen_layers
        if constant and all(parent in fixed for parent in parents[layer.name]):
            fixed.add(layer.name)
    return fixed, _ancestors(frozen_layers & fixed, parents)


def _reused_layers(model: keras.Model) -> set[str]:
    """The layers that a network uses in several places: their output is several tensors."""
    called = Counter(operation.name for operation, _ in calls(model))
    return {name for name, times in called.items() if times > 1}


def _is_random(layer: Any) -> bool:
    """Whether a layer without weights is random, such as dropout and noise."""
    return not layer.weights and any(is_seed(v) for v in layer.variables)


def parent_layers(model: keras.Model) -> dict[str, list[str]]:
    """The inputs of each layer: layers, and operations such as `x + y`."""
    parents: dict[str, list[str]] = {operation.name: [] for operation in model.operations}
    for operation, inputs in calls(model):
        parents[operation.name] += [producer(t).name for t in inputs]
    return parents


def layers_on_every_path(model: keras.Model) -> list[str]:
    """The layers that every path from the images to the output passes, from the last to the first."""
    parents = parent_layers(model)
    start, final = model.layers[0].name, [producer(output).name for output in model.outputs]
    return [
        name
        for name in reversed(list(parents))
        if name != start and not _reachable(start, [f for f in final if f != name], parents, without=name)
    ]


def _ancestors(names: Iterable[str], parents: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(parents.get(name, []))
    return found


def _descendants(names: set[str], parents: dict[str, list[str]]) -> set[str]:
    found = set(names)
    for name, above in parents.items():  # the network's order is topological
        if found.intersection(above):
            found.add(name)
    return found - names


def _reachable(start: str, final: list[str], parents: dict[str, list[str]], *, without: str) -> bool:
    """Whether a path from the input to an output avoids one layer."""
    reached = {start}
    for name, above in parents.items():
        if name != without and reached.intersection(above):
            reached.add(name)
    return any(name in reached for name in final)
