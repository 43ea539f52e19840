"""Kills, stops and failing writes, a few of each with a seed; `harnesses/kill.py` does hundreds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import processes
import pytest

from tlcli import store

TESTS = Path(__file__).parent


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the harness forks")
def test_killed_stopped_and_refused_writers_lose_nothing(tmp_path: Path) -> None:
    """The harness asserts its conditions after each; the commands here need no network."""
    command = [
        sys.executable,
        str(TESTS / "harnesses" / "kill.py"),
        "--commands",
        "split,knn,report",
        "--seed",
        "1",
        "--kills",
        "6",
        "--failures",
        "4",
        "--stops",
        "2",
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=processes.ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kills"] == 6


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the harness forks")
def test_calls_that_fail_lose_nothing(tmp_path: Path) -> None:
    """A few of the hundreds of calls that `harnesses/faults.py` makes fail, spread over all kinds."""
    command = [sys.executable, str(TESTS / "harnesses" / "faults.py"), "--commands", "split"]
    done = subprocess.run(
        [*command, "--most", "3", "--points", "15", "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        env=processes.ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["faults"] >= 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the harness forks")
def test_a_harness_that_is_cut_off_tells_what_it_has_found(tmp_path: Path) -> None:
    """`timeout` sends two signals, to the program and to its group."""
    command = [sys.executable, str(TESTS / "harnesses" / "faults.py"), "--commands", "split"]
    harness = subprocess.Popen([*command, "--folder", str(tmp_path)], stdout=subprocess.PIPE)
    while not list(tmp_path.glob("*/inputs/*")) and harness.poll() is None:
        time.sleep(0.01)
    for _ in range(2):
        harness.terminate()
    out, _ = harness.communicate()
    assert json.loads(out)["broken"] == []
    assert not any(tmp_path.iterdir())


def test_two_commands_with_one_output(tmp_path: Path) -> None:
    """One wins, the others say so, and the file is whole."""
    arguments = ["split", "--dataset", "digits", "-o", "x.h5"]
    together = [processes.Command((*arguments, "--seed", str(seed)), tmp_path) for seed in range(4)]
    said = [command.communicate() for command in together]
    codes = [command.returncode for command in together]
    assert sorted(codes) == [0, 1, 1, 1]
    for code, (out, err) in zip(codes, said, strict=True):
        assert out == (b"x.h5\n" if code == 0 else b"")
        assert code == 0 or b"exists already" in err or b"made by another program meanwhile" in err
    assert store.verify(tmp_path / "x.h5").ok
    winner = codes.index(0)
    assert store.read(tmp_path / "x.h5", store.Dataset).options["seed"] == winner
    assert os.listdir(tmp_path) == ["x.h5"]


WRITER = """
    import select, sys
    import numpy as np
    from tlcli import store

    def record(seed):
        rng = np.random.default_rng(seed)
        def part(n):
            return store.EmbeddingPart(rng.random((n, 64), np.float32), rng.integers(0, 3, n), np.arange(n))
        return store.Embeddings({"train": part(4000), "test": part(9)}, "dense", list("abc"), np.arange(3))

    kinds = [record(0), record(1)]
    while not select.select([sys.stdin], [], [], 0)[0]:
        store.write("x.h5", kinds[0], force=True)
        kinds.reverse()
"""


def test_readers_see_whole_files_while_they_are_replaced(tmp_path: Path) -> None:
    """Every read gives one of the two files that are written in turn, to the last digest."""
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER)], cwd=tmp_path, stdin=subprocess.PIPE
    )
    reads, digests, ends = 0, set(), time.monotonic() + 600
    while (reads < 40 or len(digests) < 2) and writer.poll() is None and time.monotonic() < ends:
        if not (tmp_path / "x.h5").exists():
            continue
        digests.add(store.read(tmp_path / "x.h5", store.Embeddings).provenance.content_sha256)
        reads += 1
    writer.communicate()  # the end of its input is its sign to stop
    assert writer.returncode == 0
    assert reads >= 40
    assert len(digests) == 2
    assert os.listdir(tmp_path) == ["x.h5"]
