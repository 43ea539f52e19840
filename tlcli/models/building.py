"""Call a builder: check its output, name its layers, and note the initial values of their weights."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tlcli.errors import TlcliError
from tlcli.models import initial, keras_private

BUILDING = threading.RLock()
"""The lock to hold while `add_weight` of Keras is replaced."""


@dataclass
class BuildNotes:
    """Notes made while a network was built."""

    initializers: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    """The variables by id, each with its initializer."""
    unnamed: dict[int, Any] = field(default_factory=dict)
    """The layers and operations without a name of their own, by id."""


@contextmanager
def note_initializers() -> Iterator[BuildNotes]:
    """Note the initializer of every weight made in the block, and the layers without a name.

    Every layer, a user's too, makes its weights by `add_weight`; nothing else in Keras shows the initializer
    of a weight for all layers.
    """
    built = BuildNotes()
    with BUILDING:
        add_weight, start = keras.layers.Layer.add_weight, keras.Operation.__init__

        def note_weight(self: Any, *args: Any, **options: Any) -> Any:
            initializer = options.get("initializer", args[1] if len(args) > 1 else None)
            with keras_private.draw_later():
                variable = add_weight(self, *args, **options)
            built.initializers[id(variable)] = variable, initializer
            return variable

        def note_name(self: Any, *args: Any, **options: Any) -> None:
            start(self, *args, **options)
            if options.get("name") is None:
                built.unnamed[id(self)] = self

        keras.layers.Layer.add_weight, keras.Operation.__init__ = note_weight, note_name
        try:
            yield built
        finally:
            keras.layers.Layer.add_weight, keras.Operation.__init__ = add_weight, start


def initial_value(variable: Any, initializer: Any, words: list[int]) -> np.ndarray:
    """The initial value of a variable, drawn from a seed made of the words."""
    if initializer is None:
        floating = keras.backend.is_float_dtype(variable.dtype)
        initializer = "glorot_uniform" if floating else "zeros"
    initializer = keras.initializers.get(initializer)
    seed = int(np.random.SeedSequence(words).generate_state(1)[0] & 0x7FFFFFFF)
    return initial.draw(initializer, tuple(variable.shape), seed, variable.dtype)


def check_logits(name: str, outputs: Any, classes: int, head: str, built: BuildNotes) -> Any:
    """Check that the output of a builder is the logits of a head, and name the head's layer `head`.

    Raises:
        TlcliError: The output is something else.
    """
    received = type(outputs).__name__
    if isinstance(outputs, keras.KerasTensor):
        received = f"a tensor of shape {outputs.shape}"
    if received != f"a tensor of shape {(None, classes)}":
        raise TlcliError(
            f"The network {name!r} gave {received}; expected the logits, a tensor of shape {(None, classes)}."
        )
    last = keras_private.producer(outputs)
    if not isinstance(last, keras.layers.Dense) or last.activation is not keras.activations.linear:
        activation = getattr(getattr(last, "activation", None), "__name__", "")
        activated = f" with {activation}" if activation not in ("", "linear") else ""
        raise TlcliError(
            f"The network {name!r} ends in {type(last).__name__}{activated}; "
            "expected a Dense layer without activation, which gives the logits."
        )
    last.name = head
    built.unnamed.pop(id(last), None)
    return outputs


def number_unnamed(outputs: Any, unnamed: Mapping[int, Any]) -> None:
    """Number the layers without a name from the builder's first layer.

    Keras numbers them through a whole process. The second network of a program would have other names than
    the first, and a checkpoint would not fit the network it was made from.
    """
    counts: Counter[str] = Counter()
    operations = _operations(outputs)
    taken = {operation.name for operation in operations if id(operation) not in unnamed}
    for operation in operations:
        if id(operation) in unnamed:
            stem = re.sub(r"_\d+$", "", operation.name)
            while (name := f"{stem}_{counts[stem]}" if counts[stem] else stem) in taken:
                counts[stem] += 1
            counts[stem] += 1
            operation.name = name


def _operations(outputs: Any) -> list[Any]:
    """The layers and operations that a tensor comes from, each after those it takes its input from."""
    found: dict[int, Any] = {}
    seen: set[tuple[int, int]] = set()
    stack = [(outputs, False)]
    while stack:
        tensor, inputs_done = stack.pop()
        operation, node, inputs = keras_private.call(tensor)
        if inputs_done:
            found.setdefault(id(operation), operation)
        elif (id(operation), node) not in seen:
            seen.add((id(operation), node))
            stack.append((tensor, True))
            stack += [(below, False) for below in reversed(inputs)]
    return list(found.values())


def variable_names(layer: Any) -> dict[str, Any]:
    """The weights of a layer by unique names, in its order.

    In a layer made of layers, such as attention, two may have one name; their names then have the path of the
    inner layer: `query.kernel`. Keras numbers variables without a name within a process (`variable_36`); here
    they count from the first in the layer.
    """
    weights = [v for v in layer.weights if not is_seed(v)]
    repeated = {name for name, count in Counter(v.name for v in weights).items() if count > 1}
    numbers: dict[str, dict[str, int]] = {}
    found: dict[str, Any] = {}
    for v in weights:
        name = v.name
        if name in repeated:
            name = ".".join(_renumber(part, numbers) for part in v.path.split("/")[1:])
        elif re.fullmatch(r"variable(_\d+)?", name):
            name = _renumber(name, numbers)
        while name in found:
            name += "_"
        found[name] = v
    return found


def _renumber(part: str, numbers: dict[str, dict[str, int]]) -> str:
    """Replace the number at the end of a part of a path by one that counts from the first in the layer."""
    stem = re.sub(r"_\d+$", "", part)
    seen = numbers.setdefault(stem, {})
    number = seen.setdefault(part, len(seen))
    return f"{stem}_{number}" if number else stem


def is_seed(variable: Any) -> bool:
    """Whether a variable is the random state of a layer, not a weight."""
    return "seed_generator_state" in variable.path or variable.name == "seed_generator_state"
