"""Augmentation in two halves: numpy draws the change of each image, and `keras.ops` applies it.

The draws depend only on (seed, step), so that a resumed training sees the same images. They enter the
compiled step with the indices of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tlcli.errors import UsageError
from tlcli.store.records import ImageArray
from tlcli.training.order import rng

DRAWN = ("flip", "offset", "angle", "box", "color", "corner", "partner", "weight")
"""Every name that a plan of augmentation may hold."""

_DRAWN_AT_ONCE = 1_000
"""Images of a view."""
_BLOCK = 8 << 20
"""Pixels of a view that are changed at a time."""


def draw(
    augmentation: dict[str, float],
    images: tuple[int, ...],
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draw the changes of some images.

    Args:
        augmentation: The strength of each augmentation, by name.
        images: The number of images of one batch, or of several (batches x images); mixup stays in a batch.
        shape: The shape of an image.
        rng: The generator.

    Returns:
        `flip` (float32, 0 or 1), `offset` (int32, images x 2, pixels down and right), `angle` (float32,
        radians), `box` (float32, images x 4: upper edge, left edge, height and width of the part that is
        enlarged, as shares), `color` (float32, images x 3: factors on brightness, contrast and saturation),
        `corner` (int32, images x 2: the upper left corner of the cut-out), `partner` (int32, a place in the
        same batch) and `weight` (float32) of mixup; only those of the augmentations given.
    """
    plan: dict[str, np.ndarray] = {}
    height, width, _ = shape
    if "flip" in augmentation:
        plan["flip"] = (rng.random(images) < augmentation["flip"]).astype(np.float32)
    if reach := _reach(augmentation):
        plan["offset"] = rng.integers(-reach, reach + 1, (*images, 2)).astype(np.int32)
    if "rotate" in augmentation:
        limit = math.radians(augmentation["rotate"])
        plan["angle"] = rng.uniform(-limit, limit, images).astype(np.float32)
    if "resized-crop" in augmentation:
        plan["box"] = _boxes(augmentation["resized-crop"], images, rng)
    if "color-jitter" in augmentation:
        most = augmentation["color-jitter"]
        plan["color"] = rng.uniform(1 - most, 1 + most, (*images, 3)).astype(np.float32)
    if "cutout" in augmentation:
        half = int(augmentation["cutout"]) // 2
        centre = rng.integers(0, (height, width), (*images, 2))
        plan["corner"] = (centre - half).astype(np.int32)
    if "mixup" in augmentation:
        plan["partner"] = rng.permuted(np.broadcast_to(np.arange(images[-1]), images), axis=-1).astype(
            np.int32
        )
        weight = rng.beta(augmentation["mixup"], augmentation["mixup"], images)
        plan["weight"] = np.maximum(weight, 1 - weight).astype(np.float32)
    return plan


def require_size(augmentation: dict[str, float], shape: tuple[int, int, int]) -> None:
    """Refuse images that are too small to shift: the strip that enters at an edge is reflected once.

    Raises:
        UsageError: The images are too small.
    """
    height, width, _ = shape
    if (reach := _reach(augmentation)) >= min(height, width):
        raise UsageError(
            f"`augment`: shifts by up to {reach} pixels need larger images; these are {height}x{width}."
        )


def alternating_flips(index: np.ndarray, start: int, sides: np.ndarray) -> np.ndarray:
    """Whether each image of a stretch of the stream is mirrored: at random in the first epoch, then
    alternating.

    Any two successive epochs show an image from both sides (Jordan 2024, section 3.6).

    Args:
        index: The numbers of the images, steps x batch.
        start: The place in the stream where the stretch begins.
        sides: 0 or 1 for each image: whether it is mirrored in the first epoch.
    """
    epoch = (start + np.arange(index.size).reshape(index.shape)) // len(sides)
    return ((sides[index] + epoch) % 2).astype(np.float32)


def view(
    images: ImageArray,
    augmentation: dict[str, float],
    number: int,
    seed: int,
    mean: np.ndarray,
    std: np.ndarray,
) -> Iterator[np.ndarray]:
    """One augmented view of every image, uint8, a block of images at a time.

    Args:
        images: uint8, N x H x W x C.
        augmentation: The augmentations of single images (no mixup), with their strengths.
        number: The number of the view, from 0; alternating flips mirror every other view.
        seed: The seed of the draws.
        mean: The mean of pixels scaled to 0...1, per channel: the grey of a cut-out.
        std: The standard deviation of pixels scaled to 0...1, per channel.
    """
    from keras import ops

    shape = images.shape[1:]
    sides = rng(seed, "side").integers(0, 2, len(images))
    block = max(1, min(_DRAWN_AT_ONCE, _BLOCK // math.prod(shape)))
    for first in range(0, len(images), _DRAWN_AT_ONCE):
        some = sides[first : first + _DRAWN_AT_ONCE]
        drawn = draw(augmentation, (len(some),), shape, rng(seed, "view", number, first))
        if "alternating-flip" in augmentation:
            drawn["flip"] = ((some + number) % 2).astype(np.float32)
        for start in range(0, len(some), block):
            plan = {name: values[start : start + block] for name, values in drawn.items()}
            batch = np.asarray(images[first + start : first + min(start + block, len(some))])
            pixels = ops.convert_to_tensor((batch.astype(np.float32) / 255.0 - mean) / std)
            changed = ops.convert_to_numpy(apply(pixels, plan, augmentation, mean, std))
            yield np.clip(np.rint((changed * std + mean) * 255.0), 0, 255).astype(np.uint8)


def both_sides(images: np.ndarray) -> np.ndarray:
    """The images, followed by their mirror images: 2N x H x W x C."""
    return np.concatenate([images, images[:, :, ::-1]])


def apply(
    images: Any,
    plan: dict[str, Any],
    augmentation: dict[str, float],
    mean: Any = 0.0,
    std: Any = 1.0,
) -> Any:
    """Augment a batch.

    Args:
        images: float32, B x H x W x C, standardised: 0 is the mean grey.
        plan: The draws for the batch.
        augmentation: The strengths.
        mean: The mean of pixels scaled to 0...1, per channel.
        std: The standard deviation of pixels scaled to 0...1, per channel.
    """
    from keras import ops

    if "flip" in plan:
        images = ops.where(_column(plan["flip"]) > 0.5, ops.flip(images, axis=2), images)
    if "offset" in plan:
        images = _shift(images, plan["offset"], _reach(augmentation))
    if "angle" in plan:
        images = _rotate(images, plan["angle"])
    if "box" in plan:
        images = _enlarge(images, plan["box"])
    if "color" in plan:
        images = _jitter(images * std + mean, plan["color"])
        images = (images - mean) / std
    if "corner" in plan:
        images = images * _cutout_mask(images, plan["corner"], int(augmentation["cutout"]))
    if "partner" in plan:
        weight = _column(plan["weight"])
        images = weight * images + (1 - weight) * ops.take(images, plan["partner"], axis=0)
    return images


def _reach(augmentation: dict[str, float]) -> int:
    return int(max(augmentation.get("shift", 0), augmentation.get("crop", 0)))


def _column(values: Any) -> Any:
    from keras import ops

    return ops.reshape(values, (-1, 1, 1, 1))


def _shift(images: Any, offset: Any, reach: int) -> Any:
    """Pad by reflection and cut each image's own window, as one gather."""
    from keras import ops

    height, width = images.shape[1:3]
    padded = ops.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    rows = ops.expand_dims(offset[:, 0] + reach, 1) + ops.arange(height, dtype="int32")
    columns = ops.expand_dims(offset[:, 1] + reach, 1) + ops.arange(width, dtype="int32")
    flat = ops.expand_dims(rows, 2) * (width + 2 * reach) + ops.expand_dims(columns, 1)
    pixels = ops.reshape(padded, (-1, (height + 2 * reach) * (width + 2 * reach), images.shape[3]))
    index = ops.expand_dims(ops.reshape(flat, (-1, height * width)), 2)
    index = ops.broadcast_to(index, (*ops.shape(index)[:2], images.shape[3]))
    picked = ops.take_along_axis(pixels, index, 1)
    return ops.reshape(picked, (-1, height, width, images.shape[3]))


def _rotate(images: Any, angle: Any) -> Any:
    """Rotate about the middle, bilinear, edges repeated."""
    from keras import ops

    height, width = images.shape[1:3]
    cos, sin = ops.cos(angle), ops.sin(angle)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    zero = ops.zeros_like(cos)
    transforms = ops.stack(
        [
            cos,
            -sin,
            middle_x - cos * middle_x + sin * middle_y,
            sin,
            cos,
            middle_y - sin * middle_x - cos * middle_y,
            zero,
            zero,
        ],
        axis=1,
    )
    return ops.image.affine_transform(
        images, transforms, interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
    )


def _boxes(least: float, images: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw parts of an image with a share of its area from `least` to 1 and a ratio of sides from 3/4 to 4/3.

    Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6; a side is the image's at most.
    """
    area = rng.uniform(least, 1, images)
    ratio = np.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3), images))
    height, width = np.minimum(np.sqrt(area / ratio), 1), np.minimum(np.sqrt(area * ratio), 1)
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    return np.stack([top, left, height, width], axis=-1).astype(np.float32)


def _enlarge(images: Any, box: Any) -> Any:
    """Each image's own part, enlarged to the whole, bilinear."""
    from keras import ops

    height, width = images.shape[1:3]
    top, left, high, wide = (box[:, number] for number in range(4))
    zero = ops.zeros_like(top)
    # The centre of a pixel is half a pixel from its edge, in the input and in the output.
    rows, columns = height * top + (high - 1) / 2, width * left + (wide - 1) / 2
    transforms = ops.stack([wide, zero, columns, zero, high, rows, zero, zero], axis=1)
    return ops.image.affine_transform(
        images, transforms, interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
    )


def _jitter(pixels: Any, factors: Any) -> Any:
    """Change brightness, contrast and saturation of pixels of 0...1, in this order; clip at 0 and 1.

    Contrast is towards an image's mean, saturation towards the mean of a pixel's channels.
    """
    from keras import ops

    brightness, contrast, saturation = (_column(factors[:, number]) for number in range(3))
    pixels = ops.clip(pixels * brightness, 0.0, 1.0)
    grey = ops.mean(pixels, axis=(1, 2, 3), keepdims=True)
    pixels = ops.clip(grey + contrast * (pixels - grey), 0.0, 1.0)
    grey = ops.mean(pixels, axis=3, keepdims=True)
    return ops.clip(grey + saturation * (pixels - grey), 0.0, 1.0)


def _cutout_mask(images: Any, corner: Any, size: int) -> Any:
    """0 inside each image's square, 1 outside: B x H x W x 1."""
    from keras import ops

    height, width = images.shape[1:3]
    rows = ops.arange(height, dtype="int32") - ops.expand_dims(corner[:, 0], 1)
    columns = ops.arange(width, dtype="int32") - ops.expand_dims(corner[:, 1], 1)
    in_rows = ops.logical_and(rows >= 0, rows < size)
    in_columns = ops.logical_and(columns >= 0, columns < size)
    inside = ops.logical_and(ops.expand_dims(in_rows, 2), ops.expand_dims(in_columns, 1))
    return ops.expand_dims(1.0 - ops.cast(inside, "float32"), 3)
