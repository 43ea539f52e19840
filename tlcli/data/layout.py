"""Find the order of the axes of an array of images from its shape, or else from its pixels.

Neighbouring pixels of an image are alike in the right layout, and in no other except the transposed one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tlcli.data.fitting import LARGEST_SIDE
from tlcli.errors import TlcliError

LAYOUTS = ("hwc", "chw", "whc", "cwh")
"""Height, width, channels, the slowest axis first. A row of pixels written column by column is `whc` if the
channels of a pixel are together, `cwh` if colour follows colour."""

_CLEAR = 1.2
"""The factor by which every other layout must be rougher than the best."""
_LOOKED_AT = 64
"""The number of images that the test reads."""


def arrange(
    images: np.ndarray, n: int, where: str, layout: str | None = None, *, columns: bool = False
) -> np.ndarray:
    """A view of n images as N x H x W x C, C 1 or 3, from an array of any usual shape.

    The shape is N x H x W, N x H x W x C, N x C x H x W, N x D (D pixels of a square), or the same with the
    images along the last axis. `layout` is the order of the axes of one image; without it, the shape decides,
    then the pixels. `columns`: rows of pixels may run column by column, as MATLAB's do. Raises TlcliError for
    another shape, and if two layouts are equally likely.
    """
    if images.ndim < 2 or n not in (images.shape[0], images.shape[-1]):
        raise TlcliError(f"{where} have shape {images.shape} for {n} labels: expected one label per image.")
    first = [images] if images.shape[0] == n else []
    only_first = bool(first) and (images.ndim == 2 or n in (1, 3))
    last = [np.moveaxis(images, -1, 0)] if images.shape[-1] == n and not only_first else []
    found: dict[str, np.ndarray] = {}
    for turned, views in (("", first), (" with the images last", last)):
        for view in views:
            orders = _orders(view, layout, columns)
            found |= {order + turned: _as_hwc(view, order) for order in orders}
    found = {order: view for order, view in found.items() if _is_shape(view)}
    if not found:
        expected = f" in the layout {layout}" if layout else ""
        raise TlcliError(
            f"{where} have shape {images.shape}: expected N x height x width with 1 or 3 channels, or N x D "
            "with D "
            f"pixels of a square{expected}, and sides of 1 to {LARGEST_SIDE} pixels."
        )
    return next(iter(found.values())) if len(found) == 1 else _smoothest(found, where)


def roughness(images: np.ndarray) -> float:
    """The mean difference of neighbouring pixels in some of the images."""
    some = images[:: max(1, len(images) // _LOOKED_AT)][:_LOOKED_AT].astype(np.float64)
    steps = [np.abs(np.diff(some, axis=axis)) for axis in (1, 2) if some.shape[axis] > 1]
    return float(np.mean([step.mean() for step in steps])) if steps else 0.0


def _orders(images: np.ndarray, layout: str | None, columns: bool) -> Sequence[str]:
    """The orders of axes that the shape allows, the images being along the first axis."""
    if layout is not None:
        return (layout,)
    if images.ndim == 2:
        colour = _channels_of_rows(images.shape[1]) == 3
        return (("hwc", "chw") if colour else ("hwc",)) + (
            (("whc", "cwh") if colour else ("whc",)) if columns else ()
        )
    if images.ndim == 3:
        return ("hwc",)
    return tuple(
        order for order, axis in (("hwc", 3), ("chw", 1)) if images.ndim == 4 and images.shape[axis] in (1, 3)
    )


def _channels_of_rows(pixels: int) -> int:
    """1 or 3 if a row of `pixels` values is a square with so many channels; else 0."""
    return next((c for c in (1, 3) if pixels % c == 0 and math.isqrt(pixels // c) ** 2 * c == pixels), 0)


def _as_hwc(images: np.ndarray, order: str) -> np.ndarray:
    """The images as N x H x W x C, from axes, or pixels in a row, of the given order."""
    if images.ndim == 2:
        channels = _channels_of_rows(images.shape[1])
        side = math.isqrt(images.shape[1] // channels) if channels else 0
        images = (
            images.reshape(-1, *((channels if axis == "c" else side) for axis in order))
            if channels
            else images
        )
    elif images.ndim == 3:
        images = np.expand_dims(images, 1 + order.index("c"))
    if images.ndim != 4:
        return images
    return images.transpose(0, *(1 + order.index(axis) for axis in "hwc"))


def _is_shape(images: np.ndarray) -> bool:
    return (
        images.ndim == 4
        and images.shape[3] in (1, 3)
        and all(1 <= side <= LARGEST_SIDE for side in images.shape[1:3])
    )


def _smoothest(found: dict[str, np.ndarray], where: str) -> np.ndarray:
    rough = {order: roughness(view) for order, view in found.items()}
    best = min(rough, key=lambda order: rough[order])
    as_smooth = [order for order in rough if rough[order] <= _CLEAR * rough[best]]
    if len(as_smooth) > 1:
        turned = any("last" in order for order in as_smooth)
        how = (
            "Say with `layout` which axis comes first: "
            f"{' or '.join(dict.fromkeys(o[:3] for o in as_smooth))}."
            if not turned
            else "Save them with the images along the first axis."
        )
        raise TlcliError(
            f"{where} have a shape that can be read in several ways ({', '.join(as_smooth)}), and their "
            "pixels are as "
            f"smooth in each. {how}"
        )
    return found[best]
