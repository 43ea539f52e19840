"""Handle a device with too little memory: compute in smaller blocks, or explain the error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

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
def explain_exhaustion(batch: int, data: int = 0) -> Iterator[None]:
    """Raise a `TlcliError` where a training runs out of memory.

    Args:
        batch: Images per step.
        data: Bytes of images and labels that lie on the device.
    """
    with _explain(
        f"training with {batch} images per step, beside {data / 1e6:,.1f} MB of data.\n"
        "Give a smaller `batch_size`, fewer images (`size`) or smaller ones (`image_size`), "
        "or `device` cpu. What was saved can be resumed."
    ):
        yield


@contextmanager
def explain_data_exhaustion(array: np.ndarray) -> Iterator[None]:
    """Raise a `TlcliError` where an array does not fit into the memory of the device."""
    with _explain(
        f"the data: {len(array):,} images take {array.nbytes / 1e6:,.1f} MB.\n"
        "Take fewer images (`size` or `proportion`) or smaller ones (`image_size`), "
        "or give `device` cpu. A smaller `batch_size` does not help."
    ):
        yield


@contextmanager
def _explain(what: str) -> Iterator[None]:
    """Raise a `TlcliError` where the block runs out of memory: there is too little for `what`."""
    try:
        yield
    except Exception as error:
        if not ran_out(error):
            raise
        raise TlcliError(f"The device has too little memory for {what}") from error
