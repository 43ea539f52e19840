"""Draw initial values of weights with numpy: the same on every backend, without compiling."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

_ROUNDS, _BLOCK = 10, 1 << 15
_SCRAMBLE = 0x3EC8F720, 0x02461E29


def draw(initializer: Any, shape: tuple[int, ...], seed: int, dtype: str = "float32") -> np.ndarray:
    """The values of an initializer of Keras, or of a function of a shape, for a seed.

    Uniform values equal those of TensorFlow bit for bit (Philox 4x32, Salmon et al. 2011); normal ones have
    Keras's distribution.
    """
    value = _draw(initializer, shape, seed)
    if value is None and not isinstance(initializer, keras.initializers.Initializer):
        value = initializer(shape, dtype=dtype)
    elif value is None:
        config = initializer.get_config()
        made = type(initializer).from_config(config | ({"seed": seed} if "seed" in config else {}))
        value = made(shape, dtype=dtype)
    return np.asarray(keras.ops.convert_to_numpy(value), dtype=dtype)


def draws(initializer: Any) -> bool:
    """Whether the values of an initializer depend on a seed."""
    return hasattr(initializer, "seed")


def _draw(initializer: Any, shape: tuple[int, ...], seed: int) -> np.ndarray | None:
    """The values of a known initializer, float32; None for another."""
    kinds = keras.initializers
    generator = np.random.default_rng(seed)
    if isinstance(initializer, kinds.VarianceScaling):
        scale = initializer.scale / _fans(shape, initializer.mode)
        if initializer.distribution == "uniform":
            limit = math.sqrt(3.0 * scale)
            return _uniform(shape, -limit, limit, seed)
        if initializer.distribution == "untruncated_normal":
            return _normal(generator, shape, math.sqrt(scale))
        return _truncated_normal(generator, shape, math.sqrt(scale) / 0.87962566103423978)
    if isinstance(initializer, kinds.RandomUniform):
        return _uniform(shape, initializer.minval, initializer.maxval, seed)
    if isinstance(initializer, kinds.RandomNormal):
        return np.float32(initializer.mean) + _normal(generator, shape, initializer.stddev)
    if isinstance(initializer, kinds.TruncatedNormal):
        return np.float32(initializer.mean) + _truncated_normal(generator, shape, initializer.stddev)
    if isinstance(initializer, kinds.Orthogonal) and len(shape) > 1:
        return np.float32(initializer.gain) * _orthogonal(generator, shape)
    values = ((kinds.Zeros, 0), (kinds.Ones, 1), (kinds.Constant, getattr(initializer, "value", 0)))
    found = (np.full(shape, value, np.float32) for kind, value in values if isinstance(initializer, kind))
    return next(found, None)


def _fans(shape: tuple[int, ...], mode: str) -> float:
    """The number of inputs or outputs of a unit, or their mean; at least 1."""
    field = math.prod(shape[:-2])
    fan_in, fan_out = (shape[-2] * field, shape[-1] * field) if len(shape) > 1 else (math.prod(shape),) * 2
    return max(1.0, {"fan_in": fan_in, "fan_out": fan_out}.get(mode, (fan_in + fan_out) / 2))


def _normal(generator: np.random.Generator, shape: tuple[int, ...], std: float) -> np.ndarray:
    return generator.standard_normal(shape, np.float32) * np.float32(std)


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...], std: float) -> np.ndarray:
    """Normal values; those beyond two standard deviations are drawn again."""
    made = generator.standard_normal(shape, np.float32)
    while (far := np.abs(made) > 2).any():
        made[far] = generator.standard_normal(int(far.sum()), np.float32)
    return made * np.float32(std)


def _orthogonal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Rows or columns, whichever are fewer, that are orthonormal (Saxe et al. 2014)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    drawn = generator.standard_normal((max(rows, columns), min(rows, columns)))
    made, triangle = np.linalg.qr(drawn)
    made *= np.sign(np.diag(triangle))
    return (made.T if rows < columns else made).reshape(shape).astype(np.float32)


def _uniform(shape: tuple[int, ...], low: float, high: float, seed: int) -> np.ndarray:
    """`tf.random.stateless_uniform` of Keras's seed: 23 bits of each word of a Philox stream."""
    number = math.prod(shape)
    counter = np.array([[seed % (2**31 - 2), 0, 0, 0]], np.uint64)
    key_low, key_high, third, fourth = (int(word) for word in _philox(counter, _SCRAMBLE)[0])
    made = np.empty((-(-number // 4), 4), np.float32)
    for start in range(0, len(made), _BLOCK):  # in blocks that stay in the cache
        stop = min(start + _BLOCK, len(made))
        counters = np.empty((stop - start, 4), np.uint64)
        counters[:] = 0, 0, third, fourth
        counters[:, 0] = np.arange(start, stop)
        words = _philox(counters, (key_low, key_high)).astype(np.uint32)
        made[start:stop] = ((words & 0x7FFFFF) | 0x3F800000).view(np.float32) - 1
    bottom, top = np.float32(low), np.float32(high)
    return (made.reshape(-1)[:number] * (top - bottom) + bottom).reshape(shape)


def _philox(counters: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox 4x32-10: N x 4 words of 32 bits, in uint64, from as many of counters."""
    a, b, c, d = counters.T
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    first, second = key
    for _ in range(_ROUNDS):
        left, right = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b = (right >> half) ^ b ^ np.uint64(first), right & mask
        c, d = (left >> half) ^ d ^ np.uint64(second), left & mask
        first, second = (first + 0x9E3779B9) & 0xFFFFFFFF, (second + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([a, b, c, d], axis=1)
