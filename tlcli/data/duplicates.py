"""Images that are in two parts, by the digests of their pixels."""

from __future__ import annotations

import hashlib

import numpy as np

from tlcli.store.records import ImageArray, Part

_BLOCK_BYTES = 1 << 25
"""Pixels in memory at a time."""


def find_duplicates(part: Part, other: Part) -> np.ndarray:
    """Whether each image of a part is also in another, pixel for pixel: bool, N."""
    known = set(_digests(other.images))
    return np.array([digest in known for digest in _digests(part.images)], bool)


def _digests(images: ImageArray) -> list[bytes]:
    if not len(images):
        return []
    size = int(np.prod(images.shape[1:]))
    step = max(1, _BLOCK_BYTES // size)
    found = []
    for start in range(0, len(images), step):
        block = np.ascontiguousarray(images[start : start + step]).reshape(-1, size)
        found += [hashlib.blake2b(pixels.data, digest_size=16).digest() for pixels in block]
    return found
