"""The conditions of every test, wherever the tests are started."""

from __future__ import annotations

import os
import signal

import processes
import pytest

# Two workers share the cores, so a second thread of one only waits for the other. Commands that
# `processes` starts have as many threads as a user's.
os.environ.update(dict.fromkeys(processes.THREADS, "1"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Hear signals, as a program at a terminal does; what a test starts inherits this.

    Shells start what runs in the background with Ctrl-C ignored, nohup with SIGHUP, and a command that has
    ended within this process leaves all of them ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


LONG = (
    "test_jax.py",
    "test_grid.py",
    "test_chain.py",
    "test_contract.py",
    "test_training.py",
    "test_snakemake.py",
    "test_solutions.py",
    "test_proportion.py",
    "test_crashes.py",
    "test_precision.py",
    "test_own_network.py",
    "test_applications.py",
    "test_report.py",
    "test_weights.py",
    "test_keras_to_build.py",
    "test_rank.py",
    "test_fuzz.py",
)
"""The files that take longest, the longest first: each is done by one worker, and short ones fill the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
