"""Rebuild the network of a checkpoint without making weights that the file does not hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from tlcli.errors import TlcliError
from tlcli.models.building import BUILDING
from tlcli.models.heads import HEAD_OPTIONS
from tlcli.models.network import HEAD
from tlcli.store.budget import FLOOR
from tlcli.store.records import Checkpoint

_FLOAT_BYTES = 4
_MOST_OWN = 64
"""The most weights of an architecture's own head, if the file has another head."""


@contextmanager
def require_stored_shapes(checkpoint: Checkpoint) -> Iterator[None]:
    """Require an array of the checkpoint for the shape of each weight, before the weight is made.

    The arrays of the file thus bound widths, the number of layers and the total, whatever its options say. If
    the file has no head, or another than the architecture's own, the own head is not stored. It is made of
    zeros and may take as much memory as all stored arrays, and `budget.FLOOR` bytes more.

    Raises:
        TlcliError: A weight has no array.
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
