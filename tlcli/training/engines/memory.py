"""What happens when a device has too little memory: smaller blocks where that helps, else words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tlcli.errors import TlcliError

Found = TypeVar("Found")


def ran_out(error: BaseException) -> bool:
    """Does a backend say with an error that a device has no memory left?"""
    return type(error).__name__ == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error)


def with_smaller_blocks(compute: Callable[[int], Found], block: int) -> tuple[Found, int]:
    """What `compute` gives for a block of so many images, or half as many and so on where memory runs out.

    Returns:
        What was computed, and the size of the blocks it was computed in.
    """
    while True:
        try:
            return compute(block), block
        except Exception as error:
            if block == 1 or not ran_out(error):
                raise
        block //= 2


@contextmanager
def explain_exhaustion(batch: int) -> Iterator[None]:
    """Raise a `TlcliError` where a training with so many images per step runs out of memory."""
    try:
        yield
    except Exception as error:
        if not ran_out(error):
            raise
        raise TlcliError(
            f"The device has too little memory for training with {batch} images per step.\n"
            "Give a smaller --batch-size or smaller images, or --device cpu; what was saved can be resumed."
        ) from error
