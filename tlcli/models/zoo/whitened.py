"""A network made to be trained quickly to a high accuracy on small images."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "whitened-cnn",
    "for fast training: whitened patches, 3 residual blocks of 3 convolutions, batch norm, GELU: 2.5 M",
    input_shape=(32, 32, 3),
    classes=100,
    parameters=(2_515_844, 2_512_484),
)
def whitened_cnn(inputs: Any, classes: int, *, filters: str = "64-192-256", depth: int = 3) -> Any:
    """After Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv 2404.00498, 2024), section 3.

    Fixed 2x2 whitening filters made from the training images (Page, "How to train your ResNet", 2018), no
    biases before batch normalization, each block halved by its first convolution's max-pool, and the mean of
    each channel for the head; the article takes the largest activation, which learns more slowly.
    `filters` per block; `depth` convolutions in each, from 3 on with a shortcut around all but the first.
    64-256-256 of depth 2 are those of the article's quickest training.
    """
    from tlcli.models.layers import (
        PatchWhitening,
        add,
        batch_norm,
        conv,
        dense,
        gelu,
        global_average_pool,
        max_pool,
    )

    x = gelu(PatchWhitening(2, name="whiten")(inputs), name="whiten_gelu")
    for block, width in enumerate(map(int, filters.split("-")), start=1):
        first = None
        for position in range(1, depth + 1):
            name = f"conv{(block - 1) * depth + position}"
            x = conv(x, width, name=name, bias=False)
            if position == 1:
                x = max_pool(x, name=f"pool{block}")
            x = batch_norm(x, name=f"{name}_bn", momentum=0.9)
            if position == depth >= 3:
                x = add([first, x], name=f"{name}_add")
            x = gelu(x, name=f"{name}_gelu")
            first = x if position == 1 else first
    return dense(global_average_pool(x, name="features"), classes, name="head")
