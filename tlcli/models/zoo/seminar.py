"""The two networks of the seminar talk after Yosinski et al. (2014)."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "cnn8",
    "seminar, first network: 8 padded convolutions of 3 filters, flatten, head",
    input_shape=(32, 32, 3),
    classes=5,
)
def cnn8(inputs: Any, classes: int, *, filters: int = 3) -> Any:
    from tlcli.models.layers import conv, dense, flatten

    x = inputs
    for number in range(1, 9):
        x = conv(x, filters, name=f"conv{number}", activation="relu")
    return dense(flatten(x), classes, name="head")


@network(
    "cnn6-bn",
    "seminar, final network: 3 blocks of (convolution, batch norm, ReLU) twice and a max-pool, head",
    input_shape=(32, 32, 3),
    classes=5,
)
def cnn6_bn(inputs: Any, classes: int, *, filters: str = "8-16-32") -> Any:
    """`filters` per block; 8-16-32 flattens to 512 on 32x32 images, 8-8-8 to 128."""
    from tlcli.models.layers import conv_bn_relu, dense, flatten, max_pool

    x = inputs
    for block, width in enumerate(map(int, filters.split("-")), start=1):
        for number in (2 * block - 1, 2 * block):
            x = conv_bn_relu(x, width, number=number)
        x = max_pool(x, name=f"pool{block}")
    return dense(flatten(x), classes, name="head")
