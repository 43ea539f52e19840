"""A small DenseNet."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "densenet",
    "DenseNet of 3 blocks of 2 bottleneck layers, growth 12",
    input_shape=(32, 32, 3),
    classes=10,
    parameters=(45_634, 44_410),
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
