"""Kills the writing commands at random moments, makes their writes fail, and looks at what is left.

    python tests/harnesses/kill.py --kills 240 --failures 60 --stops 60

A kill comes at a random time, or at a chosen call: of reading a dataset, of a write, an fsync, a link, a
rename, an unlink. Afterwards: the final name is absent or holds the very bytes of an undisturbed run; with
--force it may hold the older file instead, whole; whatever else is there has the name of a temporary file;
and the next run of the same command ends in those bytes and leaves nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import forked
from failing_writes import (
    Unavailable,
    closed_folder,
    full_disk,
    limited_file,
    moments,
    permission_lost,
    read_only_disk,
)
from forked import Ended

TEMPORARY = re.compile(r"\.(out|state)[^/]*\.\d+-[0-9a-f]{8}(-old)?\.tlcli-tmp(/.*)?")
TRAINING = ["--batch-size", "20", "--samples", "400", "--eval-every", "100", "--threads", "2"]


@dataclass
class Command:
    """A command to kill: its arguments, what it writes, and what an undisturbed run writes."""

    name: str
    arguments: list[str]
    output: str
    bytes: dict[str, bytes]
    """Of the output: by path in it, for a folder; under the empty name, for a file."""
    seconds: float
    calls: dict[str, int]
    """How often an undisturbed run calls what `moments` lists."""


def content(path: Path) -> dict[str, bytes] | None:
    """The bytes of a file, or of every file in a folder; None when there is nothing."""
    if path.is_dir():
        return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
    return {"": path.read_bytes()} if path.exists() else None


class Harness:
    """A folder with inputs, and the commands that use them."""

    def __init__(self, root: Path, names: list[str], seed: int) -> None:
        self.root, self.chance = root, random.Random(seed)
        self.inputs, self.names = root / "inputs", names
        self.commands: list[Command] = []
        self.counts: Counter[str] = Counter()
        self.phases: Counter[str] = Counter()
        self.complete = 0

    def prepare(self) -> None:
        """Import what is needed, make the inputs, and run each command undisturbed."""
        self.inputs.mkdir()
        forked.warm_up(["split", "knn", "report", *(name.split()[0] for name in self.names)])
        self._make_inputs()
        measured = {name: self._measured(name) for name in dict.fromkeys(self.names)}
        self.commands = [measured[name] for name in self.names]

    def made(self, *arguments: str) -> None:
        """Run a command among the inputs."""
        ended = forked.call(arguments, self.inputs)
        assert ended.code == 0, ended.stderr

    def _make_inputs(self) -> None:
        made = self.made
        made("split", "--dataset", "digits", "--classes", "0-5", "-o", "source.h5")
        made("split", "--dataset", "digits", "--classes", "6-9", "--size", "100", "-o", "target.h5")
        pixels_of(self.inputs / "source.h5", self.inputs / "pixels.h5")
        made("knn", "pixels.h5", "--k", "1-5", "-o", "knn.h5")
        if {"embed", "transfer"} & set(self.names):
            made("train-base", "source.h5", "--arch", "cnn2", *TRAINING, "-o", "base.h5")

    def _arguments(self, name: str) -> list[str]:
        base = ["train-base", "source.h5", "--arch", "cnn2", *TRAINING, "--resume"]
        arms = ["--method", "scratch", "--method", "freeze:copy=2", "--runs", "2", *TRAINING, "--resume"]
        return {
            "split": ["split", "--dataset", "digits", "--classes", "0-7", "-o", "out.h5"],
            "train-base": [*base, "-o", "out.h5"],
            "transfer": ["transfer", "base.h5", "target.h5", *arms, "-o", "out.h5"],
            "embed": ["embed", "base.h5", "source.h5", "-o", "out.h5"],
            "knn": ["knn", "pixels.h5", "--k", "1-20", "-o", "out.h5"],
            "report": ["report", "knn.h5", "-o", "out"],
        }[name]

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """A fresh folder with the inputs."""
        with tempfile.TemporaryDirectory(dir=self.root) as name:
            path = Path(name) / "work"
            shutil.copytree(self.inputs, path, copy_function=os.link)
            yield path

    def _measured(self, name: str) -> Command:
        """Run a command undisturbed."""
        arguments = self._arguments(name)
        with self.folder() as folder:
            tally = folder.parent / "calls.json"
            ended = forked.call(arguments, folder, lambda: count_calls(tally))
            assert ended.code == 0, ended.stderr
            output = arguments[-1]
            whole = content(folder / output)
            assert whole is not None
            calls = json.loads(tally.read_text())
            forced = forked.call([*arguments, "--force"], folder, lambda: count_calls(tally))
            assert forced.code == 0, forced.stderr
            assert content(folder / output) == whole, f"{name} is not deterministic"
            calls = {k: max(v, calls[k]) for k, v in json.loads(tally.read_text()).items()}
            return Command(name, arguments, output, whole, ended.seconds, calls)

    def old(self, command: Command) -> dict[str, bytes]:
        """What an older file of that name holds."""
        if command.name == "report":
            from tlcli.store import owned

            files = {"report.html": b"old page", "report.md": b"old", "figures/a.png": b"old"}
            return {**files, owned.LIST: owned.text(files).encode()}
        return {"": (self.inputs / "knn.h5").read_bytes()}

    def attempt(self, what: str, number: int, broken: list[str]) -> None:
        """A kill, a failing write or a stop of the command whose turn it is; `broken` gets what fails."""
        try:
            getattr(self, what)(self.commands[number % len(self.commands)])
        except Unavailable:
            self.counts["not possible here"] += 1
        except AssertionError as error:
            broken.append(str(error))
            print(error, file=sys.stderr, flush=True)

    def kill(self, command: Command) -> None:
        """One kill, and what must hold after it; another try where the command was done before it came."""
        before = self.counts[command.name]
        while self.counts[command.name] == before:
            self._try_to_kill(command)

    def _try_to_kill(self, command: Command) -> None:
        with self.folder() as folder:
            force = self.chance.random() < 0.5
            if force:
                put(folder / command.output, self.old(command))
            arguments = [*command.arguments, *(["--force"] if force else [])]
            how = self.chance.choice(["time", "time", *(k for k, n in command.calls.items() if n)])
            ended = self._killed(command, arguments, folder, how)
            where = f"{command.name} {'--force ' if force else ''}killed at {how} ({ended.phase})"
            if ended.code == -signal.SIGKILL:
                self.counts[command.name] += 1
                self.phases[ended.phase] += 1
                self.complete += content(folder / command.output) == command.bytes
            else:
                assert ended.code == 0, f"{where}: {ended.stderr}"
            self._check_left(command, folder, force, where)
            if ended.code:
                self._check_next(command, folder, where)

    def _killed(self, command: Command, arguments: list[str], folder: Path, how: str) -> Ended:
        if how == "time":
            child = forked.start(arguments, folder, often_saved)
            time.sleep(self.chance.uniform(0, command.seconds))
            child.send(signal.SIGKILL)
            return child.wait()
        number, after = self.chance.randint(1, command.calls[how]), self.chance.random() < 0.5
        owner, name = moments()[how]

        def prepare() -> None:
            often_saved()
            forked.at_call(owner, name, number, forked.kill_myself, after=after)

        return forked.call(arguments, folder, prepare)

    def _check_left(self, command: Command, folder: Path, force: bool, where: str) -> None:
        found = content(folder / command.output)
        allowed = [command.bytes, self.old(command) if force else None]
        assert found in allowed, f"{where}: the final name holds something else"
        if found == command.bytes and command.name != "report":
            from tlcli import store

            assert store.verify(folder / command.output).ok, where
        for name in self._extra(command, folder):
            assert TEMPORARY.fullmatch(name), f"{where}: {name} is left"

    def _extra(self, command: Command, folder: Path) -> list[str]:
        """Files and folders that are neither inputs nor the output nor the state to go on from."""
        known = {p.name for p in self.inputs.iterdir()} | {command.output, f"{command.output}.resume"}
        extra = [p.name for p in folder.iterdir() if p.name not in known]
        state = folder / f"{command.output}.resume"
        from tlcli.store import owned

        return extra + owned.strangers(state)

    def _check_next(self, command: Command, folder: Path, where: str) -> None:
        """The same command again, as a user would: it ends in the same bytes and tidies up."""
        ended = forked.call([*command.arguments, "--force"], folder)
        assert ended.code == 0, f"{where}, then: {ended.stderr}"
        assert content(folder / command.output) == command.bytes, f"{where}, then other bytes"
        known = {p.name for p in self.inputs.iterdir()} | {command.output}
        left = [p.name for p in folder.iterdir() if p.name not in known]
        assert not left, f"{where}: the next run leaves {left}"

    def stop(self, command: Command) -> None:
        """A signal at a random time: the exit code, one message, no traceback, nothing damaged."""
        with self.folder() as folder:
            put(folder / command.output, self.old(command))
            number = self.chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
            child = forked.start([*command.arguments, "--force"], folder)
            time.sleep(self.chance.uniform(0.02, command.seconds))
            child.send(number)
            ended = child.wait()
            where = f"{command.name} stopped by {number.name} ({ended.phase}): {ended.stderr}"
            assert ended.late < 8, f"{where}: it took {ended.late:.0f} s of the processor"
            assert "Traceback" not in ended.stderr, where
            if ended.code and (folder / f"{command.output}.resume").exists():
                assert "--resume" in ended.stderr or "Give the command again" in ended.stderr, where
            allowed = (0, 128 + number)
            assert ended.code in allowed, f"{where}: exit code {ended.code}"
            found = content(folder / command.output)
            assert (
                found == command.bytes if ended.code == 0 else found in (command.bytes, self.old(command))
            ), where
            for name in self._extra(command, folder):
                assert TEMPORARY.fullmatch(name), f"{where}: {name} is left"
            self._check_next(command, folder, where)
            self.counts["stopped" if ended.code else "stop came late"] += 1

    def fail(self, command: Command) -> None:
        """A write that fails: exit 1 with a reason, and the older file as it was."""
        way = self.chance.choice([limited_file, full_disk, permission_lost, closed_folder, read_only_disk])
        with self.folder() as folder:
            force = way is permission_lost or self.chance.random() < 0.5
            before = None
            with way(self, command, folder) as (place, prepare, certain):
                if before is None and force and way in (limited_file, permission_lost):
                    before = self.old(command)
                    put(place / command.output, before)
                arguments = [*command.arguments[:-1], str(place / command.output), "--force"]
                ended = forked.call(arguments, folder, prepare)
                where = f"{command.name}, {way.__name__}: {ended.stderr}"
                assert ended.code == 1 or (ended.code == 0 and not certain), (
                    f"{where}: exit code {ended.code}"
                )
                assert "Traceback" not in ended.stderr, where
                assert "fault in tlcli" not in ended.stderr, where
                found = content(place / command.output)
                if ended.code:
                    assert len(ended.stderr.strip().splitlines()) <= 12, where
                    assert found == before, f"{where}: the older file changed"
                else:
                    assert found == command.bytes, where
            self.counts[f"failed write: {way.__name__}"] += 1


def often_saved() -> None:
    """Save the state of a training all the time, so that a kill hits a save and a resume finds one."""
    loop: Any = sys.modules.get("tlcli.training.loop")
    if loop is not None:
        loop._SAVE_SECONDS = loop._CHUNK_SECONDS = 0.1


def count_calls(path: Path) -> None:
    """In a child: count the calls of every moment, and write them at the end."""
    often_saved()
    calls: Counter[str] = Counter()
    plain_write = os.write
    for key, (owner, name) in moments().items():
        calls[key] = 0
        _count(owner, name, calls, key)
    plain_exit = os._exit

    def end(code: int) -> None:
        plain_write(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), json.dumps(calls).encode())
        plain_exit(code)

    os._exit = end  # type: ignore[assignment]


def _count(owner: Any, name: str, calls: Counter[str], key: str) -> None:
    plain = getattr(owner, name)

    def counted(*arguments: Any, **options: Any) -> Any:
        calls[key] += 1
        return plain(*arguments, **options)

    setattr(owner, name, counted)


def put(path: Path, files: dict[str, bytes]) -> None:
    """Write a file, or the files of a folder."""
    for name, data in files.items():
        target = path / name if name else path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def pixels_of(dataset: Path, output: Path) -> None:
    """Embeddings without a network: the pixels."""
    import numpy as np

    from tlcli import store

    record = store.read(dataset, store.Dataset)
    parts = {}
    for name, part in record.parts.items():
        vectors = np.asarray(part.images[:]).reshape(len(part), -1).astype(np.float32)
        parts[name] = store.EmbeddingPart(vectors, part.labels, part.source_index)
    embeddings = store.Embeddings(parts, "pixels", record.class_names, record.class_original)
    store.write(output, embeddings, parents=[record])


def main() -> int:
    """Run it and print the figures as JSON; the exit code is 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--failures", type=int, default=60)
    parser.add_argument("--stops", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="Where to work: a disk in memory is quick.")
    parser.add_argument("--commands", default="split,train-base,transfer,embed,knn,report")
    options = parser.parse_args()
    started, broken = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="tlcli-kill-", dir=options.folder) as root:
        harness = Harness(Path(root), options.commands.split(","), options.seed)
        wanted = {"kill": options.kills, "fail": options.failures, "stop": options.stops}
        with forked.until_cut_off():
            harness.prepare()
            for what, number in wanted.items():
                for i in range(number):
                    harness.attempt(what, i, broken)
    figures = {
        "kills": sum(harness.phases.values()),
        "phases": dict(harness.phases),
        "complete after a kill": harness.complete,
        "counts": dict(harness.counts),
    }
    return forked.tell_figures(figures, broken, started)


if __name__ == "__main__":
    sys.exit(main())
