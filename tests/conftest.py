"""The conditions of every test, wherever the tests are started."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Hear signals, as a program at a terminal does: shells start what runs in the background with Ctrl-C
    ignored, nohup with SIGHUP, and the programs that tests start would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
