"""Faster implementations of some operations, for TensorFlow on a CPU.

Cores with AMX tiles multiply bfloat16 about five times as fast as float32. The functions here replace
operations that do not use the tiles, and those that take most of the remaining time.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from typing import Any

import keras

SMALL_IMAGE = 49
"""The most positions of images for which `conv2d` in bfloat16 computes its gradient shift by shift."""
LANES = 16
"""The number of channels must be a multiple of this, or bfloat16 is slower than float32: by far in batch
normalization, and in convolutions because the casts take longer than they save."""


def on_cpu() -> bool:
    """Whether TensorFlow computes on a CPU, on a system on which these implementations are tested."""
    if keras.backend.backend() != "tensorflow" or sys.platform != "linux":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def gelu(x: Any) -> Any:
    """x times the normal distribution's probability below x (Hendrycks and Gimpel 2016), in one pass.

    TensorFlow takes a pass over the activations for each sum and product, together as long as a convolution.
    x: float32 or bfloat16 (computed in float32), any shape.
    """
    return _gelu()(x)


@functools.cache
def _gelu() -> Callable[[Any], Any]:
    import tensorflow as tf

    def cumulative(x: Any) -> Any:
        return 0.5 + 0.5 * tf.math.erf(x * math.sqrt(0.5))

    @tf.function(jit_compile=True)
    def forward(x: Any) -> Any:
        wide = tf.cast(x, tf.float32)
        return tf.cast(wide * cumulative(wide), x.dtype)

    @tf.function(jit_compile=True)
    def backward(x: Any, gradient: Any) -> Any:
        wide = tf.cast(x, tf.float32)
        density = tf.exp(-0.5 * wide * wide) / math.sqrt(2 * math.pi)
        return tf.cast(tf.cast(gradient, tf.float32) * (cumulative(wide) + wide * density), x.dtype)

    @tf.custom_gradient
    def apply(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        return forward(x), lambda gradient: backward(x, gradient)

    return apply


def conv2d(x: Any, kernel: Any, strides: tuple[int, int], padding: str) -> Any:
    """A convolution without a bias; x: images x height x width x channels, `padding` as TensorFlow has it."""
    import tensorflow as tf

    small = x.dtype == tf.bfloat16 and x.shape[1] * x.shape[2] <= SMALL_IMAGE
    if small and padding == "SAME" and tuple(strides) == (1, 1) and on_cpu():
        return _shifted_convolution()(x, tf.convert_to_tensor(kernel))
    return tf.nn.conv2d(x, kernel, strides, padding)


def bias_add(x: Any, bias: Any) -> Any:
    """Images x height x width x channels plus a bias for each channel."""
    import tensorflow as tf

    bias = tf.convert_to_tensor(bias)
    return _bias_add()(x, bias) if x.dtype == tf.bfloat16 else tf.nn.bias_add(x, bias)


@functools.cache
def _bias_add() -> Callable[[Any, Any], Any]:
    """The same sum, with a gradient that is rounded once.

    TensorFlow's own kernel rounds each partial sum to bfloat16, in which a sum of ones stops at 256, unless
    oneDNN computes it together with the filters' gradient.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def add(x: Any, bias: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        def backward(gradient: Any) -> tuple[Any, Any]:
            return gradient, tf.reduce_sum(gradient, [0, 1, 2])

        return tf.nn.bias_add(x, bias), backward

    return add


@functools.cache
def _shifted_convolution() -> Callable[[Any, Any], Any]:
    """The same convolution; the gradient of its filters is one product of matrices for each of their cells.

    oneDNN's gradient takes 3 to 7 times as long on images of 3x3 to 7x7.
    """
    import tensorflow as tf

    def filters_gradient(x: Any, shape: Any, gradient: Any) -> Any:
        (height, width), (rows, columns, channels, filters) = x.shape[1:3], shape
        above, left = (rows - 1) // 2, (columns - 1) // 2
        padded = tf.pad(x, [[0, 0], [above, rows - 1 - above], [left, columns - 1 - left], [0, 0]])
        below = [padded[:, i : i + height, j : j + width] for i in range(rows) for j in range(columns)]
        gradient = tf.reshape(gradient, (-1, filters))
        made = [tf.matmul(tf.reshape(x, (-1, channels)), gradient, transpose_a=True) for x in below]
        return tf.reshape(tf.stack(made), shape)

    @tf.custom_gradient
    def convolve(x: Any, kernel: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        def backward(gradient: Any) -> tuple[Any, Any]:
            below = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=gradient, strides=[1] * 4, padding="SAME"
            )
            return below, filters_gradient(x, kernel.shape, gradient)

        return tf.nn.conv2d(x, kernel, 1, "SAME"), backward

    return convolve


def dtype_for(channels: int) -> str | None:
    """The type that a layer with `channels` computes in, if it is not that of its network; else None."""
    return "float32" if channels % LANES and on_cpu() else None


def depthwise_conv2d(x: Any, kernel: Any, strides: tuple[int, int], padding: str) -> Any:
    """A depthwise convolution, in float32 if the CPU has no kernel for bfloat16."""
    import tensorflow as tf

    wide, filters = tf.cast(x, tf.float32), tf.cast(kernel, tf.float32)
    wide = tf.nn.depthwise_conv2d(wide, filters, [1, *strides, 1], padding)
    return tf.cast(wide, x.dtype)
