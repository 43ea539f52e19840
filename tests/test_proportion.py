"""Hostile files take time and memory in proportion to their size; `fuzzing/hostile.py` has a line for each.

The processor's time and the memory of a process are measured, not the clock: a busy machine changes little.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzzing.hostile import HOSTILE, Hostile

TESTS = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux tells it"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def measured() -> dict[str, list[dict[str, Any]]]:
    """The costs of the files of the two sizes, by kind."""
    command = [sys.executable, "-m", "fuzzing.measuring"]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=TESTS.parent, env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["name"]: one["found"] for one in found}


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name.removeprefix("hostile: "))
def test_no_more_than_in_proportion(measured: dict[str, Any], hostile: Hostile) -> None:
    """Four times the file takes about four times as much (the square: sixteen), and no more than stated."""
    assert hostile.sizes[1] == 4 * hostile.sizes[0]
    small, large = measured[hostile.name]
    for one in (small, large):
        assert one["memory"] <= hostile.memory + hostile.per_byte * one["bytes"], one
        assert one["seconds"] <= hostile.seconds + hostile.per_megabyte * one["bytes"] / 1e6, one
    assert large["seconds"] <= 8 * max(small["seconds"], 0.02) + 0.3, (small, large)
    assert large["memory"] <= 6 * small["memory"] + (30 << 20), (small, large)
