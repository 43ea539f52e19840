"""What may be made of one input: one budget for each file or folder that is opened.

A reader takes from it whatever it makes of the input: bytes that it unpacks, pixels that it decodes, texts
that it copies, objects that it lists. So a small file cannot ask for much memory or time, whichever way it
tries.
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
"""Bytes that may be made of any input, however small."""
FILE = 1024
"""Bytes that each of many files counts as at least when an input is made of them."""
RATIO = 4096
"""And beyond that for each byte of it: deflate expands 1,032 times at most, and what is made of that may be
several times as large, such as texts or pixels in colour."""
ROOM = 1_700_000_000
"""Bytes of memory that all threads together may work in at a time, and give back: decoding of images."""
DEFLATE = 1032
"""Times that gzip and deflate expand at most."""

OBJECT = 1024
"""What an object of a file or a member of an archive is counted as, beside its bytes."""
TEXT = 128
"""What a text is counted as that is one of many."""
ROW_RATIO = 128
"""What each byte of a table of labels is counted as: a row of two bytes becomes several objects."""
LABEL = 1024
"""What an entry of a vector is counted as, which may be the label of an image."""
OPCODE = 128
"""What a step of a pickle is counted as."""
TEXT_RATIO = 32
"""What each byte of a text is counted as: JSON makes objects of it."""
CHUNK = 16 * 1024
"""What a chunk of an HDF5 dataset is counted as, beside its bytes: each takes some time."""


class Budget:
    """What may be made of one input, in bytes. Threads may share it.

    Two things are bounded: what there is at a time, by TLCLI_MAX_BYTES or the machine's memory; and what is
    made in all, in proportion to the input, because it takes time even where it is given back.
    """

    def __init__(self, name: str, size: int = 0) -> None:
        """name: what messages call the input. size: its bytes, as far as they are known."""
        self.name = name
        self._given = given_limit()
        self._most_held = machine_memory() if self._given is None else self._given
        self._size = size
        self._held = self._made = self._working = 0
        self._changed = threading.Condition()

    def grow(self, size: int) -> None:
        """Another file of the same input was opened, with so many bytes."""
        with self._changed:
            self._size += size

    def allows(self, count: int) -> bool:
        """Whether so many bytes could be taken; takes none."""
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
        """Memory that was taken has been released."""
        with self._changed:
            self._held -= count

    def refusal(self, what: str, count: int) -> str:
        """Why `what`, so many bytes, is not read."""
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
        """Memory to work in meanwhile, at most `room_size`. Waits until other threads leave enough of it."""
        with self._changed:
            self._changed.wait_for(lambda: self._working + count <= self.room_size)
            self._working += count
        try:
            yield
        finally:
            with self._changed:
                self._working -= count
                self._changed.notify_all()


def given_limit() -> int | None:
    """TLCLI_MAX_BYTES; None where it is not set. Raises TlcliError when it is no number."""
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
    """What an array of so many bytes is counted as; a vector's entries may each become a label."""
    entries = math.prod(shape)
    return size + (LABEL * entries if entries == max(shape, default=1) else 0)
