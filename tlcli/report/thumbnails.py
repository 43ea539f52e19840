"""Sheets of small pictures for the page: every picture once, with its place by number."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

LARGEST = 64
"""Pixels of the longer side of a picture on a sheet."""


def sheet(images: np.ndarray) -> dict[str, Any]:
    """One picture of all images in rows, in the form that the page's script reads.

    Args:
        images: uint8, N x H x W x C; with fewer than three channels the first is shown.

    Returns:
        `source` (a data address), `across` (pictures in a row), `width` and `height` of each in pixels.
    """
    from PIL import Image

    images = images[..., :3] if images.shape[-1] >= 3 else images[..., 0]
    count, height, width = images.shape[:3]
    shrunk = min(1.0, LARGEST / max(height, width))
    size = max(1, round(width * shrunk)), max(1, round(height * shrunk))
    across = max(1, int(np.ceil(np.sqrt(count))))
    whole = Image.new("RGB" if images.ndim == 4 else "L", (across * size[0], -(-count // across) * size[1]))
    for i, pixels in enumerate(images):
        picture = Image.fromarray(pixels)
        place = (i % across * size[0], i // across * size[1])
        whole.paste(picture if picture.size == size else picture.resize(size), place)
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=85, subsampling=0)
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"source": source, "across": across, "width": size[0], "height": size[1]}
