"""The network of the MNIST lab: two convolutions, one pooling, two dense layers."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "cnn2",
    "MNIST lab: 2 convolutions (3x3, no padding), max-pool, dense 128, head; dropout on the dense inputs",
    input_shape=(28, 28, 1),
    classes=6,
)
def cnn2(inputs: Any, classes: int, *, filters: int = 32, units: int = 128, dropout: float = 0.0) -> Any:
    """`dropout` acts on the inputs of both dense layers (0.5 in the lab's third assignment)."""
    from tlcli.models.layers import conv, dense, dropped, flatten, max_pool

    x = conv(inputs, filters, name="conv1", padding="valid", activation="relu")
    x = conv(x, filters, name="conv2", padding="valid", activation="relu")
    x = flatten(max_pool(x, name="pool"))
    x = dense(dropped(x, dropout, name="dropout1"), units, name="dense1", activation="relu")
    return dense(dropped(x, dropout, name="dropout2"), classes, name="head")
