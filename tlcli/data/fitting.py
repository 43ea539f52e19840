"""Bring images to another size or number of channels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tlcli.errors import UsageError
from tlcli.store.records import ImageArray, Part

if TYPE_CHECKING:
    from PIL.Image import Image

FITS = ("stretch", "crop", "pad")
LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Fit:
    """The size and channels to bring images to. Images keep what is None."""

    size: tuple[int, int] | None = None
    """Height and width."""
    how: str = "stretch"
    """How to treat images of other proportions: `stretch`, `crop` (keep the middle) or `pad` (with black)."""
    channels: int | None = None
    """1 (grey) or 3 (colour)."""


def parse_size(text: str | int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width out of `32`, `"32"`, `"32x48"` or a pair. Raises UsageError."""
    if text is None:
        return None
    sides: tuple[int, ...]
    if isinstance(text, str):
        match = re.fullmatch(r"\s*(\d{1,6})(?:\s*[xX×]\s*(\d{1,6}))?\s*", text)
        sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    else:
        sides = (text, text) if isinstance(text, int) else tuple(text)
    if len(sides) != 2 or not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise UsageError(
            f"`image_size` {text}: expected one side or HEIGHTxWIDTH, from 1 to {LARGEST_SIDE} pixels, "
            "for example 32 or 32x48."
        )
    return int(sides[0]), int(sides[1])


def resize(image: Image, size: tuple[int, int], how: str) -> Image:
    """A Pillow image brought to `size` (width and height), bilinear; a smaller one averages all pixels."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    if image.size == size:
        return image
    if how == "crop":
        return ImageOps.fit(image, size, Pillow.Resampling.BILINEAR)
    if how == "pad":
        return ImageOps.pad(image, size, Pillow.Resampling.BILINEAR, color=0)
    return image.resize(size, Pillow.Resampling.BILINEAR)


def grey(images: np.ndarray) -> np.ndarray:
    """N x H x W x 3 colour images as grey, N x H x W x 1, by ITU-R BT.601 as Pillow rounds it."""
    red, green, blue = (images[..., i].astype(np.uint32) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)[..., None]


class FittedImages:
    """Images brought to a size and a number of channels on demand."""

    dtype = np.dtype(np.uint8)

    def __init__(self, images: ImageArray, fit: Fit) -> None:
        self._images, self._fit = images, fit

    @property
    def shape(self) -> tuple[int, ...]:
        n, height, width, channels = self._images.shape
        return (n, *(self._fit.size or (height, width)), self._fit.channels or channels)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> np.ndarray:
        images = np.asarray(self._images[index])
        single = images.ndim == 3
        images = images[None] if single else images
        if self._fit.channels == 1 and images.shape[3] == 3:
            images = grey(images)
        size = self._fit.size
        if size is not None and images.shape[1:3] != size:
            images = _resize(images, size, self._fit.how)
        if self._fit.channels == 3 and images.shape[3] == 1:
            images = np.repeat(images, 3, axis=3)
        return images[0] if single else images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def fit_part(part: Part, fit: Fit) -> Part:
    """The part with its images fitted, or the part itself if they fit."""
    fitted = FittedImages(part.images, fit)
    if fitted.shape == tuple(part.images.shape):
        return part
    return Part(fitted, part.labels, part.source_index)


def _resize(images: np.ndarray, size: tuple[int, int], how: str) -> np.ndarray:
    from PIL import Image as Pillow

    out = np.empty((len(images), *size, images.shape[3]), np.uint8)
    for i, pixels in enumerate(images):
        image = Pillow.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        out[i] = np.asarray(resize(image, size[::-1], how)).reshape(out.shape[1:])
    return out
