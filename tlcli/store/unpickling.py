"""Read pickles without running anything that they ask for."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar

from tlcli.store.budget import OPCODE, Budget


class UnsafePickleError(Exception):
    """The pickle asks for something beyond plain values and the few names that its reader knows."""


class _BudgetedFile:
    """A file that takes each read from the budget: a step of a pickle reads once or twice."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
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


_OPCODES = """
PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1
STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES
SHORT_BINBYTES BINBYTES8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS
EMPTY_DICT DICT SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD PUT BINPUT LONG_BINPUT MEMOIZE GET
BINGET LONG_BINGET BINFLOAT BINPERSID
"""
"""The opcodes of plain values, references to storages and calls of known names."""

# The unpickler in Python, not in C: its memo is a dict, so that a declared index takes no memory.
_Python: Any = pickle._Unpickler


class RestrictedUnpickler(_Python):
    """Reads plain values; nothing that a pickle names is ever imported or called.

    A subclass answers the names it knows with stand-ins of its own; any other raises UnsafePickleError. What
    the steps of the pickle make is taken from the budget. A damaged file raises whatever the unpickler makes
    of it.
    """

    known: ClassVar[Mapping[tuple[str, str], Callable[..., Any]]] = {}
    takes_state: ClassVar[tuple[type, ...]] = ()
    """The stand-ins whose state a pickle may set."""

    dispatch: ClassVar[dict[int, Any]] = {
        code: _Python.dispatch[code] for code in (getattr(pickle, name)[0] for name in _OPCODES.split())
    }

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        super().__init__(_BudgetedFile(file, budget), encoding="bytes")
        self.budget = budget

    def load_frame(self) -> None:
        """Take a frame from the budget at once: each byte may be a step."""
        size = int.from_bytes(self.read(8), "little")
        self.budget.take(size * OPCODE, "the objects that it makes")
        self._unframer.load_frame(size)

    def find_class(self, module: str | bytes, name: str | bytes) -> Callable[..., Any]:
        wanted = as_text(module), as_text(name)
        if wanted not in self.known:
            raise UnsafePickleError(f"it asks for {'.'.join(wanted)!r:.100}, which could run code")
        return self.known[wanted]

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafePickleError("it refers to something outside the pickle")

    def load_build(self) -> None:
        """Set a state of stand-ins only: it must not change a function or class on the stack."""
        if not isinstance(self.stack[-2], self.takes_state):
            raise UnsafePickleError("it sets the state of something other than an array")
        super().load_build()

    def load_setitem(self) -> None:
        """Accept only names as keys: the hash of deeply nested tuples would take for ever."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set(key, value)

    def load_setitems(self) -> None:
        """Set many items like `load_setitem`."""
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    def load_dict(self) -> None:
        """Set items of a new dict like `load_setitems`."""
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


def as_text(name: str | bytes) -> str:
    return name.decode("ascii", "replace") if isinstance(name, bytes) else name
