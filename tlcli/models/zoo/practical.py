"""The network of the CIFAR-10 practical: four convolutions, two poolings, two dense layers, dropout."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "cnn4",
    "CIFAR-10 practical: 4 convolutions, 2 max-pools, dense 256, head, with dropout",
    input_shape=(32, 32, 3),
    classes=8,
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
    from tlcli.models.layers import conv, dense, dropped, flatten, max_pool

    x = inputs
    for number, width in enumerate(map(int, filters.split("-")), start=1):
        x = conv(x, width, name=f"conv{number}", activation="relu")
        if number % 2 == 0:
            x = max_pool(x, name=f"pool{number // 2}")
            x = dropped(x, conv_dropout, name=f"dropout{number // 2}")
    x = dense(flatten(x), units, name="dense1", activation="relu")
    return dense(dropped(x, dropout, name="dropout3"), classes, name="head")
