"""Delay signals while HDF5 writes."""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType, TracebackType


class HeldSignals:
    """Signals with a handler in Python wait for `deliver`, or for the end of the block.

    HDF5 calls Python to write. h5py drops an exception in such a call, and the data with it. Ctrl-C and
    SIGTERM arrive as exceptions: the signal would be lost and the file damaged.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._handlers = contextlib.ExitStack()

    def __enter__(self) -> HeldSignals:
        if threading.current_thread() is threading.main_thread():  # only the main thread runs handlers
            self._hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def deliver(self) -> None:
        """Run the handlers of signals that have arrived; raises what they raise."""
        if self._waiting:
            try:
                self._release()
            finally:
                self._hold()

    def _hold(self) -> None:
        with contextlib.ExitStack() as handlers:
            for number in signal.valid_signals():
                handler = signal.getsignal(number)
                if callable(handler):
                    handlers.callback(signal.signal, number, handler)
                    signal.signal(number, self._wait)
            self._handlers = handlers.pop_all()

    def _wait(self, number: int, frame: FrameType | None) -> None:
        self._waiting.append(number)

    def _release(self) -> None:
        """Put the handlers back, and send them the signals that have arrived."""
        self._handlers.close()
        while self._waiting:
            signal.raise_signal(self._waiting.pop(0))
