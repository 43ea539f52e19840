"""What TensorFlow computes faster on a CPU when it is asked in another way; the same formulas throughout.

Measured on two cores with AMX tiles, which multiply bfloat16 some five times as fast as float32: what is here
is what stood in the way of that, or took longest beside it.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from typing import Any

import keras

SMALL_IMAGE = 49
"""Up to so many positions the gradient of a bfloat16 convolution's filters is taken shift by shift."""
LANES = 16
"""Channels come in multiples of it, or bfloat16 is slower than float32: by far in batch normalization, and
convolutions gain less than the casts between the two take."""


def on_cpu() -> bool:
    """Does TensorFlow compute here, without a GPU, and on the system where all this has been tried?"""
    if keras.backend.backend() != "tensorflow" or sys.platform != "linux":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def gelu(x: Any) -> Any:
    """x times the normal distribution's probability below x (Hendrycks and Gimpel 2016), in one pass.

    TensorFlow takes one pass over the activations for each of its sums and products, which together take as
    long as a convolution. x: float32 or bfloat16 (computed in float32), any shape.
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
    """The same sum with a gradient that is right, and rounded once.

    TensorFlow's own kernel rounds each partial sum to bfloat16, where ones end at 256, unless oneDNN computes
    it along with the filters' gradient.
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

    oneDNN's own took more than half of a step where images are small: 3 to 7 times as long at 3x3 and 7x7.
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
    """What a layer with so many channels is to compute in, where that is not what its network computes in."""
    return "float32" if channels % LANES and on_cpu() else None


def depthwise_conv2d(x: Any, kernel: Any, strides: tuple[int, int], padding: str) -> Any:
    """A depthwise convolution, in float32 where the CPU has no kernel for bfloat16."""
    import tensorflow as tf

    wide, filters = tf.cast(x, tf.float32), tf.cast(kernel, tf.float32)
    wide = tf.nn.depthwise_conv2d(wide, filters, [1, *strides, 1], padding)
    return tf.cast(wide, x.dtype)
