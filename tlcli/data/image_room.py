"""The cost of decoding an image: memory for its pixels, and time for each of its scans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tlcli.store.budget import FILE, Budget

if TYPE_CHECKING:
    from PIL.Image import Image

PIXEL_MEMORY = 17
"""Bytes for each pixel while an image is decoded, converted and turned, at most."""
_USUAL_SCANS = 10
"""The usual number of scans of a progressive JPEG; with twice as many it counts as twice as large."""
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_START_OF_SCAN, _END = 0xDA, 0xD9
_SCAN_MARKER = bytes((0xFF, _START_OF_SCAN))
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a length."""


@contextmanager
def room_to_decode(budget: Budget, file: Any, opened: IO[bytes], image: Image) -> Iterator[None]:
    """Take memory to decode an image, which all threads share: they wait for each other.

    The budget gives the pixels and gets them back, so that those of all images together are in proportion to
    the files. Raises ValueError for an image that is larger than all the memory, and TlcliError if the budget
    is used up.
    """
    pixels, size = image.width * image.height, size_of(file)
    room = pixels * PIXEL_MEMORY + size
    if room > budget.room_size:
        raise ValueError(f"declares {image.width} x {image.height} pixels")
    passes = _passes(opened) if image.format == "JPEG" else 1
    made = pixels * len(image.getbands()) * passes
    if isinstance(file, Path):  # an archive has been counted as a whole
        budget.grow(max(FILE, size))
    budget.take(made, "what its images decode to")
    try:
        with budget.room(room):
            yield
    finally:
        budget.give_back(made)


def _passes(opened: IO[bytes]) -> int:
    """The work for a JPEG file as a multiple of the usual."""
    place = opened.tell()
    opened.seek(0)
    content = opened.read()
    opened.seek(place)
    if content.count(_SCAN_MARKER) <= _USUAL_SCANS:  # an upper bound, found in no time
        return 1
    return -(-count_scans(content) // _USUAL_SCANS)


def count_scans(content: bytes) -> int:
    """The number of scans of a JPEG file, from its markers (ITU-T T.81, annex B), without decoding."""
    count, at = 0, 0
    while found := _MARKER.search(content, at):
        at, marker = found.end(), content[found.end() - 1]
        count += marker == _START_OF_SCAN
        if marker == _END:
            break
        if marker not in _ALONE:
            at += int.from_bytes(content[at : at + 2], "big")
    return max(1, count)


def size_of(file: Any) -> int:
    """The bytes of a file, or of an unpacked member of an archive."""
    return file.stat().st_size if isinstance(file, Path) else file.size()
