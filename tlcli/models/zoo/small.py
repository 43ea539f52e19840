"""A network with fewer than 50,000 parameters."""

from __future__ import annotations

from typing import Any

from tlcli.models.registry import network


@network(
    "small-cnn",
    "under 50,000 parameters: whitened patches, 5 separable residual blocks with squeeze-excitation",
    input_shape=(32, 32, 3),
    classes=10,
    parameters=(49_146, 47_162),
)
def small_cnn(inputs: Any, classes: int, *, filters: str = "32-48", blocks: str = "3-2") -> Any:
    """Few parameters by depthwise convolutions: a full 3x3 filter has nine times the weights of a pointwise
    one.

    The first convolution is full. In each block pointwise convolutions around a depthwise one widen the block
    twofold (Sandler et al. 2018, in the order of Liu et al. 2022), with a squeeze-excitation of a quarter
    (Hu et al. 2018). `filters` and `blocks` are given per resolution: a half and a quarter of the images'
    own.
    """
    from tlcli.models.layers import (
        PatchWhitening,
        add,
        batch_norm,
        conv,
        dense,
        depthwise,
        gelu,
        global_average_pool,
        max_pool,
        relu,
        squeeze_excitation,
    )

    def normalize(x: Any, name: str) -> Any:
        return batch_norm(x, name=f"{name}_bn", momentum=0.9)

    def block(x: Any, name: str) -> Any:
        width = x.shape[-1]
        y = normalize(depthwise(x, name=f"{name}_depthwise"), f"{name}_depthwise")
        y = squeeze_excitation(y, max(1, width // 4), name=f"{name}_squeeze")
        y = normalize(conv(y, 2 * width, name=f"{name}_widen", size=1, bias=False), f"{name}_widen")
        y = relu(y, name=f"{name}_relu")
        y = normalize(conv(y, width, name=f"{name}_narrow", size=1, bias=False), f"{name}_narrow")
        return add([x, y], name=f"{name}_add")

    widths = [int(width) for width in filters.split("-")]
    counts = [int(count) for count in blocks.split("-")]
    x = gelu(PatchWhitening(2, name="whiten")(inputs), name="whiten_gelu")
    x = max_pool(conv(x, widths[0], name="conv1", bias=False), name="pool1")
    x = relu(normalize(x, "conv1"), name="conv1_relu")
    number = 0
    for stage, (width, count) in enumerate(zip(widths, counts, strict=True), start=1):
        if stage > 1:
            x = conv(max_pool(x, name=f"pool{stage}"), width, name=f"conv{stage}", size=1, bias=False)
            x = normalize(x, f"conv{stage}")
        for _ in range(count):
            number += 1
            x = block(x, f"block{number}")
    return dense(global_average_pool(relu(x, name="last_relu"), name="gap"), classes, name="head")
