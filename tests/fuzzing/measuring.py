"""Measure the processor time and memory of hostile files, as JSON: `python -m fuzzing.measuring [NAME...]`.

Separate processes, forked after all imports, make and open each file, so that none affects another. Time is
the processor's, not the clock's.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image  # noqa: F401  what readers import when they are called
import scipy.io  # noqa: F401

from fuzzing.hostile import HOSTILE, Hostile
from fuzzing.kinds import KINDS
from tlcli.data.decoding import UnreadableError
from tlcli.errors import TlcliError


def measure(hostile: Hostile, size: int, path: Path) -> dict[str, Any]:
    """`bytes` of the file, `seconds` of the processor, `memory` in bytes, and the `outcome`."""
    in_child(lambda: path.write_bytes(hostile.make(size)))
    return {"bytes": path.stat().st_size, **in_child(lambda: opened(KINDS[hostile.reader].open, path))}


def opened(reader: Callable[[Path], Any], path: Path) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    Path("/proc/self/clear_refs").write_text("5")
    before, began = memory("VmRSS"), time.process_time()
    try:
        reader(path)
        outcome = "read"
    except (TlcliError, UnreadableError) as error:
        outcome = f"refused: {error}"
    seconds = time.process_time() - began
    return {"seconds": seconds, "memory": memory("VmHWM") - before, "outcome": outcome}


def memory(what: str) -> int:
    """Bytes that this process has (VmRSS) or has had at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what + ":"))


def in_child(function: Callable[[], Any]) -> Any:
    """The result of a function in a separate process."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        code = 1
        try:
            os.write(writing, json.dumps(function()).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as stream:
        content = stream.read()
    assert os.waitpid(child, 0)[1] == 0, "the process did not end well"
    return json.loads(content)


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for hostile in HOSTILE:
            if not names or hostile.name in names:
                path = Path(folder, f"x{hostile.suffix}")
                found = [measure(hostile, size, path) for size in hostile.sizes]
                print(json.dumps({"name": hostile.name, "found": found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
