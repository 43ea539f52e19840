"""The layers of the architectures: thin functions over Keras that name each layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from tlcli.models import kernels


class FusedConv2D(layers.Conv2D):
    """Keras's convolution with TensorFlow's bias addition: same variables, same results, faster.

    Keras 3 adds the bias as a broadcast sum, which TensorFlow neither fuses with the convolution in
    inference nor reduces quickly in the gradient.
    """

    def call(self, inputs: Any) -> Any:
        if keras.backend.backend() != "tensorflow":
            return super().call(inputs)
        outputs = kernels.conv2d(inputs, self.kernel, self.strides, self.padding.upper())
        if self.use_bias:
            outputs = kernels.bias_add(outputs, self.bias)
        return self.activation(outputs)

    def counterpart(self) -> layers.Layer:
        """The layer of Keras that does the same, without weights, for exported files."""
        return layers.Conv2D.from_config(self.get_config())


class FusedBatchNormalization(layers.BatchNormalization):
    """Keras's batch normalization on TensorFlow's fused kernel: same variables, same results, faster.

    Keras 3 computes it from separate moments and arithmetic; on a CPU the fused kernel trains the
    narrow networks about twice as fast. The moving variance is the population variance, as in Keras.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if keras.backend.backend() != "tensorflow" or len(inputs.shape) != 4 or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        if not (training and self.trainable):
            return tf.compat.v1.nn.fused_batch_norm(
                inputs,
                self.gamma,
                self.beta,
                self.moving_mean,
                self.moving_variance,
                self.epsilon,
                is_training=False,
            )[0]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon
        )
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), variance.dtype)
        variance *= (count - 1) / count  # the kernel gives the sample variance
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs

    def counterpart(self) -> layers.Layer:
        """The layer of Keras's own that does the same, without weights."""
        return layers.BatchNormalization.from_config(self.get_config())


class FusedGelu(layers.Activation):
    """Keras's GELU, in one pass over the activations on a CPU."""

    def __init__(self, **options: Any) -> None:
        super().__init__("gelu", **options)

    def call(self, inputs: Any) -> Any:
        return kernels.gelu(inputs) if kernels.on_cpu() else super().call(inputs)

    def counterpart(self) -> layers.Layer:
        """The layer of Keras's own that does the same."""
        return layers.Activation("gelu", name=self.name)


class Depthwise(layers.DepthwiseConv2D):
    """Keras's depthwise convolution, in a type for which the CPU has a kernel."""

    def call(self, inputs: Any) -> Any:
        if self.compute_dtype == "float32" or not kernels.on_cpu():
            return super().call(inputs)
        return kernels.depthwise_conv2d(inputs, self.kernel, self.strides, self.padding.upper())

    def counterpart(self) -> layers.Layer:
        """The layer of Keras's own that does the same, without weights."""
        return layers.DepthwiseConv2D.from_config(self.get_config())


class PatchWhitening(layers.Layer):
    """A convolution whose filters are made from images, not trained: they decorrelate the pixels of a patch.

    The filters are the principal components of the patches, each divided by its standard deviation, and their
    negatives (so that a one-sided activation may follow). The layer has no bias, so it trains nothing, and no
    gradient passes this layer, which sees the most pixels.
    """

    def __init__(self, size: int, *, epsilon: float = 5e-4, **options: Any) -> None:
        super().__init__(**options)
        self.size, self.epsilon = size, epsilon
        self.kernel_initializer = keras.initializers.get("orthogonal")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        components = self.size * self.size * int(input_shape[-1] or 0)
        shape = (self.size, self.size, input_shape[-1], 2 * components)
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=self.kernel_initializer, trainable=False
        )

    def call(self, inputs: Any) -> Any:
        return keras.ops.conv(inputs, self.kernel, padding="valid")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Batch, height, width and filters: half of them components, half their negatives."""
        batch, *sides, channels = input_shape
        kept = [None if side is None else side - self.size + 1 for side in sides]
        return (batch, *kept, 2 * self.size * self.size * int(channels or 0))

    def counterpart(self) -> layers.Layer:
        """The layer of Keras's own that does the same, without weights."""
        filters = self.kernel.shape[-1]
        return layers.Conv2D(filters, self.size, use_bias=False, trainable=False, name=self.name)

    def adapted_variables(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The filters that whiten these images (standardised, float32, N x H x W x C), by variable name."""
        windows = np.lib.stride_tricks.sliding_window_view(images, (self.size, self.size), axis=(1, 2))
        patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, self.size**2 * images.shape[-1])
        patches = patches.astype(np.float64)
        variances, components = np.linalg.eigh(np.cov(patches, rowvar=False).reshape(patches.shape[1], -1))
        largest = components[np.abs(components).argmax(axis=0), np.arange(components.shape[1])]
        components *= np.sign(largest)  # LAPACK may give either of the two directions
        filters = components / np.sqrt(np.maximum(variances, 0) + self.epsilon)
        kernel = np.concatenate([filters, -filters], axis=1)
        return {"kernel": kernel.reshape(self.kernel.shape).astype(np.float32)}


def conv(
    x: Any,
    filters: int,
    *,
    name: str,
    size: int = 3,
    padding: str = "same",
    activation: str | None = None,
    bias: bool = True,
    strides: int = 1,
) -> Any:
    """A convolution with Keras's default (Glorot uniform) initial weights."""
    return FusedConv2D(
        filters,
        size,
        strides=strides,
        padding=padding,
        activation=activation,
        use_bias=bias,
        name=name,
        dtype=kernels.dtype_for(filters),
    )(x)


def depthwise(x: Any, *, name: str, size: int = 3, strides: int = 1) -> Any:
    """One filter for each channel, without a bias."""
    return Depthwise(size, strides=strides, padding="same", use_bias=False, name=name)(x)


def squeeze_excitation(x: Any, units: int, *, name: str) -> Any:
    """Weight each channel by a function of the means of all channels (Hu et al. 2018)."""
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    weight = conv(weight, units, name=f"{name}_in", size=1, activation="relu")
    weight = conv(weight, x.shape[-1], name=f"{name}_out", size=1, activation="sigmoid")
    return layers.Multiply(name=name)([x, weight])


def batch_norm(x: Any, *, name: str, momentum: float = 0.99) -> Any:
    """`momentum` is the share of the old values in the moving statistics; less suits short trainings."""
    dtype = kernels.dtype_for(x.shape[-1])
    return FusedBatchNormalization(name=name, momentum=momentum, dtype=dtype)(x)


def conv_bn_relu(x: Any, filters: int, *, number: int, momentum: float = 0.99) -> Any:
    """Convolution, batch normalization, ReLU; all three have the convolution's number in their names."""
    x = conv(x, filters, name=f"conv{number}")
    x = batch_norm(x, name=f"conv{number}_bn", momentum=momentum)
    return relu(x, name=f"conv{number}_relu")


def dense(x: Any, units: int, *, name: str, activation: str | None = None) -> Any:
    return layers.Dense(units, activation=activation, name=name)(x)


def add_dropout(x: Any, rate: float, *, name: str, per_image: bool = False) -> Any:
    """Add dropout, or nothing at rate 0, so that a network without dropout has no random state.

    `per_image` drops all activations of an image together (stochastic depth).
    """
    shape = (None, *(1 for _ in x.shape[1:])) if per_image else None
    return layers.Dropout(rate, noise_shape=shape, name=name)(x) if rate else x


def relu(x: Any, *, name: str, most: float | None = None) -> Any:
    """max(x, 0), or min(max(x, 0), most) if `most` is given (ReLU6)."""
    # The layer computes in the precision of x: without a cast between, TensorFlow fuses the two.
    return layers.ReLU(max_value=most, name=name, dtype=x.dtype)(x)


def gelu(x: Any, *, name: str) -> Any:
    return FusedGelu(name=name)(x)


def max_pool(x: Any, *, name: str) -> Any:
    return layers.MaxPooling2D(2, name=name, dtype=x.dtype)(x)


def average_pool(x: Any, *, name: str) -> Any:
    return layers.AveragePooling2D(2, name=name)(x)


def global_average_pool(x: Any, *, name: str) -> Any:
    return layers.GlobalAveragePooling2D(name=name)(x)


def add(xs: list[Any], *, name: str) -> Any:
    return layers.Add(name=name)(xs)


def flatten(x: Any) -> Any:
    return layers.Flatten(name="flatten")(x)


def concatenate(xs: list[Any], *, name: str) -> Any:
    return layers.Concatenate(name=name)(xs)
