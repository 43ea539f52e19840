"""Three networks and their training written in JAX alone: what `jax_loop.py` and `gpu.py` compare with.

Images lie on the device as bytes; a step gathers its batch by index, and many steps are one program.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

STEPS = 256
"""Of one call."""


class Scope:
    """Hands weights and moving statistics to the layers of a network, in their order; draws them first."""

    def __init__(self, weights: list[Any] | None = None, statistics: list[Any] | None = None) -> None:
        self.first = weights is None
        self.weights, self.statistics = weights or [], statistics or []
        self._next, self.after = [0, 0], list[Any]()
        self._rng = np.random.default_rng(0)

    def weight(self, *shape: int, start: float | None = None) -> Any:
        if self.first:
            drawn = self._rng.standard_normal(shape) * np.sqrt(1 / max(1, np.prod(shape[:-1])))
            self.weights.append(np.float32(drawn if start is None else np.full(shape, start)))
        self._next[0] += 1
        return self.weights[self._next[0] - 1]

    def moving(self, start: float, now: Any, momentum: float) -> None:
        if self.first:
            self.statistics.append(np.full(now.shape, start, np.float32))
        self._next[1] += 1
        self.after.append(momentum * self.statistics[self._next[1] - 1] + (1 - momentum) * now)


def conv(scope: Scope, x: Any, filters: int, *, padding: str = "SAME", bias: bool = True) -> Any:
    kernel = scope.weight(3, 3, x.shape[-1], filters).astype(x.dtype)
    x = lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return x + scope.weight(filters, start=0).astype(x.dtype) if bias else x


def batch_norm(scope: Scope, x: Any, momentum: float) -> Any:
    wide = x.astype("float32")
    mean, variance = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
    scope.moving(0, mean, momentum)
    scope.moving(1, variance, momentum)
    scale = scope.weight(x.shape[-1], start=1) * lax.rsqrt(variance + 1e-3)
    return ((wide - mean) * scale + scope.weight(x.shape[-1], start=0)).astype(x.dtype)


def dense(scope: Scope, x: Any, units: int) -> Any:
    return x @ scope.weight(x.shape[-1], units).astype(x.dtype) + scope.weight(units, start=0).astype(x.dtype)


def max_pool(x: Any) -> Any:
    low = np.array(-np.inf, x.dtype)
    return lax.reduce_window(x, low, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def cnn2(scope: Scope, x: Any, classes: int, filters: str) -> Any:
    for _ in range(2):
        x = jax.nn.relu(conv(scope, x, 32, padding="VALID"))
    x = max_pool(x).reshape(len(x), -1)
    return dense(scope, jax.nn.relu(dense(scope, x, 128)), classes)


def cnn6_bn(scope: Scope, x: Any, classes: int, filters: str) -> Any:
    for width in map(int, filters.split("-")):
        for _ in range(2):
            x = jax.nn.relu(batch_norm(scope, conv(scope, x, width), 0.99))
        x = max_pool(x)
    return dense(scope, x.reshape(len(x), -1), classes)


def whitened_cnn(scope: Scope, x: Any, classes: int, filters: str) -> Any:
    patches = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))[0].reshape(2, 2, 3, 12)
    kernel = jnp.asarray(np.concatenate([patches, -patches], -1), x.dtype)
    x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    x = jax.nn.gelu(x, approximate=False)
    for width in map(int, filters.split("-")):
        x = max_pool(conv(scope, x, width, bias=False))
        first = x = jax.nn.gelu(batch_norm(scope, x, 0.9), approximate=False)
        x = jax.nn.gelu(batch_norm(scope, conv(scope, x, width, bias=False), 0.9), approximate=False)
        x = first + batch_norm(scope, conv(scope, x, width, bias=False), 0.9)
        x = jax.nn.gelu(x, approximate=False)
    return dense(scope, x.mean((1, 2)).astype("float32"), classes)


NETWORKS = {"cnn2": cnn2, "cnn6-bn": cnn6_bn, "whitened-cnn": whitened_cnn}


def adam(
    weights: list[Any], gradients: list[Any], state: tuple[Any, ...]
) -> tuple[list[Any], tuple[Any, ...]]:
    number, mean, square = state
    number = number + 1
    mean = [0.9 * m + 0.1 * g for m, g in zip(mean, gradients, strict=True)]
    square = [0.999 * v + 0.001 * g * g for v, g in zip(square, gradients, strict=True)]
    rate = 1e-3 * jnp.sqrt(1 - 0.999**number) / (1 - 0.9**number)
    moved = [w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(weights, mean, square, strict=True)]
    return moved, (number, mean, square)


def nesterov(
    weights: list[Any], gradients: list[Any], state: tuple[Any, ...]
) -> tuple[list[Any], tuple[Any, ...]]:
    number, mean, square = state
    mean = [0.9 * m - 1e-3 * g for m, g in zip(mean, gradients, strict=True)]
    moved = [w + 0.9 * m - 1e-3 * g for w, m, g in zip(weights, mean, gradients, strict=True)]
    return moved, (number, mean, square)


class Loop:
    """The training of a network on images and labels, compiled with the first call.

    Args:
        name: One of `NETWORKS`.
        images: uint8, N x H x W x C.
        labels: N.
        batch: Images per step.
        filters: Per block.
        mixed: Compute in bfloat16, all but the head of `whitened-cnn`.
        how: `scan`, `fori` (as many steps as an argument says, over indices of fixed length) or `single`, one
            step per call.
        models: So many networks in one step, by `vmap`.
    """

    def __init__(
        self,
        name: str,
        images: np.ndarray,
        labels: np.ndarray,
        batch: int,
        *,
        filters: str = "8-16-32",
        mixed: bool = False,
        how: str = "scan",
        models: int = 1,
    ) -> None:
        self.batch, self.models, self.how = batch, models, how
        self._images, self._labels = jnp.asarray(images), jnp.asarray(labels)
        self._network, self._classes, self._filters = NETWORKS[name], int(labels.max()) + 1, filters
        self._kind = "bfloat16" if mixed else "float32"
        self._update = nesterov if name == "whitened-cnn" else adam
        scope = Scope()
        jax.eval_shape(lambda x: self._logits(scope, x), jnp.zeros((2, *images.shape[1:]), "uint8"))
        zeros = [np.zeros_like(weight) for weight in scope.weights]
        state = scope.weights, scope.statistics, (np.float32(0), zeros, zeros)
        self._state = jax.tree.map(jnp.array, state)
        one = self._one
        if models > 1:
            self._state = jax.tree.map(lambda x: jnp.stack([x] * models), self._state)
            one = jax.vmap(self._one)
        looped = {
            "scan": lambda state, indices, count: lax.scan(one, state, indices),
            "fori": self._counted(one),
            "single": one,
        }[how]
        self._compiled = jax.jit(looped, donate_argnums=0)
        self._rng = np.random.default_rng(2)

    def _logits(self, scope: Scope, x: Any) -> Any:
        prepared = ((x.astype("float32") / 255 - 0.5) / 0.25).astype(self._kind)
        return self._network(scope, prepared, self._classes, self._filters).astype("float32")

    def _one(self, state: Any, index: Any) -> Any:
        weights, statistics, optimizer = state
        x, y = self._images[index], self._labels[index]

        def loss(weights: list[Any]) -> Any:
            scope = Scope(weights, statistics)
            chosen = jnp.take_along_axis(jax.nn.log_softmax(self._logits(scope, x)), y[:, None], 1)
            return -chosen.mean(), scope.after

        (value, statistics), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
        weights, optimizer = self._update(weights, gradients, optimizer)
        return (weights, statistics, optimizer), value

    @staticmethod
    def _counted(one: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
        def looped(state: Any, indices: Any, count: Any) -> Any:
            def body(number: Any, carry: Any) -> Any:
                state, losses = carry
                state, loss = one(state, indices[number])
                return state, losses.at[number].set(loss)

            losses = jnp.zeros(indices.shape[:-1], "float32")
            return lax.fori_loop(0, count, body, (state, losses))

        return looped

    def steps(self, count: int = STEPS) -> None:
        """Do so many steps and wait for them."""
        several = (self.models,) if self.models > 1 else ()
        shape = (count, *several, self.batch)
        indices = self._rng.integers(0, len(self._images), shape).astype(np.int32)
        if self.how == "single":
            for index in indices:
                self._state, losses = self._compiled(self._state, index)
        else:
            self._state, losses = self._compiled(self._state, indices, np.int32(count))
        assert np.isfinite(np.asarray(losses)).all()

    def rate(
        self, seconds: float, count: int = STEPS, clock: Callable[[], float] = time.perf_counter
    ) -> float:
        """Images per second, of all networks together; the first call, which compiles, is not counted."""
        self.steps(count)
        began, done = clock(), 0
        while not done or clock() - began < seconds:
            self.steps(count)
            done += count
        return done * self.batch * self.models / (clock() - began)
