"""Makes one call to the operating system, or one allocation, fail in the writing commands, each in turn.

    python tests/harnesses/faults.py --most 12

`open`, `write`, `fsync`, `link`, `rename`, `mmap` and so on fail with an error number; an allocation of
Python fails; or from one moment on the process may not grow. Afterwards: exit code 1 and plain words, or 0
and the whole file; under the final name nothing, the older file or the whole new one; and the next run of the
command ends in the same bytes.
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
from kill import TEMPORARY, Command, Harness, content, pixels_of, put

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)
ALLOCATION, GROWTH = "allocation", ", no memory"
COMMANDS = (
    *("split", "knn", "report", "dump", "train-base", "transfer", "embed", "rank"),
    *("import-weights", "export-weights", "export-weights .keras"),
)
WITHOUT_NETWORK = COMMANDS[:4]
TRAINING = ["--batch-size", "20", "--samples", "40", "--eval-every", "20", "--threads", "1"]

Point = tuple[Command, str, int]
"""A command, what fails in it, and the how manieth."""


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


def get_ready() -> None:
    """Before the forks: have HDF5's bytes written through `Raw`, and a training save after each measurement.

    Networks are computed operation by operation: to compile them takes longer than such short trainings.
    """
    from tlcli.store import writing

    plain = writing.write_tree
    writing.write_tree = lambda raw, tree: plain(Raw(raw), tree)  # type: ignore[arg-type, assignment]
    if loop := sys.modules.get("tlcli.training.loop"):
        loop._SAVE_SECONDS = 0  # type: ignore[attr-defined]
        sys.modules["tensorflow"].config.run_functions_eagerly(True)


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


def no_allocation(number: int, many: int = 1) -> None:
    """So many allocations of Python from this number on fail."""
    import _testcapi

    first = number + 50  # the harness's own come before
    _testcapi.set_nomemory(first, first + many)


def spread(count: int, most: int) -> list[int]:
    """1 to `count`, or so many of them at equal distances."""
    return sorted({1 + i * count // most for i in range(most)} if count > most else range(1, count + 1))


class Faults(Harness):
    """The commands of the kills, and more of them, with calls that fail instead."""

    def __init__(self, root: Path, names: list[str], seed: int) -> None:
        super().__init__(root, names, seed)
        self.by_command: Counter[str] = Counter()

    def _make_inputs(self) -> None:
        get_ready()
        self.made("split", "--dataset", "digits", "--classes", "0-5", "--size", "60", "-o", "source.h5")
        self.made("split", "--dataset", "digits", "--classes", "6-9", "--size", "40", "-o", "target.h5")
        pixels_of(self.inputs / "source.h5", self.inputs / "pixels.h5")
        self.made("knn", "pixels.h5", "--k", "1-5", "-o", "knn.h5")
        if set(self.names) - set(WITHOUT_NETWORK):
            self.made("train-base", "source.h5", "--arch", "cnn2", *TRAINING, "-o", "base.h5")
            self.made("export-weights", "base.h5", "-o", "base.weights.h5")

    def _arguments(self, name: str) -> list[str]:
        arms = ["--method", "scratch", "--method", "freeze:copy=2", "--runs", "1", "--resume"]
        layers = ["--arch", "cnn2", "--dataset", "source.h5"]
        return {
            "split": ["split", "--dataset", "digits", "--classes", "0-7", "-o", "out.h5"],
            "knn": ["knn", "pixels.h5", "--k", "1-20", "-o", "out.h5"],
            "report": ["report", "knn.h5", "-o", "out"],
            "dump": ["dump", "knn.h5", "--table", "sweeps", "--csv", "out.csv"],
            "train-base": [
                "train-base",
                "source.h5",
                "--arch",
                "cnn2",
                *TRAINING,
                "--resume",
                "-o",
                "out.h5",
            ],
            "transfer": ["transfer", "base.h5", "target.h5", *arms, *TRAINING, "-o", "out.h5"],
            "embed": ["embed", "base.h5", "target.h5", "-o", "out.h5"],
            "rank": ["rank", "base.h5", "--target", "target.h5", "-o", "out.h5"],
            "import-weights": ["import-weights", "base.weights.h5", *layers, "-o", "out.h5"],
            "export-weights": ["export-weights", "base.h5", "-o", "out.weights.h5"],
            "export-weights .keras": ["export-weights", "base.h5", "-o", "out.keras"],
        }[name]

    def plan(self, most: int) -> list[Point]:
        """For each command, each kind of call, each call of an undisturbed run, or so many of them; and the
        same for its allocations."""
        points: list[Point] = []
        for command in self.commands:
            for kind, count in self._counted(command).items():
                points += [(command, kind, number) for number in spread(count, most)]
        return points

    def _counted(self, command: Command) -> dict[str, int]:
        """How often an undisturbed run calls each kind; and allocates, for commands without a network."""
        with self.folder() as folder:
            tally = folder.parent / "tally.json"
            ended = forked.call(command.arguments, folder, lambda: count(tally))
            assert ended.code == 0, ended.stderr
            counted: dict[str, int] = json.loads(tally.read_text())
        counted |= {kind + GROWTH: counted[kind] for kind in ("write", "file") if counted[kind]}
        if command.name in WITHOUT_NETWORK:
            counted[ALLOCATION] = self._allocations(command)
        return counted

    def _allocations(self, command: Command) -> int:
        """Its allocations, to an eighth: where later ones fail, it does not notice."""

        def notices(first: int) -> bool:
            with self.folder() as folder:
                return forked.call(command.arguments, folder, lambda: no_allocation(first, 100)).code != 0

        few = 1 << 12
        while notices(2 * few):
            few *= 2
        for part in (few // 2, few // 4, few // 8):
            few += part * notices(few + part)
        return few

    def fault(self, command: Command, kind: str, number: int) -> None:
        """One fault, and what must hold after it."""
        error = ERRORS[number % len(ERRORS)]
        memory = kind == ALLOCATION or kind.endswith(GROWTH)
        where = f"{command.name}: {'no memory' if memory else errno.errorcode[error]} at {kind} {number}"
        with self.folder() as folder:
            before = self.old(command) if number % 2 else None
            put(folder / command.output, before or {})

            def prepare() -> None:
                if kind == ALLOCATION:
                    no_allocation(number)
                else:
                    owner, name = calls()[kind.removesuffix(GROWTH)]
                    forked.at_call(owner, name, number, no_more_memory if memory else failing(error))

            ended = forked.call([*command.arguments, "--force"], folder, prepare)
            self._check_told(ended, where, memory)
            self._check_kept(command, folder, before, ended, where)
            self.counts[kind] += 1
            self.by_command[command.name] += 1
            self.counts[{0: "done all the same", 1: "told"}.get(ended.code, "ended the interpreter")] += 1

    def _check_told(self, ended: Ended, where: str, memory: bool) -> None:
        """Plain words. Python itself and other libraries may fail otherwise, or crash, without memory."""
        said = f"{where}: {ended.stderr[-2000:]}"
        if memory and (ended.code < 0 or "SystemError" in ended.stderr):
            return
        assert ended.code in (0, 1), f"{said}: exit code {ended.code}"
        assert "Traceback" not in ended.stderr, said
        assert "fault in tlcli" not in ended.stderr, said
        assert ended.code == 0 or ended.stderr.strip(), f"{where}: not told"

    def _check_kept(
        self, command: Command, folder: Path, before: dict[str, bytes] | None, ended: Ended, where: str
    ) -> None:
        found, said = content(folder / command.output), f"{where}: {ended.stderr[-2000:]}"
        assert found == command.bytes or (ended.code and found == before), f"{said}: something is lost"
        for name in self._extra(command, folder):
            assert TEMPORARY.fullmatch(name), f"{where}: {name} is left"
        if ended.code:
            self._check_next(command, folder, where)


def count(path: Path) -> None:
    """In a child: count the calls of every kind, and write them at the end."""
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
    parser.add_argument("--most", type=int, default=12, help="Calls of one kind in one command.")
    parser.add_argument("--points", type=int, help="So many in all, evenly spread.")
    parser.add_argument("--folder", help="Where to work: a disk in memory is quick.")
    parser.add_argument("--commands", default=",".join(COMMANDS))
    options = parser.parse_args()
    started, broken, points = time.monotonic(), list[str](), list[Point]()
    with tempfile.TemporaryDirectory(prefix="tlcli-faults-", dir=options.folder) as root:
        harness = Faults(Path(root), options.commands.split(","), 0)
        with forked.until_cut_off():
            harness.prepare()
            points = harness.plan(options.most)
            step = max(1, len(points) // options.points) if options.points else 1
            for point in itertools.islice(points, 0, None, step):
                try:
                    harness.fault(*point)
                except AssertionError as error:
                    broken.append(str(error))
                    print(error, file=sys.stderr, flush=True)
    figures = {
        "faults": sum(harness.by_command.values()),
        "of": len(points),
        "counts": dict(harness.counts),
        "by command": dict(harness.by_command),
    }
    return forked.tell_figures(figures, broken, started)


if __name__ == "__main__":
    sys.exit(main())
