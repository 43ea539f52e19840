"""Reading the pickles of CIFAR's python version without running anything that they ask for."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar

import numpy as np

from tlcli.store.budget import OPCODE, Budget


class UnsafePickleError(Exception):
    """The pickle asks for something beyond plain values and arrays of bytes."""


def load(file: BinaryIO, budget: Budget) -> Any:
    """The value in a pickle of dicts, lists, tuples, numbers, text, bytes and uint8 arrays.

    Nothing that a pickle names is ever imported or called: the four names that arrays are made of are
    answered with stand-ins from this module, any other raises UnsafePickleError. A damaged file raises
    whatever the unpickler makes of it, and one that makes more than the budget allows TlcliError.
    """
    return _Unpickler(_Counted(file, budget), budget).load()


class _Counted:
    """A file of which each read is taken from the budget: a step of a pickle makes one or two."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file, self._budget, self._reads = file, budget, 0

    def read(self, size: int) -> bytes:
        self._count()
        return self._file.read(size)

    def readline(self) -> bytes:
        self._count()
        return self._file.readline()

    def _count(self) -> None:
        self._reads += 1
        if not self._reads % 1024:
            self._budget.take(1024 * OPCODE, "the objects that it makes")


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

_OPCODES = (
    "PROTO",
    "FRAME",
    "STOP",
    "MARK",
    "POP",
    "POP_MARK",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "EMPTY_TUPLE",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "EMPTY_LIST",
    "LIST",
    "APPEND",
    "APPENDS",
    "EMPTY_DICT",
    "DICT",
    "SETITEM",
    "SETITEMS",
    "GLOBAL",
    "STACK_GLOBAL",
    "REDUCE",
    "BUILD",
    "PUT",
    "BINPUT",
    "LONG_BINPUT",
    "MEMOIZE",
    "GET",
    "BINGET",
    "LONG_BINGET",
)


# The one written in Python, not the one in C: its memo is a dict, so that no declared index takes memory.
_Python: Any = pickle._Unpickler


class _Unpickler(_Python):
    dispatch: ClassVar[dict[int, Any]] = {
        code: _Python.dispatch[code] for code in (getattr(pickle, name)[0] for name in _OPCODES)
    }

    def __init__(self, file: _Counted, budget: Budget) -> None:
        super().__init__(file, encoding="bytes")
        self._budget = budget
        self._encoded: dict[str, bytes] = {}

    def encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """`_codecs.encode`: Python 3 writes bytes into old pickles as text in Latin 1.

        A text that the pickle refers to again is not encoded again.
        """
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise UnsafePickleError("text in an unexpected encoding")
        if text not in self._encoded:
            self._budget.take(len(text), "the bytes that it makes of texts")
            self._encoded[text] = text.encode("latin1")
        return self._encoded[text]

    def load_frame(self) -> None:
        """What a frame holds is read at once: each byte may be a step."""
        size = int.from_bytes(self.read(8), "little")
        self._budget.take(size * OPCODE, "the objects that it makes")
        self._unframer.load_frame(size)

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (_text(module), _text(name)) == ("_codecs", "encode"):
            return self.encode
        try:
            return _KNOWN[_text(module), _text(name)]
        except KeyError:
            wanted = f"{_text(module)}.{_text(name)}"
            raise UnsafePickleError(f"it asks for {wanted!r:.100}, which could run code") from None

    def load_build(self) -> None:
        """Only the stand-ins take a state: a function or class on the stack must not be changed by it."""
        if not isinstance(self.stack[-2], _Array | _DType):
            raise UnsafePickleError("it sets the state of something other than an array")
        super().load_build()

    def load_setitem(self) -> None:
        """Names as keys only: the hash of deeply nested tuples would take for ever."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set(key, value)

    def load_setitems(self) -> None:
        """As `load_setitem`, for many."""
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    def load_dict(self) -> None:
        """As `load_setitems`, into a new dict."""
        items = self.pop_mark()
        self.stack.append({})
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    def _set(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | bytes) or type(self.stack[-1]) is not dict:
            raise UnsafePickleError("it has a dict with keys other than names")
        self.stack[-1][key] = value

    dispatch.update(
        {
            pickle.BUILD[0]: load_build,
            pickle.FRAME[0]: load_frame,
            pickle.DICT[0]: load_dict,
            pickle.SETITEM[0]: load_setitem,
            pickle.SETITEMS[0]: load_setitems,
        }
    )


def _text(name: str | bytes) -> str:
    return name.decode("ascii", "replace") if isinstance(name, bytes) else name


def array(value: Any) -> np.ndarray:
    """The uint8 array that a value out of `load` stands for."""
    if not isinstance(value, _Array) or value.value is None:
        raise UnsafePickleError("expected an array")
    return value.value
