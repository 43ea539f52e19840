"""Handle a device with too little memory: compute in smaller blocks, or explain the error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tlcli.errors import TlcliError

Found = TypeVar("Found")


def ran_out(error: BaseException) -> bool:
    """Whether an error of a backend means that a device has no memory left."""
    return type(error).__name__ == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error)


def with_smaller_blocks(compute: Callable[[int], Found], block: int) -> tuple[Found, int]:
    """The result of `compute` with a block of images, halved as often as memory runs out.

    Returns:
        The result, and the size of the blocks that succeeded.
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
    """Raise a `TlcliError` if a training with `batch` images per step runs out of memory."""
    try:
        yield
    except Exception as error:
        if not ran_out(error):
            raise
        raise TlcliError(
            f"The device has too little memory for training with {batch} images per step.\n"
            "Give a smaller --batch-size or smaller images, or --device cpu; what was saved can be resumed."
        ) from error
