"""Mutated files of every kind, a few hundred with a seed; `harnesses/fuzz.py` opens thousands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent / "harnesses" / "fuzz.py"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux tells it")
def test_mutated_files_are_read_right_or_refused() -> None:
    """In worker processes, each with a limit of time and memory per case."""
    command = [sys.executable, str(HARNESS), "--cases", "300", "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["cases"] == 300
    refused = [kind for kind, tally in figures["kinds"].items() if tally.get("refused")]
    assert len(refused) > 25, "hardly anything was refused: are the mutations any?"
