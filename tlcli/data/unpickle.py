"""Reading the pickles of CIFAR's python version without running anything that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from tlcli.store.budget import Budget
from tlcli.store.unpickling import RestrictedUnpickler, UnsafePickleError, as_text


def load(file: BinaryIO, budget: Budget) -> Any:
    """The value in a pickle of dicts, lists, tuples, numbers, text, bytes and uint8 arrays.

    Nothing that a pickle names is ever imported or called: the four names that arrays are made of are
    answered with stand-ins from this module, any other raises UnsafePickleError. A damaged file raises
    whatever the unpickler makes of it, and one that makes more than the budget allows TlcliError.
    """
    return _Unpickler(file, budget).load()


class _DType:
    """Stands in for numpy.dtype; only plain bytes are known."""

    def __init__(self, code: Any, *_: Any) -> None:
        text = code.decode("ascii", "replace") if isinstance(code, bytes) else code
        if text != "u1":
            raise UnsafePickleError(f"an array of type {text!r:.100}: expected bytes")

    def __setstate__(self, state: Any) -> None:
        """The rest says byte order and alignment, which bytes have none of."""


class _Array:
    """Stands in for numpy.ndarray until its content has come."""

    value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _DType) or not isinstance(content, bytes):
            raise UnsafePickleError("an array of something other than bytes")
        self.value = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
}


class _Unpickler(RestrictedUnpickler):
    known = _KNOWN
    takes_state = (_Array, _DType)

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        super().__init__(file, budget)
        self._encoded: dict[str, bytes] = {}

    def encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """`_codecs.encode`: Python 3 writes bytes into old pickles as text in Latin 1.

        A text that the pickle refers to again is not encoded again.
        """
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise UnsafePickleError("text in an unexpected encoding")
        if text not in self._encoded:
            self.budget.take(len(text), "the bytes that it makes of texts")
            self._encoded[text] = text.encode("latin1")
        return self._encoded[text]

    def find_class(self, module: str | bytes, name: str | bytes) -> Callable[..., Any]:
        if (as_text(module), as_text(name)) == ("_codecs", "encode"):
            return self.encode
        return super().find_class(module, name)


def array(value: Any) -> np.ndarray:
    """The uint8 array that a value out of `load` stands for."""
    if not isinstance(value, _Array) or value.value is None:
        raise UnsafePickleError("expected an array")
    return value.value
