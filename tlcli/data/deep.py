"""Read all bits of images of more than 8 bits a channel, where Pillow keeps only the upper eight.

Pillow can unpack either byte of the 16-bit values of colour and transparency. So an image is decoded twice,
once for each byte.
"""

from __future__ import annotations

import re
import sys
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_CUT = re.compile("([A-Za-z]+);16([BLN])")
"""Pillow's names for the bytes of 16-bit values in a file; B, L, N say which byte comes first."""
_WHOLE = ("RGB", "RGBA", "RGBX")
_GREY_AND_ALPHA = "LA;16B"
_ROWS = 1 << 18
"""Values put together at a time."""


def deep_form(image: ImageFile) -> str:
    """The form of an image of more than 8 bits a channel, as it was opened; empty for one of 8 bits.

    Call this before decoding, which loses the form.
    """
    if image.mode.startswith(("I", "F")):
        return image.mode
    args = image.tile[0].args if image.tile else ""
    packed = args[0] if isinstance(args, tuple) and args else args
    return packed if isinstance(packed, str) and _CUT.fullmatch(packed) else ""


def has_alpha(form: str) -> bool:
    """Whether the last channel of the pixels in a form is transparency."""
    return form.startswith(("RGBA", "LA"))


def read_deep(image: ImageFile, form: str, opened: IO[bytes]) -> np.ndarray:
    """The pixels of an image in a deep form, H x W or H x W x C, in the values of the file.

    `opened` is the file of the image; it is read again. Raises ValueError for 16 bits in another form than
    grey or RGB, with or without transparency.
    """
    if form == image.mode:
        return np.asarray(image)
    if form == _GREY_AND_ALPHA:  # unpack two values of two bytes as four of one byte
        found = _read_byte(image, opened, "RGBA")
        return found[..., 0::2] << 8 | found[..., 1::2]
    mode, first = form.split(";16")
    if mode not in _WHOLE:
        raise ValueError(f"has 16 bits a channel as {mode}: expected grey or RGB")
    first = {"little": "L", "big": "B"}[sys.byteorder] if first == "N" else first
    high, low = (f"{mode};16{order}" for order in (first, "L" if first == "B" else "B"))
    found = _read_byte(image, opened, high)
    found <<= 8
    return _read_byte(image, opened, low, found)[..., : 3 if mode == "RGBX" else None]


def _read_byte(
    image: ImageFile, opened: IO[bytes], packed: str, onto: np.ndarray | None = None
) -> np.ndarray:
    """A byte of each value, uint16, added to `onto`; some rows at a time, so as to take little memory."""
    from PIL import Image as Pillow
    from PIL.ImageFile import ImageFile

    opened.seek(0)
    again = Pillow.open(opened, formats=[image.format or ""])
    assert isinstance(again, ImageFile)
    again.tile = [
        tile._replace(args=(packed, *tile.args[1:]) if isinstance(tile.args, tuple) else packed)
        for tile in again.tile
    ]
    width, height, channels = again.width, again.height, len(again.getbands())
    found = np.zeros((height, width, channels), np.uint16) if onto is None else onto
    step = max(1, _ROWS // (width * channels))
    for top in range(0, height, step):
        bottom = min(top + step, height)
        found[top:bottom] |= np.asarray(again.crop((0, top, width, bottom)))
    return found
