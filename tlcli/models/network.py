"""A network built from the registry, and what transfer does to one: count, select, copy, freeze, cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tlcli.errors import TlcliError
from tlcli.models.registry import (
    ALL_LAYERS,
    HEAD_DROPOUT,
    HEAD_OPTIONS,
    HEAD_UNITS,
    RESIZE,
    architecture,
    input_error,
    parse_options,
)

HEAD = "head"
"""The name of the last, classifying layer of every architecture."""


@dataclass
class Network:
    """A Keras model that gives logits, and how it was named.

    `groups` are its weighted layers in order, each with the batch normalization (or other layer without a
    kernel) that follows it: what `--copy 3` counts. The head is the last group.
    """

    architecture: str
    options: dict[str, Any]
    input_shape: tuple[int, int, int]
    classes: int
    model: keras.Model
    groups: list[tuple[str, ...]]
    own: keras.Model
    """The same layers with the architecture's own head, which `model` may have another in place of."""

    def features(self, options: Mapping[str, Any]) -> Any:
        """The tensor that a linear head of these options classifies."""
        if not options.get(ALL_LAYERS):
            return self.own.get_layer(HEAD).input
        return all_layers(self.model if self.options.get(ALL_LAYERS) else self.own)

    @property
    def below_head(self) -> int:
        """How many weighted layers lie below the head."""
        return len(self.groups) - 1

    @property
    def embedding(self) -> str:
        """The name of the layer whose output the head classifies, less a dropout between the two."""
        return embedding_layer(self.model)


def build(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any] | None = None,
    precision: str = "float32",
) -> Network:
    """Build a registered architecture with random weights.

    Args:
        name: Of the architecture.
        input_shape: Height, width, channels.
        classes: How many logits it gives.
        options: The architecture's own.
        precision: `mixed`: all layers below the last compute in bfloat16; variables are float32 anyway.

    Raises:
        UsageError: an unknown architecture or option.
        TlcliError: images that it cannot take.
    """
    if precision == "mixed":
        with _policy("mixed_bfloat16"):
            network = build(name, input_shape, classes, options)
        network.model.get_layer(HEAD).dtype_policy = keras.DTypePolicy("float32")
        return network
    arch = architecture(name)
    values = parse_options(name, options or {})
    inputs = keras.Input(input_shape, name="images")
    try:
        own = {key: value for key, value in values.items() if key not in (*HEAD_OPTIONS, RESIZE)}
        images = _resized(inputs, values[RESIZE]) if RESIZE in values else inputs
        model = original = keras.Model(inputs, arch.build(images, classes, **own), name=name)
        if HEAD_UNITS in values:
            units = [int(number) for number in values[HEAD_UNITS].split("-")]
            model = _with_hidden_head(model, units, values.get(HEAD_DROPOUT, 0.0), classes)
        elif values.get(ALL_LAYERS):
            outputs = keras.layers.Dense(classes, name=HEAD)(all_layers(model))
            model = keras.Model(model.inputs, outputs, name=name)
    except (ValueError, ZeroDivisionError) as cause:
        raise input_error(name, input_shape, cause) from None
    return Network(name, values, input_shape, classes, model, weighted_groups(model), original)


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """What the layers that are made meanwhile compute in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _resized(images: Any, side: int) -> Any:
    """The images as squares of another side, by bicubic interpolation, in float32."""
    return keras.layers.Resizing(side, side, "bicubic", name=RESIZE, dtype="float32")(images)


def _with_hidden_head(model: keras.Model, units: list[int], dropout: float, classes: int) -> keras.Model:
    """The network up to its last layer with spatial extent, flattened, and a head with hidden layers."""

    def dropped(x: Any, number: int) -> Any:
        return keras.layers.Dropout(dropout, name=f"{HEAD}_dropout{number}")(x) if dropout else x

    last = next(layer for layer in reversed(model.layers) if len(layer.output.shape) == 4)
    x = keras.layers.Flatten(name=f"{HEAD}_flatten")(last.output)
    for number, width in enumerate(units, start=1):
        x = keras.layers.Dense(width, activation="relu", name=f"{HEAD}_dense{number}")(dropped(x, number))
    outputs = keras.layers.Dense(classes, name=HEAD)(dropped(x, len(units) + 1))
    return keras.Model(model.inputs, outputs, name=model.name)


def all_layers(model: keras.Model) -> Any:
    """What all weighted layers below the head make of an image: a Keras tensor, images x features.

    Of each the last activation before the next one's, its mean over positions where it has some, also where
    the architecture's own head takes each position apart (Evci et al., Head2Toe, ICML 2022, who then select
    among them; a penalty does that here).
    """
    ends: list[Any] = []
    for layer in model.layers:
        if layer.name == ALL_LAYERS:
            return layer.output
    for layer in model.layers:
        if layer.name.startswith(HEAD):
            break
        if hasattr(layer, "kernel"):
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


def counts(model: keras.Model) -> tuple[int, int]:
    """Parameters in all, and those a training changes (no moving statistics)."""
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    return sum(int(np.prod(w.shape)) for w in model.weights if not _is_seed(w)), trainable


def weighted_groups(model: keras.Model) -> list[tuple[str, ...]]:
    """The weighted layers in order; a layer without a kernel belongs to the one before it, and a head with
    hidden layers is one."""
    groups: list[list[str]] = []
    for layer in model.layers:
        if not any(not _is_seed(w) for w in layer.weights):
            continue
        continues_head = bool(groups) and groups[-1][0].startswith(f"{HEAD}_")
        if (hasattr(layer, "kernel") and not continues_head) or not groups:
            groups.append([layer.name])
        else:
            groups[-1].append(layer.name)
    return [tuple(group) for group in groups]


def embedding_layer(model: keras.Model) -> str:
    layer = _producer(model.get_layer(HEAD).input)
    while isinstance(layer, keras.layers.Dropout):
        layer = _producer(layer.input)
    return layer.name


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Every weight as an array, by `layer/variable`, in the network's order."""
    return {key: v.numpy() for key, v in variables(model).items()}


def variables(model: keras.Model) -> dict[str, Any]:
    """The Keras variables behind `weights`; the random state of dropout is not among them."""
    return {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights if not _is_seed(v)}


def assign(model: keras.Model, values: Mapping[str, np.ndarray], what: str = "the checkpoint") -> None:
    """Set weights by name after a check of name and shape; weights not named stay as they are.

    Raises:
        TlcliError: an array that the network has no place for.
    """
    places = variables(model)
    for key, value in values.items():
        if key not in places:
            raise TlcliError(f"{what} holds {key!r}, which the network does not have.")
        if tuple(places[key].shape) != value.shape:
            raise TlcliError(
                f"{what}: {key} has shape {value.shape}, the network expects {tuple(places[key].shape)}."
            )
    for key, value in values.items():
        places[key].assign(np.asarray(value, dtype=places[key].dtype))


def initial_weights(model: keras.Model, seed: int, purpose: str) -> dict[str, np.ndarray]:
    """Fresh weights from each layer's own initializers: the same seed and purpose give the same arrays.

    The purpose (`base`, `run`) keeps a network from scratch from starting where its base started.
    """
    fresh: dict[str, np.ndarray] = {}
    for layer in model.layers:
        for v in layer.weights:
            if _is_seed(v):
                continue
            initializer = getattr(layer, f"{v.name}_initializer")
            config = initializer.get_config()
            if "seed" in config:
                words = [seed, *f"{purpose}/{layer.name}/{v.name}".encode()]
                config["seed"] = int(np.random.SeedSequence(words).generate_state(1)[0] & 0x7FFFFFFF)
            value = type(initializer).from_config(config)(tuple(v.shape), dtype=v.dtype)
            fresh[f"{layer.name}/{v.name}"] = keras.ops.convert_to_numpy(value)
    return fresh


def adapted_weights(
    model: keras.Model, images: Any, mean: np.ndarray, std: np.ndarray, sample: int = 5_000
) -> dict[str, np.ndarray]:
    """The weights that layers make from the training images, not by training (patch whitening).

    Args:
        model: Such layers come first in it: they see the images.
        images: uint8, N x H x W x C, of which at most `sample` are looked at, evenly spaced.
        mean: Per channel, of pixel values scaled to 0...1.
        std: Likewise.
    """
    found: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if hasattr(layer, "adapted"):
            pixels = np.asarray(evenly_spaced(images, sample), dtype=np.float32) / 255.0
            made = layer.adapted((pixels - mean) / std)
            found.update({f"{layer.name}/{name}": value for name, value in made.items()})
    return found


def evenly_spaced(images: Any, most: int) -> Any:
    """At most so many of the images, from all over them: a folder's are in the order of their classes."""
    return images[:: max(1, -(-len(images) // most))]


def seed_states(model: keras.Model) -> dict[str, Any]:
    """The variables that hold the random state of dropout, by layer name."""
    return {layer.name: v for layer in model.layers for v in layer.variables if _is_seed(v)}


def reset_seed_states(model: keras.Model, seed: int) -> None:
    """Start every dropout from the seed."""
    for name, state in seed_states(model).items():
        words = np.random.SeedSequence([seed, *name.encode()]).generate_state(1)
        state.assign(np.array([words[0] & 0x7FFFFFFF, 0], dtype=state.dtype))


def in_groups(groups: Iterable[tuple[str, ...]], key: str) -> bool:
    """Does the weight `layer/variable` belong to one of the groups?"""
    layer = key.split("/", 1)[0]
    return any(layer in group for group in groups)


@dataclass
class Cut:
    """A network in two: `below` is run once over the data, `above` is what a training runs.

    `below` is None when nothing can be run beforehand; `above` then is the whole network.
    """

    below: keras.Model | None
    above: keras.Model
    layer: str | None
    """The name of the layer whose output is kept."""


def cut(model: keras.Model, frozen: Iterable[tuple[str, ...]]) -> Cut:
    """Cut a network behind its frozen groups.

    The cut lies at the last layer that every path from the input passes and below which nothing can
    change: frozen layers, layers without weights, and dropout below a frozen layer (the frozen part runs
    in inference mode).
    """
    parents = parent_layers(model)
    outputs = model.outputs
    fixed, inference = _fixed(model, frozen, parents)
    for layer in model.layers:  # a dropout that no frozen layer follows stays active
        if isinstance(layer, keras.layers.Dropout) and layer.name not in inference:
            fixed -= {layer.name} | _descendants({layer.name}, parents)
    final = [_producer(output).name for output in outputs]
    start = model.layers[0].name
    for layer in reversed(model.layers):
        name = layer.name
        if name == start or name not in fixed or name in final or name not in _ancestors(final, parents):
            continue
        if not _reachable(start, final, parents, without=name):
            return Cut(
                keras.Model(model.inputs, layer.output, name="below"),
                keras.Model(layer.output, outputs if len(outputs) > 1 else outputs[0], name="above"),
                name,
            )
    return Cut(None, model, None)


def frozen_dropouts(model: keras.Model, frozen: Iterable[tuple[str, ...]]) -> set[str]:
    """The names of the dropout layers below a frozen layer: they drop nothing, as `cut` says."""
    _, inference = _fixed(model, frozen, parent_layers(model))
    return {name for name in inference if isinstance(model.get_layer(name), keras.layers.Dropout)}


def _fixed(
    model: keras.Model, frozen: Iterable[tuple[str, ...]], parents: dict[str, list[str]]
) -> tuple[set[str], set[str]]:
    """The layers whose outputs nothing changes if no dropout among them drops, and those of them that a
    frozen layer follows or that are one."""
    frozen_layers = {name for group in frozen for name in group}
    fixed: set[str] = set()
    for layer in model.layers:
        constant = not layer.weights or layer.name in frozen_layers or isinstance(layer, keras.layers.Dropout)
        if constant and all(parent in fixed for parent in parents[layer.name]):
            fixed.add(layer.name)
    return fixed, _ancestors(frozen_layers & fixed, parents)


def _is_seed(variable: Any) -> bool:
    return "seed_generator_state" in variable.path or variable.name == "seed_generator_state"


def _producer(tensor: Any) -> Any:
    return tensor._keras_history.operation


def parent_layers(model: keras.Model) -> dict[str, list[str]]:
    """The layers each layer takes its input from."""
    return {
        layer.name: [_producer(t).name for t in layer._inbound_nodes[0].input_tensors]
        for layer in model.layers
    }


def passed_layers(model: keras.Model) -> list[str]:
    """The layers that every path from the images to the output passes, from the last to the first."""
    parents = parent_layers(model)
    start, final = model.layers[0].name, [_producer(output).name for output in model.outputs]
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
    """Is there a path from the input to an output that avoids one layer?"""
    reached = {start}
    for name, above in parents.items():
        if name != without and reached.intersection(above):
            reached.add(name)
    return any(name in reached for name in final)
