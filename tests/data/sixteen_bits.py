"""Colour images of 16 bits a channel as files, which Pillow cannot write."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def png_of_16_bits(pixels: np.ndarray) -> bytes:
    """H x W x C: grey, grey and alpha, RGB or RGBA."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def tiff_of_16_bits(pixels: np.ndarray, order: str = "<", *, packed: bool = False) -> bytes:
    """H x W x 3 or 4 in one strip, little (<) or big (>) end first, deflated or not."""
    height, width, channels = pixels.shape
    data = pixels.astype(order + "u2").tobytes()
    data = zlib.compress(data) if packed else data
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    tags = {
        256: width,
        257: height,
        258: 0,
        259: 8 if packed else 1,
        262: 2,
        273: 0,
        277: channels,
        278: height,
    }
    tags |= {279: len(data)} | ({338: 2} if channels == 4 else {})
    end = 8 + 2 + 12 * len(tags) + 4
    tags |= {258: end, 273: end + len(bits)}
    entries = b"".join(
        struct.pack(f"{order}HHII", tag, 3, channels, value)
        if tag == 258
        else struct.pack(f"{order}HHII", tag, 4, 1, value)
        for tag, value in tags.items()
    )
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + struct.pack(f"{order}I", 0) + bits + data
