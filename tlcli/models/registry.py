"""The architectures by name. One function and one `@network` make a new one; nothing else changes.

Listing them needs no Keras: a builder imports it when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tlcli.errors import UsageError
from tlcli.models.heads import ALL_LAYERS, HEAD_DROPOUT, HEAD_UNITS, MOST_UNITS, parse_head_units
from tlcli.register import Register, keyword_options

Builder = Callable[..., Any]

RESIZE = "resize"
"""An option of every architecture: the side in pixels to which the network resizes its images.
Files then hold small images, and the network sees large ones."""


@dataclass(frozen=True)
class Pretrained:
    """The preprocessing that published weights of a network expect, and their names in other frameworks.

    A network sees (pixel / 255 - mean) / std, channel by channel, after the channels are put in order.
    """

    mean: tuple[float, ...]
    """One number for each channel, or one for all, in units of pixel / 255."""
    std: tuple[float, ...]
    channel_order: str = "rgb"
    """`rgb` or `bgr`."""
    rescales: bool = False
    """The network takes pixels of 0...255 and rescales them by itself."""
    pytorch_name: Callable[[str], str] | None = None
    """The name of a layer (`block1_expand`) in PyTorch's files: `_blocks.0._expand_conv`."""


@dataclass(frozen=True)
class Architecture:
    """A family of networks. `build(inputs, classes, **options)` gives the logits (a Keras tensor)."""

    name: str
    summary: str
    build: Builder
    defaults: Mapping[str, Any]
    """Its options and their default values; a value given by a user has the type of the default."""
    input_shape: tuple[int, int, int]
    """Height, width and channels of the images it was made for; `archs` counts with these."""
    classes: int
    pretrained: Pretrained | None = None
    """For weights that others published; None if there are none."""
    parameters: tuple[int, int] | None = None
    """All parameters and trainable ones, for these images, classes and defaults; None: `archs` counts
    them."""


NETWORKS: Register[Architecture] = Register("network", "tlcli.networks", "tlcli.models.zoo")


def network(
    name: str,
    summary: str,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    pretrained: Pretrained | None = None,
    parameters: tuple[int, int] | None = None,
) -> Callable[[Builder], Builder]:
    """Register a network: a function of plain Keras layers that gives the logits.

    Args:
        name: What `--arch` takes: letters, digits, dots, dashes, underscores.
        summary: One line for `tlcli archs`.
        input_shape: Height, width and channels that `tlcli archs` counts parameters for.
        classes: The number of classes that `tlcli archs` counts for.
        pretrained: The preprocessing and the names of weights that others published for it.
        parameters: All and trainable ones, for these images and classes; `tlcli archs` then builds nothing.

    The decorated function is called as `build(inputs, classes, **options)` with a Keras tensor of
    (batch, height, width, channels) float32, standardized per channel, and gives one of (batch, classes). Its
    keyword-only arguments are the options that `--arch-option` sets; each has a default, whose type (bool,
    int from 1, float from 0 to below 1, or text) a given value must have. Any layer of Keras or of your own
    works. The layer that computes the logits, usually a Dense layer, is the head, which a transfer replaces.

        import keras
        import tlcli

        @tlcli.network("two-layers", "two convolutions and the head", input_shape=(28, 28, 1))
        def two_layers(inputs, classes, *, filters=16):
            x = keras.layers.Conv2D(filters, 3, activation="relu", name="conv1")(inputs)
            x = keras.layers.Conv2D(filters, 3, activation="relu", name="conv2")(x)
            x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
            return keras.layers.Dense(classes, name="head")(x)

    Files hold the name and the options, never the code. A registered network must therefore compute the same
    for ever; a network that computes otherwise takes another name.

    Raises:
        UsageError: The name has another owner, or an argument has no default.
    """

    def decorate(build: Builder) -> Builder:
        options = keyword_options(build)
        arch = Architecture(name, summary, build, options, input_shape, classes, pretrained, parameters)
        NETWORKS.add(name, arch, build)
        return build

    return decorate


def architectures() -> dict[str, Architecture]:
    """Every architecture by name, in the order of their names."""
    return {arch.name: arch for arch in NETWORKS.values()}


def architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        UsageError: There is none.
    """
    return NETWORKS[name]


def parse_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of an architecture, the given ones (texts or values) checked against the defaults.

    Raises:
        UsageError: An option is unknown, or a value has the wrong type or is out of range.
    """
    arch = architecture(name)
    options = dict(arch.defaults)
    for key, value in given.items():
        if key == HEAD_UNITS:
            options[key] = parse_head_units(value)
        elif key == HEAD_DROPOUT:
            options[key] = _coerce(name, key, value, 0.0)
        elif key == ALL_LAYERS:
            options[key] = _coerce(name, key, value, False)
        elif key == RESIZE:
            options[key] = _coerce(name, key, value, 224)
        elif key not in options:
            has = ", ".join(f"{k} (default {v})" for k, v in options.items()) or "none"
            raise UsageError(f"{name} has no option {key!r}; its options: {has}.")
        else:
            options[key] = _coerce(name, key, value, options[key])
    if HEAD_DROPOUT in options and HEAD_UNITS not in options:
        raise UsageError("`head_dropout`: there is no hidden layer to drop from; give `head_units` too.")
    if HEAD_UNITS in options and options.get(ALL_LAYERS):
        raise UsageError(f"{ALL_LAYERS}: a head with hidden layers reads one layer; give one of the two.")
    return options


def _coerce(name: str, key: str, value: Any, default: Any) -> Any:
    kind = type(default)
    try:
        if kind is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                str(value).lower()
            ]
        if kind is int:
            number = int(str(value))
            if not 1 <= number <= MOST_UNITS:
                raise ValueError
            return number
        if kind is float:
            share = float(value)
            if not 0 <= share < 1:
                raise ValueError
            return share
        if kind is str and isinstance(default, str) and "-" in default:
            widths = [int(part) for part in str(value).split("-")]
            if len(widths) != len(default.split("-")) or not 1 <= min(widths) <= max(widths) <= MOST_UNITS:
                raise ValueError
            return "-".join(map(str, widths))
        return str(value)
    except (ValueError, KeyError, TypeError):
        whole = f"a whole number from 1 to {MOST_UNITS:,}"
        expected = {bool: "true or false", int: whole, float: "a number from 0 to below 1"}
        raise UsageError(
            f"{name}: received {key}={value}, expected {expected.get(kind, f'a value like {default}')} "
            f"(default {default})."
        ) from None
