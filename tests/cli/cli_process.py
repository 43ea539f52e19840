"""Running a command as a process, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[bytes]]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("TLCLI", "NO_COLOR", "COLUMNS"))}


def tlcli(
    *arguments: str, cwd: Path, stdin: bytes | None = None, env: dict[str, str] | None = None, **options
):
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tlcli.cli.main", *arguments],
        cwd=cwd,
        input=b"" if stdin is None else stdin,
        capture_output=True,
        timeout=120,
        env={**ENVIRONMENT, **(env or {})},
        **options,
    )


def fails(done: subprocess.CompletedProcess[bytes], code: int, *words: str) -> str:
    """Assert a clean failure: the code, no result, a few plain lines with these words. Returns them."""
    message = done.stderr.decode()
    assert done.returncode == code, message
    assert done.stdout == b""
    assert "Traceback" not in message
    assert message.startswith("tlcli: ")
    assert len(message.strip().splitlines()) <= 3, message
    for word in words:
        assert word in message, message
    return message
