"""VGG-16 for 32x32 images."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "vgg16",
    "VGG-16 for 32x32 images: 13 convolutions and dense 512, each with batch norm and dropout",
    input_shape=(32, 32, 3),
    classes=100,
    parameters=(15_047_588, 15_038_116),
)
def vgg16(inputs: Any, classes: int, *, dropout: bool = True) -> Any:
    """Simonyan & Zisserman (2015) as the published CIFAR-100 base of Geifman (cifar-vgg) builds it.

    Convolution, ReLU, batch normalization, in that order; `dropout` switches its 0.3 to 0.5 on or off.
    """
    from tlcli.models.layers import add_dropout, batch_norm, conv, dense, flatten, max_pool

    x = inputs
    number = 0
    for widths in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for position, width in enumerate(widths):
            number += 1
            x = conv(x, width, name=f"conv{number}", activation="relu")
            x = batch_norm(x, name=f"conv{number}_bn")
            if position < len(widths) - 1:
                rate = 0.3 if number == 1 else 0.4
                x = add_dropout(x, rate if dropout else 0.0, name=f"dropout{number}")
        x = max_pool(x, name=f"pool{number}")
    x = flatten(add_dropout(x, 0.5 if dropout else 0.0, name="dropout_flat"))
    x = batch_norm(dense(x, 512, name="dense1", activation="relu"), name="dense1_bn")
    return dense(add_dropout(x, 0.5 if dropout else 0.0, name="dropout_dense"), classes, name="head")
