"""What an image takes while it is decoded: memory for its pixels, and time for each of its scans."""

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
"""Scans that a progressive JPEG has as a rule: with so many more it counts as so much larger."""
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_START_OF_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a length."""


@contextmanager
def room_to_decode(budget: Budget, file: Any, opened: IO[bytes], image: Image) -> Iterator[None]:
    """Memory to decode an image in, shared by all threads: they wait for each other.

    Its pixels are taken from the budget and given back, so that those of all images together are in
    proportion to the files. Raises ValueError for an image that there can never be room for, and TlcliError
    where the budget is used up.
    """
    pixels, size = image.width * image.height, size_of(file)
    room = pixels * PIXEL_MEMORY + size
    if room > budget.room_size:
        raise ValueError(f"declares {image.width} x {image.height} pixels")
    passes = -(-scans(opened) // _USUAL_SCANS) if image.format == "JPEG" else 1
    made = pixels * len(image.getbands()) * passes
    if isinstance(file, Path):  # an archive has been counted as a whole
        budget.grow(max(FILE, size))
    budget.take(made, "what its images decode to")
    try:
        with budget.room(room):
            yield
    finally:
        budget.give_back(made)


def scans(opened: IO[bytes]) -> int:
    """How many scans a JPEG file has, counted in its markers (ITU-T T.81, annex B) without decoding any."""
    place = opened.tell()
    opened.seek(0)
    content = opened.read()
    opened.seek(place)
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
    """Bytes of a file, or of a member of an archive when it is unpacked."""
    return file.stat().st_size if isinstance(file, Path) else file.size()
