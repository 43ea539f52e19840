"""Networks that a file names and describes, built without making what the file does not hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from tlcli.errors import TlcliError
from tlcli.models.building import BUILDING
from tlcli.models.network import HEAD
from tlcli.models.registry import HEAD_OPTIONS
from tlcli.store.budget import FLOOR
from tlcli.store.records import Checkpoint

_FLOAT_BYTES = 4
_MOST_OWN = 64
"""Weights that the head which an architecture has of its own may have, where the file has another."""


@contextmanager
def require_stored_shapes(checkpoint: Checkpoint) -> Iterator[None]:
    """While a network is built, hold each weight's shape against a checkpoint's arrays before it is made.

    So widths, the number of layers and the total are bounded by what the file holds, whatever its options
    say. Where there is no head, or another than the architecture's own, that one is not stored: it is made of
    zeros, and may take as much memory as everything that is stored, and `budget.FLOOR` bytes more.

    Raises:
        TlcliError: a weight for which there is no array.
    """
    left = Counter(tuple(array.shape) for array in checkpoint.weights.values())
    replaced = not checkpoint.class_names or any(checkpoint.options.get(option) for option in HEAD_OPTIONS)
    entries = (FLOOR // _FLOAT_BYTES + sum(array.size for array in checkpoint.weights.values())) * replaced
    number = (_MOST_OWN + len(checkpoint.weights)) * replaced

    def add_weight(layer: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal entries, number
        wanted = _plain(options.get("shape", arguments[0] if arguments else None))
        if left[wanted]:
            left[wanted] -= 1
        else:
            entries, number = entries - math.prod(wanted), number - 1
            options["initializer"] = "zeros"
            if min(entries, number) < 0 or layer.name.startswith(f"{HEAD}_"):
                raise TlcliError(
                    f"The checkpoint holds no array of the shape {wanted}, which {layer.name} of "
                    f"{checkpoint.architecture}{_options_text(checkpoint.options)} has; it was "
                    "changed or damaged."
                )
        return plain(layer, *arguments, **options)

    with BUILDING:
        plain = keras.layers.Layer.add_weight
        keras.layers.Layer.add_weight = add_weight
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = plain


def _plain(shape: Any) -> tuple[int, ...]:
    return () if shape is None else (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)


def _options_text(options: Mapping[str, Any]) -> str:
    return f" with {', '.join(f'{key}={value}' for key, value in options.items())}"[:200] if options else ""
