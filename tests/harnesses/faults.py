"""Makes one call to the operating system fail in the writing commands, each call of each kind in turn.

    python tests/harnesses/faults.py --most 40

`open`, `write`, `fsync`, `link`, `rename` and so on fail with an error number; or, from that moment on, there
is no more memory. Afterwards: exit code 1 and plain words, or 0 and the whole file; under the final name
nothing, the older file or the whole new one; and the next run of the command ends in the same bytes.
"""

from __future__ import annotations

import argparse
import builtins
import errno
import itertools
import json
import mmap
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import forked
from failing_writes import moments
from forked import Ended
from kill import TEMPORARY, Command, Harness, content, put

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)


class Raw:
    """The open file that HDF5's bytes go to, whose methods can be replaced."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def write(self, data: Any) -> int:
        return int(self._raw.write(data))

    def truncate(self, size: int) -> int:
        return int(self._raw.truncate(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def through_raw() -> None:
    """In the child: have HDF5's bytes written through `Raw`."""
    from tlcli.store import writing

    plain = writing.write_tree
    writing.write_tree = lambda raw, tree: plain(Raw(raw), tree)  # type: ignore[arg-type, assignment]


def calls() -> dict[str, tuple[Any, str]]:
    """What can fail, by kind: the functions at whose calls it does."""
    kinds = {name: place for name, place in moments().items() if name not in ("read", "unlink", "rmdir")}
    hdf5 = {"write": (Raw, "write"), "truncate": (Raw, "truncate")}
    return {**kinds, **hdf5, "open": (os, "open"), "file": (builtins, "open"), "mmap": (mmap, "mmap")}


def failing(number: int) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


def no_more_memory() -> None:
    """From now on the process may not grow."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * mmap.PAGESIZE + (1 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


class Faults(Harness):
    """The commands and inputs of the kills, with calls that fail instead."""

    def plan(self, most: int) -> list[tuple[Command, str, int, bool]]:
        """Each command, each kind of call, each call of an undisturbed run, or so many of them; and whether
        memory runs out there instead."""
        points = []
        for command in dict.fromkeys(c.name for c in self.commands):
            chosen = next(c for c in self.commands if c.name == command)
            for kind, count in self._counted(chosen).items():
                step = max(1, -(-count // most))
                points += [(chosen, kind, n, False) for n in range(1, count + 1, step)]
                if kind in ("write", "file"):
                    points += [(chosen, kind, n, True) for n in range(1, count + 1, 2 * step)]
        return points

    def _counted(self, command: Command) -> dict[str, int]:
        with self.folder() as folder:
            tally = folder.parent / "tally.json"
            ended = forked.call(command.arguments, folder, lambda: count(tally))
            assert ended.code == 0, ended.stderr
            return dict(json.loads(tally.read_text()))

    def fault(self, command: Command, kind: str, number: int, memory: bool) -> None:
        """One fault, and what must hold after it."""
        error = ERRORS[number % len(ERRORS)]
        act = no_more_memory if memory else failing(error)
        where = f"{command.name}: {'no memory' if memory else errno.errorcode[error]} at {kind} {number}"
        with self.folder() as folder:
            before = self.old(command) if number % 2 else None
            put(folder / command.output, before or {})
            owner, name = calls()[kind]
            arguments = [*command.arguments, "--force"]

            def prepare() -> None:
                through_raw()
                forked.at_call(owner, name, number, act)

            ended = forked.call(arguments, folder, prepare)
            self._check(command, folder, before, ended, where)
            self.counts[f"{kind}{', no memory' if memory else ''}"] += 1
            self.counts["told" if ended.code else "done all the same"] += 1

    def _check(
        self, command: Command, folder: Path, before: dict[str, bytes] | None, ended: Ended, where: str
    ) -> None:
        said = f"{where}: {ended.stderr[-2000:]}"
        assert ended.code in (0, 1), f"{said}: exit code {ended.code}"
        assert "Traceback" not in ended.stderr, said
        assert "fault in tlcli" not in ended.stderr, said
        assert ended.code == 0 or ended.stderr.strip(), f"{where}: not told"
        found = content(folder / command.output)
        assert found == command.bytes or (ended.code == 1 and found == before), f"{said}: something is lost"
        for name in self._extra(command, folder):
            assert TEMPORARY.fullmatch(name), f"{where}: {name} is left"
        if ended.code:
            self._check_next(command, folder, where)


def count(path: Path) -> None:
    """In a child: count the calls of every kind, and write them at the end."""
    through_raw()
    counted: Counter[str] = Counter()
    plain_open, plain_exit = builtins.open, os._exit
    for kind, (owner, name) in calls().items():
        counted[kind] = 0
        plain = getattr(owner, name)

        def counting(*arguments: Any, plain: Any = plain, kind: str = kind, **options: Any) -> Any:
            counted[kind] += 1
            return plain(*arguments, **options)

        setattr(owner, name, counting)

    def end(code: int) -> None:
        with plain_open(path, "w") as file:
            json.dump(counted, file)
        plain_exit(code)

    os._exit = end  # type: ignore[assignment]


def main() -> int:
    """Run it and print the figures as JSON; the exit code is 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--most", type=int, default=40, help="Calls of one kind in one command.")
    parser.add_argument("--points", type=int, help="So many in all, evenly spread.")
    parser.add_argument("--folder", help="Where to work: a disk in memory is quick.")
    parser.add_argument("--commands", default="split,knn,report,train-base,transfer,embed")
    options = parser.parse_args()
    started, broken = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="tlcli-faults-", dir=options.folder) as root:
        harness = Faults(Path(root), options.commands.split(","), 0)
        points = harness.plan(options.most)
        step = max(1, len(points) // options.points) if options.points else 1
        with forked.until_cut_off():
            for point in itertools.islice(points, 0, None, step):
                try:
                    harness.fault(*point)
                except AssertionError as error:
                    broken.append(str(error))
                    print(error, file=sys.stderr, flush=True)
    figures = {
        "faults": harness.counts["told"] + harness.counts["done all the same"],
        "of": len(points),
        "counts": dict(harness.counts),
        "broken": broken,
        "seconds": round(time.monotonic() - started),
    }
    print(json.dumps(figures, indent=1))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
