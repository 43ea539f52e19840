"""Keras's private names, in one place. A test checks the behaviour of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np

from tlcli.models import initial


def producer(tensor: Any) -> Any:
    """The layer or operation that gives a Keras tensor."""
    return tensor._keras_history.operation


def call(tensor: Any) -> tuple[Any, int, list[Any]]:
    """The layer or operation that gives a Keras tensor, the number of the call, and the tensors it took."""
    operation, number, _ = tensor._keras_history
    return operation, number, list(operation._inbound_nodes[number].input_tensors)


def calls(model: Any) -> list[tuple[Any, list[Any]]]:
    """The calls of a functional model: each a layer or operation and the tensors it took. A layer has other
    calls, too, in the networks that were cut from this one."""
    nodes = [node for nodes in model._nodes_by_depth.values() for node in nodes]
    return [(node.operation, list(node.input_tensors)) for node in nodes]


def call_again(model: Any, inputs: Any, replace: Callable[[Any], Any]) -> Any:
    """The outputs of a functional model for other inputs, with a new layer or operation in place of each."""
    made: dict[int, Any] = {}

    def renew(operation: Any) -> Any:
        if id(operation) not in made:
            made[id(operation)] = replace(operation)
        return made[id(operation)]

    return model._run_through_graph(inputs, operation_fn=renew)


def adam_moments(optimizer: Any, variable: Any) -> tuple[Any, Any]:
    """Adam's moving averages of a variable's gradient and of its square."""
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]


def sgd_momentum(optimizer: Any, variable: Any) -> Any:
    """SGD's momentum of a variable."""
    return optimizer.momentums[optimizer._get_variable_index(variable)]


def rate_variable(optimizer: Any) -> Any:
    """The variable that holds an optimizer's learning rate, one of `optimizer.variables`."""
    return optimizer._learning_rate


def on_device(value: np.ndarray) -> Any:
    """Put an array on the device, to assign it to a variable: else JAX compiles a program for its shape."""
    if keras.backend.backend() != "jax":
        return value
    import jax

    return jax.device_put(value)


_DRAWN_LATER: ContextVar[bool] = ContextVar("drawn later", default=False)


@contextmanager
def draw_later() -> Iterator[None]:
    """Let variables with random values hold zeros, within `initialize_with_numpy`."""
    token = _DRAWN_LATER.set(True)
    try:
        yield
    finally:
        _DRAWN_LATER.reset(token)


@contextmanager
def initialize_with_numpy() -> Iterator[None]:
    """Let numpy make the first values of variables, under JAX.

    JAX would compile every operation of an initializer for every shape.
    """
    kind = keras.Variable
    if keras.backend.backend() != "jax" or not hasattr(kind, "_initialize_with_initializer"):
        yield
        return
    own = kind.__dict__.get("_initialize_with_initializer")

    def initialize(variable: Any, initializer: Any) -> None:
        shape = tuple(variable.shape)
        if variable.name == "seed_generator_state" or (_DRAWN_LATER.get() and initial.draws(initializer)):
            value = np.zeros(shape, variable.dtype)
        else:
            value = initial.draw(initializer, shape, getattr(initializer, "seed", 0), variable.dtype)
        variable._initialize(on_device(value))

    kind._initialize_with_initializer = initialize
    try:
        yield
    finally:
        if own is None:
            del kind._initialize_with_initializer
        else:
            kind._initialize_with_initializer = own
