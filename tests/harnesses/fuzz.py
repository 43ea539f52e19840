"""Opens mutated files of every kind that tlcli reads, and looks at how that ends.

    python tests/harnesses/fuzz.py --cases 12000

Each case is drawn from (seed, kind, number), so that any can be made again: `--kind K --first N --cases 1`.
`--slice 1/12` to `--slice 12/12` are together what one run of all kinds is.
Allowed is what the file holds, or an error in a line or two. A traceback is not, nor is a case that takes
longer than TIME_LIMIT, or more memory than its kind may, nor one that ends the interpreter: cases run in
worker processes, so that even this is counted and the next case goes on.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import resource
import select
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import PIL.Image  # noqa: F401  what readers import when they are called
import scipy.io  # noqa: F401

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from forked import until_cut_off
from fuzzing import hdf5, hostile, sources, weights  # noqa: F401  they register their kinds
from fuzzing.kinds import KINDS, PIXEL_MEMORY, Kind, mutate

from tlcli.data.decoding import UnreadableError
from tlcli.errors import TlcliError

TIME_LIMIT = 10.0
"""Seconds of the processor that a case may take; an honest file of these sizes takes some milliseconds."""
HANG = 120.0
"""Seconds by the clock after which a case is ended, however busy the machine is."""


class Cases:
    """The cases of one kind, in a folder."""

    def __init__(self, kind: Kind, seed: int, folder: Path) -> None:
        self.kind, self.seed, self.folder = kind, seed, folder
        self.files = kind.make()
        self.path = folder / f"case{kind.suffix}"
        self.good: set[str] = set()
        for content in self.files:
            self.path.write_bytes(content)
            with contextlib.suppress(*((TlcliError, UnreadableError) if kind.hostile else ())):
                if found := kind.open(self.path):
                    self.good.add(found)

    def run(self, number: int) -> str:
        """`read`, `refused`, or what is wrong."""
        rng = np.random.default_rng([self.seed, list(KINDS).index(self.kind.name), number])
        if self.kind.edits is not None:
            self.path.write_bytes(self.files[rng.integers(len(self.files))])
            self.kind.edits(self.path, rng)
        else:
            self.path.write_bytes(mutate(self.files, rng))
        forget_peak()
        before, began = memory("VmRSS"), time.process_time()
        try:
            found = self.kind.open(self.path)
            outcome = "read" if found is None or found in self.good else "WRONG: another content was read"
        except (TlcliError, UnreadableError) as error:
            outcome = (
                "refused" if is_plain(str(error)) else f"WRONG: a message of another form: {error!r:.300}"
            )
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            outcome = (
                f"WRONG: {type(error).__name__}: {error!s:.150} ({Path(last.filename).name}:{last.lineno})"
            )
        grown = memory("VmHWM") - before
        if grown > self.kind.memory:
            outcome = f"WRONG: {grown >> 20} MiB of memory"
        if (seconds := time.process_time() - began) > TIME_LIMIT:
            outcome = f"WRONG: {seconds:.0f} s of the processor"
        return outcome


def is_plain(message: str) -> bool:
    """One or two lines of some length."""
    return 0 < len(message) < 1200 and message.count("\n") <= 1


def memory(what: str) -> int:
    """Bytes that this process has (VmRSS) or has had at most (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) << 10
    raise LookupError(what)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def work(stdout: int, kind: str, seed: int, first: int, last: int, folder: Path) -> None:
    """A worker: cases one after the other, each told before and after."""
    os.dup2(stdout, 1)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["TLCLI_CACHE_DIR"] = str(folder)
    cases = Cases(KINDS[kind], seed, folder)
    room = memory("VmSize") + 4 * PIXEL_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    for number in range(first, last):
        print(json.dumps([number]), flush=True)
        print(json.dumps([number, cases.run(number)]), flush=True)


def run_kind(kind: str, seed: int, first: int, count: int, folder: Path, outcomes: dict[int, str]) -> None:
    """All cases of a kind, in as many workers as it takes; `outcomes` gets them, by number."""
    while len(outcomes) < count:
        _run_worker(kind, seed, first + len(outcomes), first + count, folder, outcomes)


def _run_worker(kind: str, seed: int, first: int, last: int, folder: Path, outcomes: dict[int, str]) -> None:
    """Until the worker ends, whichever way. Outcomes come for all numbers from `first` on, without a gap."""
    reading, writing = os.pipe()
    process = multiprocessing.get_context("fork").Process(
        target=work, args=(writing, kind, seed, first, last, folder)
    )
    process.start()
    os.close(writing)
    try:
        running, why = _listen(reading, outcomes)
    except BaseException:
        process.kill()
        raise
    finally:
        os.close(reading)
    if why:
        process.kill()
    process.join()
    if running is not None:
        outcomes[running] = why or f"WRONG: the interpreter ended with {process.exitcode}"
    elif process.exitcode or first not in outcomes:
        raise RuntimeError(f"the worker for {kind} failed")


def _listen(reading: int, outcomes: dict[int, str]) -> tuple[int | None, str]:
    """Note what a worker says. Returns the number of the case that it has not ended, and why not."""
    running, pending = None, b""
    while select.select([reading], [], [], 600 if running is None else HANG)[0]:
        block = os.read(reading, 65536)
        if not block:
            return running, ""
        *lines, pending = (pending + block).split(b"\n")
        for line in lines:
            number, *outcome = json.loads(line)
            running = None if outcome else number
            if outcome:
                outcomes[number] = outcome[0]
    return running, f"WRONG: no end after {HANG:.0f} s"


def main() -> int:
    """Print the outcomes per kind as JSON; the exit code is 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=12_000, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--slice", default="1/1", help="Which part of the kinds, for example 1/12.")
    options = parser.parse_args()
    started = time.monotonic()
    outcomes: dict[str, dict[int, str]] = {}
    with until_cut_off():
        for kind, count in planned(options.kind or list(KINDS), options.cases, options.slice):
            found = outcomes.setdefault(kind, {})
            with tempfile.TemporaryDirectory(prefix="tlcli-fuzz-") as folder:
                run_kind(kind, options.seed, options.first, count, Path(folder), found)
            tell_wrong(kind, found)
    tallies = {
        kind: dict(collections.Counter(o if o in ("read", "refused") else "wrong" for o in found.values()))
        for kind, found in outcomes.items()
    }
    wrong = sum(tally.get("wrong", 0) for tally in tallies.values())
    total = sum(map(len, outcomes.values()))
    figures = {"cases": total, "wrong": wrong, "seconds": round(time.monotonic() - started), "kinds": tallies}
    print(json.dumps(figures, indent=1))
    return 1 if wrong else 0


def planned(kinds: list[str], cases: int, which: str) -> list[tuple[str, int]]:
    """The kinds of a slice, each with its number of cases."""
    number, of = map(int, which.split("/"))
    counts = [cases // len(kinds) + (place < cases % len(kinds)) for place in range(len(kinds))]
    return [(kind, count) for kind, count in zip(kinds, counts, strict=True) if count][number - 1 :: of]


def tell_wrong(kind: str, outcomes: dict[int, str]) -> None:
    for number, outcome in outcomes.items():
        if outcome.startswith("WRONG"):
            print(f"{kind}, case {number}: {outcome}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
