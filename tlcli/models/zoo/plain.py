"""Plain networks for images of 28 and 32 pixels: convolutions one after the other, then dense layers."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "cnn2",
    "2 convolutions (3x3, no padding), max-pool, dense 128, head; dropout on the dense inputs",
    input_shape=(28, 28, 1),
    classes=6,
    parameters=(600_294, 600_294),
)
def cnn2(inputs: Any, classes: int, *, filters: int = 32, units: int = 128, dropout: float = 0.0) -> Any:
    """`dropout` acts on the inputs of both dense layers (0.5 in the course SML2016, sheet 3)."""
    from tlcli.models.layers import add_dropout, conv, dense, flatten, max_pool

    x = conv(inputs, filters, name="conv1", padding="valid", activation="relu")
    x = conv(x, filters, name="conv2", padding="valid", activation="relu")
    x = flatten(max_pool(x, name="pool"))
    x = dense(add_dropout(x, dropout, name="dropout1"), units, name="dense1", activation="relu")
    return dense(add_dropout(x, dropout, name="dropout2"), classes, name="head")


@network(
    "cnn4",
    "4 convolutions, 2 max-pools, dense 256, head, with dropout",
    input_shape=(32, 32, 3),
    classes=8,
    parameters=(1_116_456, 1_116_456),
)
def cnn4(
    inputs: Any,
    classes: int,
    *,
    filters: str = "32-32-64-64",
    units: int = 256,
    conv_dropout: float = 0.25,
    dropout: float = 0.5,
) -> Any:
    """`conv_dropout` follows each pooling, `dropout` the dense layer."""
    from tlcli.models.layers import add_dropout, conv, dense, flatten, max_pool

    x = inputs
    for number, width in enumerate(map(int, filters.split("-")), start=1):
        x = conv(x, width, name=f"conv{number}", activation="relu")
        if number % 2 == 0:
            x = max_pool(x, name=f"pool{number // 2}")
            x = add_dropout(x, conv_dropout, name=f"dropout{number // 2}")
    x = dense(flatten(x), units, name="dense1", activation="relu")
    return dense(add_dropout(x, dropout, name="dropout3"), classes, name="head")


@network(
    "plain-cnn",
    "4 convolutions, 3 max-pools, dense 32, head, with dropout",
    input_shape=(32, 32, 3),
    classes=10,
    parameters=(49_268, 49_268),
)
def plain_cnn(inputs: Any, classes: int, *, dropout: float = 0.25) -> Any:
    from tlcli.models.layers import add_dropout, conv, dense, flatten, max_pool

    x = conv(inputs, 30, name="conv1", activation="relu")
    x = conv(x, 30, name="conv2", padding="valid", activation="relu")
    x = add_dropout(max_pool(x, name="pool1"), dropout, name="dropout1")
    x = conv(x, 48, name="conv3", padding="valid", activation="relu")
    x = max_pool(x, name="pool2")
    x = conv(x, 48, name="conv4", padding="valid", activation="relu")
    x = flatten(add_dropout(max_pool(x, name="pool3"), dropout, name="dropout2"))
    x = dense(x, 32, name="dense1", activation="relu")
    return dense(add_dropout(x, dropout, name="dropout3"), classes, name="head")


@network(
    "cnn8",
    "8 padded convolutions of 3 filters, flatten, head",
    input_shape=(32, 32, 3),
    classes=5,
    parameters=(16_037, 16_037),
)
def cnn8(inputs: Any, classes: int, *, filters: int = 3) -> Any:
    from tlcli.models.layers import conv, dense, flatten

    x = inputs
    for number in range(1, 9):
        x = conv(x, filters, name=f"conv{number}", activation="relu")
    return dense(flatten(x), classes, name="head")


@network(
    "cnn6-bn",
    "3 blocks of (convolution, batch norm, ReLU) twice and a max-pool, head",
    input_shape=(32, 32, 3),
    classes=5,
    parameters=(21_197, 20_973),
)
def cnn6_bn(inputs: Any, classes: int, *, filters: str = "8-16-32", bn_momentum: float = 0.99) -> Any:
    """`filters` per block; 8-16-32 flattens to 512 on 32x32 images, 8-8-8 to 128.

    `bn_momentum` is the share of the old values in the moving statistics; 0.9 suits a few hundred steps.
    """
    from tlcli.models.layers import conv_bn_relu, dense, flatten, max_pool

    x = inputs
    for block, width in enumerate(map(int, filters.split("-")), start=1):
        for number in (2 * block - 1, 2 * block):
            x = conv_bn_relu(x, width, number=number, momentum=bn_momentum)
        x = max_pool(x, name=f"pool{block}")
    return dense(flatten(x), classes, name="head")
