"""One budget of memory and time for each input, a file or folder that is opened.

A reader takes from the budget whatever it makes of the input: bytes that it unpacks, pixels that it decodes,
texts that it copies, objects that it lists. So no small file can ask for much memory or time.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import threading
from collections.abc import Iterator

from tlcli.errors import TlcliError

FLOOR = 2**28
"""Bytes that any input may become, however small."""
FILE = 1024
"""The least number of bytes that each of the many files of an input counts as."""
RATIO = 4096
"""Further bytes for each byte of the input. Deflate expands at most 1,032 times, and texts or pixels in
colour may be several times as large as the unpacked bytes."""
ROOM = 1_700_000_000
"""Bytes of working memory for all threads together, given back after use: decoding of images."""
DEFLATE = 1032
"""The most that gzip and deflate expand, as a factor."""

OBJECT = 1024
"""Bytes for an object of a file or a member of an archive, beside its own."""
TEXT = 128
"""Bytes for each of many texts."""
ROW_RATIO = 128
"""Bytes for each byte of a table of labels: a row of two bytes becomes several objects."""
LABEL = 1024
"""Bytes for an entry of a vector, which may be the label of an image."""
OPCODE = 128
"""Bytes for a step of a pickle."""
TEXT_RATIO = 32
"""Bytes for each byte of a text: JSON makes objects of it."""
CHUNK = 16 * 1024
"""Bytes for a chunk of an HDF5 dataset, beside its own: each takes some time."""


class Budget:
    """The budget of one input, in bytes. Threads may share it.

    The budget has two limits: for memory in use at a time, TLCLI_MAX_BYTES or the machine's memory; and for
    all that is ever made, a multiple of the input, because making it takes time even if it is given back.
    """

    def __init__(self, name: str, size: int = 0) -> None:
        """name: the input in messages. size: its bytes, as far as they are known."""
        self.name = name
        self._given = read_limit()
        self._most_held = machine_memory() if self._given is None else self._given
        self._size = size
        self._held = self._made = self._working = 0
        self._changed = threading.Condition()

    def grow(self, size: int) -> None:
        """Add the bytes of another file of the same input."""
        with self._changed:
            self._size += size

    def allows(self, count: int) -> bool:
        """Whether `count` bytes are left; takes none."""
        return self._held + count <= self._most_held and self._made + count <= self._most_made

    @property
    def _most_made(self) -> int:
        return max(self._given or 0, FLOOR + RATIO * self._size)

    def take(self, count: int, what: str) -> None:
        """Take bytes. Raises TlcliError if there are not as many left.

        what: subject of the message, such as `array 'images'`.
        """
        with self._changed:
            if not self.allows(count):
                raise TlcliError(f"{self.name} is refused: {self.refusal(what, count)}.")
            self._held += count
            self._made += count

    def give_back(self, count: int) -> None:
        """Return memory that was taken and is released."""
        with self._changed:
            self._held -= count

    def refusal(self, what: str, count: int) -> str:
        """The reason why `what`, with `count` bytes, is not read."""
        if self._held + count > self._most_held:
            limit = self._most_held
            rule = "this machine has memory for" if self._given is None else "TLCLI_MAX_BYTES allows"
        else:
            limit, rule = self._most_made, "may be made of an input of this size"
        return (
            f"{what} would take more than the {limit:,} bytes that {rule}; "
            "if you trust it, set TLCLI_MAX_BYTES to more"
        )

    @property
    def room_size(self) -> int:
        """Bytes of `room` in all."""
        return ROOM if self._given is None else self._given

    @contextlib.contextmanager
    def room(self, count: int) -> Iterator[None]:
        """Take working memory for the block, at most `room_size`. Waits until other threads give back
        enough."""
        with self._changed:
            self._changed.wait_for(lambda: self._working + count <= self.room_size)
            self._working += count
        try:
            yield
        finally:
            with self._changed:
                self._working -= count
                self._changed.notify_all()


def read_limit() -> int | None:
    """TLCLI_MAX_BYTES; None if it is not set. Raises TlcliError if it is not a number."""
    text = os.environ.get("TLCLI_MAX_BYTES", "")
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,20}", text):
        raise TlcliError(f"TLCLI_MAX_BYTES is {text!r:.40}; expected a number of bytes.")
    return int(text)


def machine_memory() -> int:
    """Bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**36


def array_cost(shape: tuple[int, ...], size: int) -> int:
    """The bytes that an array counts as; each entry of a vector may become a label."""
    entries = math.prod(shape)
    return size + (LABEL * entries if entries == max(shape, default=1) else 0)
