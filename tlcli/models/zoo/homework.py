"""The networks of the CIFAR-100 to CIFAR-10 homework: a plain CNN, a small DenseNet, VGG-16 for 32x32."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "plain-cnn",
    "homework report: plain CNN with 49,268 parameters",
    input_shape=(32, 32, 3),
    classes=10,
)
def plain_cnn(inputs: Any, classes: int, *, dropout: float = 0.25) -> Any:
    from tlcli.models.layers import conv, dense, dropped, flatten, max_pool

    x = conv(inputs, 30, name="conv1", activation="relu")
    x = conv(x, 30, name="conv2", padding="valid", activation="relu")
    x = dropped(max_pool(x, name="pool1"), dropout, name="dropout1")
    x = conv(x, 48, name="conv3", padding="valid", activation="relu")
    x = max_pool(x, name="pool2")
    x = conv(x, 48, name="conv4", padding="valid", activation="relu")
    x = flatten(dropped(max_pool(x, name="pool3"), dropout, name="dropout2"))
    x = dense(x, 32, name="dense1", activation="relu")
    return dense(dropped(x, dropout, name="dropout3"), classes, name="head")


@network(
    "densenet",
    "homework report: DenseNet of 3 blocks of 2 bottleneck layers, growth 12: 45,634 parameters",
    input_shape=(32, 32, 3),
    classes=10,
)
def densenet(inputs: Any, classes: int, *, growth: int = 12) -> Any:
    """Huang et al., "Densely connected convolutional networks", CVPR 2017; no biases but the head's."""
    from tlcli.models.layers import (
        average_pool,
        batch_norm,
        concatenate,
        conv,
        dense,
        global_average_pool,
        relu,
    )

    def bn_relu_conv(x: Any, width: int, size: int, name: str) -> Any:
        x = relu(batch_norm(x, name=f"{name}_bn"), name=f"{name}_relu")
        return conv(x, width, name=name, size=size, bias=False)

    x = conv(inputs, 2 * growth, name="conv1", bias=False)
    for block in (1, 2, 3):
        for layer in (1, 2):
            name = f"block{block}_layer{layer}"
            y = bn_relu_conv(x, 4 * growth, 1, f"{name}_bottleneck")
            y = bn_relu_conv(y, growth, 3, f"{name}_conv")
            x = concatenate([y, x], name=f"{name}_concat")
        if block < 3:
            x = bn_relu_conv(x, 2 * growth, 1, f"transition{block}")
            x = average_pool(x, name=f"pool{block}")
    x = relu(batch_norm(x, name="last_bn"), name="last_relu")
    return dense(global_average_pool(x, name="gap"), classes, name="head")


@network(
    "vgg16",
    "VGG-16 for 32x32 images: 13 convolutions and dense 512, each with batch norm and dropout",
    input_shape=(32, 32, 3),
    classes=100,
)
def vgg16(inputs: Any, classes: int, *, dropout: bool = True) -> Any:
    """Simonyan & Zisserman (2015) as the published CIFAR-100 base of the homework builds it.

    Convolution, ReLU, batch normalization, in that order; `dropout` switches its 0.3 to 0.5 on or off.
    """
    from tlcli.models.layers import batch_norm, conv, dense, dropped, flatten, max_pool

    x = inputs
    number = 0
    for widths in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for position, width in enumerate(widths):
            number += 1
            x = conv(x, width, name=f"conv{number}", activation="relu")
            x = batch_norm(x, name=f"conv{number}_bn")
            if position < len(widths) - 1:
                rate = 0.3 if number == 1 else 0.4
                x = dropped(x, rate if dropout else 0.0, name=f"dropout{number}")
        x = max_pool(x, name=f"pool{number}")
    x = flatten(dropped(x, 0.5 if dropout else 0.0, name="dropout_flat"))
    x = batch_norm(dense(x, 512, name="dense1", activation="relu"), name="dense1_bn")
    return dense(dropped(x, 0.5 if dropout else 0.0, name="dropout_dense"), classes, name="head")
