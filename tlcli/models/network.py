"""Build a network from the registry, and name, count, read and set its weights."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tlcli.errors import TlcliError, UsageError
from tlcli.models import keras_private
from tlcli.models.building import (
    BuildNotes,
    check_logits,
    initial_value,
    is_seed,
    note_initializers,
    number_unnamed,
    variable_names,
)
from tlcli.models.graph import parent_layers
from tlcli.models.heads import (
    ALL_LAYERS,
    HEAD,
    HEAD_DROPOUT,
    HEAD_OPTIONS,
    HEAD_UNITS,
    all_layers,
    with_hidden_layers,
)
from tlcli.models.keras_private import calls, producer
from tlcli.models.registry import NETWORKS, RESIZE, Architecture, architecture, parse_options
from tlcli.register import first_line
from tlcli.text import short_repr


@dataclass
class Network:
    """A Keras model that gives logits, and the architecture that it was built from.

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
    """The same layers with the architecture's own head; `model` may have another head."""
    started: dict[str, Any]
    """The initializer of each weight."""
    fixed: dict[str, np.ndarray]
    """The values of weights without an initializer, as the builder made them."""

    __repr__ = short_repr

    def features(self, options: Mapping[str, Any]) -> Any:
        """The tensor that a linear head of these options classifies."""
        if not options.get(ALL_LAYERS):
            return self.own.get_layer(HEAD).input
        return all_layers(self.model if self.options.get(ALL_LAYERS) else self.own)

    @property
    def below_head(self) -> int:
        """The number of weighted layers below the head."""
        return len(self.groups) - 1

    @property
    def embedding(self) -> str:
        """The name of the layer whose output the head classifies, without a dropout between the two."""
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
        name: The architecture's name.
        input_shape: Height, width, channels.
        classes: The number of logits.
        options: The architecture's options.
        precision: `mixed`: all layers below the last compute in bfloat16; variables stay float32.

    Raises:
        UsageError: An unknown architecture or option, or images that it cannot take.
    """
    if precision == "mixed":
        with _policy("mixed_bfloat16"):
            network = build(name, input_shape, classes, options)
        network.model.get_layer(HEAD).dtype_policy = keras.DTypePolicy("float32")
        return network
    arch = architecture(name)
    values = parse_options(name, options or {})
    try:
        with note_initializers() as built, keras_private.initialize_with_numpy():
            model, own = _models(arch, values, input_shape, classes, built)
    except (TlcliError, MemoryError):
        raise
    except Exception as cause:
        raise _cannot_build(arch, values, input_shape, classes, cause) from cause
    made = built.initializers
    started = {key: made[id(v)][1] for key, v in variables(model).items() if id(v) in made}
    fixed = {key: v.numpy() for key, v in variables(model).items() if id(v) not in made}
    return Network(name, values, input_shape, classes, model, weighted_groups(model), own, started, fixed)


def _models(
    arch: Architecture,
    values: Mapping[str, Any],
    input_shape: tuple[int, int, int],
    classes: int,
    built: BuildNotes,
) -> tuple[keras.Model, keras.Model]:
    """The network of these options, and the one with the architecture's own head."""
    inputs = keras.Input(input_shape, name="images")
    options = {key: value for key, value in values.items() if key not in (*HEAD_OPTIONS, RESIZE)}
    images = _resize(inputs, values[RESIZE]) if RESIZE in values else inputs
    logits = check_logits(arch.name, arch.build(images, classes, **options), classes, HEAD, built)
    number_unnamed(logits, built.unnamed)
    name = arch.name.replace(":", "-")  # TensorFlow makes scopes of the name
    own = keras.Model(inputs, logits, name=name)
    if any(0 in tensor.shape for _, tensors in calls(own) for tensor in tensors):  # Keras < 3.15 builds it
        raise ValueError("nothing is left of images so small")
    if HEAD_UNITS in values:
        units = [int(number) for number in values[HEAD_UNITS].split("-")]
        return with_hidden_layers(own, units, values.get(HEAD_DROPOUT, 0.0), classes), own
    if values.get(ALL_LAYERS):
        outputs = keras.layers.Dense(classes, name=HEAD)(all_layers(own))
        return keras.Model(own.inputs, outputs, name=name), own
    return own, own


def _cannot_build(
    arch: Architecture,
    values: Mapping[str, Any],
    input_shape: tuple[int, int, int],
    classes: int,
    cause: Exception,
) -> TlcliError:
    """The error if a builder failed: that the images are too small, if larger ones work, or the cause."""
    size = "x".join(map(str, input_shape))

    def takes(side: int) -> bool:
        try:
            _models(arch, values, (side, side, input_shape[2]), classes, BuildNotes())
        except Exception:
            return False
        return True

    smallest = max(arch.input_shape[:2])
    if min(input_shape[:2]) < smallest and takes(smallest):
        smallest = bisect.bisect_left(range(1, smallest), True, key=takes) + 1
        return UsageError(
            f"{arch.name} cannot take images of {size}; smallest: {smallest}x{smallest}.\n"
            f"Use larger images (`image_size` {smallest}) or another network (tlcli archs)."
        )
    return TlcliError(
        f"The network {arch.name!r} of {NETWORKS.owner(arch.name)} failed on images of {size}: "
        f"{type(cause).__name__}: {first_line(cause)}."
    )


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """Set the precision of the layers made in the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _resize(images: Any, side: int) -> Any:
    """The images as squares of another side, by bicubic interpolation, in float32."""
    return keras.layers.Resizing(side, side, "bicubic", name=RESIZE, dtype="float32")(images)


def counts(model: keras.Model) -> tuple[int, int]:
    """The number of all parameters, and of those that training changes (no moving statistics)."""
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    return sum(int(np.prod(w.shape)) for w in model.weights if not is_seed(w)), trainable


def is_kernel(name: str) -> bool:
    """Whether a variable is a kernel by its name or key: also a depthwise, pointwise or recurrent one."""
    return "kernel" in name.rpartition("/")[2]


def weighted_groups(model: keras.Model) -> list[tuple[str, ...]]:
    """The weighted layers in the order of the data flow, each with the layers that belong to it.

    A layer without a kernel (batch normalization) belongs to the last one that its input comes from, even
    with branches between the two. A head with hidden layers is one group.
    """
    groups: list[list[str]] = []
    last: dict[str, int] = {}  # the last group that each layer's output comes from
    parents = parent_layers(model)
    for layer in model.operations:
        own = max((last.get(parent, -1) for parent in parents[layer.name]), default=-1)
        variables = [v.name for v in getattr(layer, "weights", []) if not is_seed(v)]
        if variables:
            in_head = own >= 0 and groups[own][0].startswith(f"{HEAD}_")
            if own < 0 or (any(map(is_kernel, variables)) and not in_head):
                groups.append([layer.name])
                own = len(groups) - 1
            else:
                groups[own].append(layer.name)
        last[layer.name] = own
    return [tuple(group) for group in groups]


def embedding_layer(model: keras.Model) -> str:
    layer = producer(model.get_layer(HEAD).input)
    while isinstance(layer, keras.layers.Dropout):
        layer = producer(layer.input)
    return layer.name


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Every weight as an array, by `layer/variable`, in the network's order."""
    return {key: v.numpy() for key, v in variables(model).items()}


def variables(model: keras.Model) -> dict[str, Any]:
    """The Keras variables behind `weights`; the random state of dropout is not among them."""
    return {f"{layer.name}/{name}": v for layer in model.layers for name, v in variable_names(layer).items()}


def assign(model: keras.Model, values: Mapping[str, np.ndarray], what: str = "the checkpoint") -> None:
    """Set weights by name after a check of name and shape; weights not named stay as they are.

    Raises:
        TlcliError: The network has no place for an array.
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
        places[key].assign(keras_private.on_device(np.asarray(value, dtype=places[key].dtype)))


def initial_weights(network: Network, seed: int, purpose: str) -> dict[str, np.ndarray]:
    """New weights from the layers' initializers: the same seed and purpose give the same arrays. Weights
    without an initializer keep their built values.

    The purpose (`base`, `run`) gives a network from scratch another start than its base had.
    """
    fresh = dict(network.fixed)
    for key, variable in variables(network.model).items():
        if key in network.started:
            words = [seed, *f"{purpose}/{key}".encode()]
            fresh[key] = initial_value(variable, network.started[key], words)
    return fresh


def adapt_weights(
    model: keras.Model, images: Any, mean: np.ndarray, std: np.ndarray, sample: int = 5_000
) -> dict[str, np.ndarray]:
    """The weights that layers compute from the training images, without training (patch whitening).

    Args:
        model: A model whose first layers are such layers, which see the images.
        images: uint8, N x H x W x C; at most `sample` of them, evenly spaced, are read.
        mean: The mean of pixels scaled to 0...1, per channel.
        std: The standard deviation of pixels scaled to 0...1, per channel.
    """
    found: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if hasattr(layer, "adapted_variables"):
            pixels = np.asarray(pick_evenly(images, sample), dtype=np.float32) / 255.0
            made = layer.adapted_variables((pixels - mean) / std)
            found.update({f"{layer.name}/{name}": value for name, value in made.items()})
    return found


def pick_evenly(images: Any, most: int) -> Any:
    """At most `most` images, evenly spaced: those of a folder are in the order of their classes."""
    return images[:: max(1, -(-len(images) // most))]


def seed_states(model: keras.Model) -> dict[str, Any]:
    """The variables that hold the random state of dropout, by layer name."""
    return {layer.name: v for layer in model.layers for v in layer.variables if is_seed(v)}


def reset_seed_states(model: keras.Model, seed: int) -> None:
    """Set the random state of every dropout from the seed."""
    for name, state in seed_states(model).items():
        words = np.random.SeedSequence([seed, *name.encode()]).generate_state(1)
        value = np.array([words[0] & 0x7FFFFFFF, 0], dtype=state.dtype)
        state.assign(keras_private.on_device(value))


def in_groups(groups: Iterable[tuple[str, ...]], key: str) -> bool:
    """Whether the weight `layer/variable` belongs to one of the groups."""
    layer = key.split("/", 1)[0]
    return any(layer in group for group in groups)
