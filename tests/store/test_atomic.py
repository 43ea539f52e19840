"""A file with its final name is complete, whatever happens while it is written."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tlcli import store
from tlcli.errors import TlcliError
from tlcli.store import atomic, layout, opening

BIG = """
    import numpy as np
    from tlcli import store
    from tlcli.errors import TlcliError
    rng = np.random.default_rng(0)
    def part(n):
        return store.EmbeddingPart(rng.random((n, 64), np.float32), rng.integers(0, 3, n), np.arange(n))
    record = store.Embeddings({"train": part(4000), "test": part(9)}, "dense", list("abc"), np.arange(3))
"""


def run(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    source = textwrap.dedent(BIG) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=False, **options
    )


def test_an_existing_file_is_not_overwritten(dataset: store.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("mine")
    with pytest.raises(TlcliError, match=r"x.h5 exists already; give `force`"):
        store.write(path, dataset)
    assert path.read_text() == "mine"
    store.write(path, dataset, force=True)
    assert store.verify(path).ok
    assert os.listdir(tmp_path) == ["x.h5"]


def test_a_file_that_is_replaced_while_it_is_opened(
    dataset: store.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened for HDF5 and for its raw bytes, which must be those of one file."""
    store.write(tmp_path / "x.h5", dataset)
    store.write(tmp_path / "newer.h5", dataclasses.replace(dataset, source="made later" * 400))
    newer = (tmp_path / "newer.h5").read_bytes()
    really = opening.h5f.open

    def replacing(*arguments: Any) -> Any:
        with contextlib.suppress(FileNotFoundError):
            os.replace(tmp_path / "newer.h5", tmp_path / "x.h5")
        return really(*arguments)

    names = {name: getattr(opening.h5f, name) for name in ("ACC_RDONLY", "CLOSE_STRONG")}
    monkeypatch.setattr(opening, "h5f", types.SimpleNamespace(open=replacing, **names))
    with opening.open_hdf5(tmp_path / "x.h5") as file:
        assert file.root_attribute("source") == "made later" * 400
        assert file.size == len(newer)
        assert file.sha256() == hashlib.sha256(newer).hexdigest()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is a folder"),
        ("no/x.h5", "does not exist; make it first"),
        ("x" * 300, "the name is too long"),
        ("file/x.h5", "does not exist"),
        ("pipe", "is not a regular file"),
        ("a\0b", "could not be written"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_outputs_that_cannot_be(
    dataset: store.Dataset, tmp_path: Path, name: str, words: str, force: bool
) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for attempt in (lambda p: store.check_output(p, force), lambda p: store.write(p, dataset, force=force)):
        with pytest.raises(TlcliError, match=words):
            attempt(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]


def test_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(TlcliError, match="stdout is a terminal"):
        store.check_output("-", False)


@pytest.mark.parametrize("limit", [0, 100, 5000, 300_000, -1])
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """A file size limit stands for a full disk; the program must also end well after it."""
    (tmp_path / "old.h5").write_text("old")
    done = run(
        """
        import os, resource, sys
        limit = int(sys.argv[1])
        if limit < 0:
            store.write("whole.h5", record)
            limit += os.path.getsize("whole.h5")
            os.remove("whole.h5")
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        for name, force in (("x.h5", False), ("old.h5", True)):
            try:
                store.write(name, record, force=force)
            except TlcliError as error:
                print(error)
    """,
        str(limit),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{name} could not be written: the file would be larger than this system allows."
        for name in ("x.h5", "old.h5")
    ]
    assert os.listdir(tmp_path) == ["old.h5"]
    assert (tmp_path / "old.h5").read_text() == "old"


@pytest.mark.parametrize(
    ("function", "number", "words"),
    [
        ("os.fsync", errno.ENOSPC, "the disk is full"),
        ("os.link", errno.EROFS, "read-only"),
        ("os.open", errno.EACCES, "permission denied"),
        ("os.fsync", errno.EDQUOT, "quota"),
    ],
)
def test_other_failures_have_plain_words(
    dataset: store.Dataset,
    tmp_path: Path,
    function: str,
    number: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"tlcli.store.atomic.{function}", fail)
    with pytest.raises(TlcliError, match=words):
        store.write(tmp_path / "x.h5", dataset)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_images_that_fail_to_decode_leave_nothing(dataset: store.Dataset, tmp_path: Path) -> None:
    class Broken:
        shape, dtype = (20, 6, 5, 2), np.dtype(np.uint8)

        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: Any) -> np.ndarray:
            raise TlcliError("photo 3 is damaged.")

    dataset.parts["train"] = store.Part(Broken(), dataset.train.labels, dataset.train.source_index)
    with pytest.raises(TlcliError, match="photo 3 is damaged"):
        store.write(tmp_path / "x.h5", dataset)
    assert os.listdir(tmp_path) == []


def test_file_systems_without_links_or_locks(
    dataset: store.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr("tlcli.store.atomic.os.link", unsupported)
    monkeypatch.setattr("tlcli.store.atomic.fcntl.flock", unsupported)
    store.write(tmp_path / "x.h5", dataset)
    assert store.verify(tmp_path / "x.h5").ok
    assert os.listdir(tmp_path) == ["x.h5"]


def test_the_one_that_comes_late_says_so(dataset: store.Dataset, tmp_path: Path) -> None:
    second = atomic.atomic_file(tmp_path / "x.h5")
    second.__enter__().write_text("second")
    (tmp_path / "x.h5").write_text("first")
    with pytest.raises(TlcliError, match="made by another program meanwhile"):
        second.__exit__(None, None, None)
    assert (tmp_path / "x.h5").read_text() == "first"
    assert os.listdir(tmp_path) == ["x.h5"]


def test_writers_at_the_same_time(tmp_path: Path) -> None:
    """One wins, the others say so, and what is there is whole."""
    code = textwrap.dedent(BIG) + textwrap.dedent("""
        import sys
        sys.stdin.read(1)
        try:
            store.write("x.h5", record)
            print("won")
        except TlcliError as error:
            print(error)
    """)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("x")
        writer.stdin.flush()
    said = [writer.communicate()[0].strip() for writer in writers]
    assert said.count("won") == 1, said
    assert all(words == "won" or words.startswith("x.h5 ") for words in said)
    assert store.verify(tmp_path / "x.h5").ok
    assert os.listdir(tmp_path) == ["x.h5"]


def test_a_killed_writer_leaves_nothing_that_stays(tmp_path: Path, embeddings: store.Embeddings) -> None:
    """SIGKILL in the middle: the next run removes what was left; what a running program holds stays."""
    code = textwrap.dedent(BIG) + textwrap.dedent("""
        import time
        from tlcli.store import layout
        def slow(*arguments):
            time.sleep(600)
        layout._write_attribute = slow
        store.write("x.h5", record)
    """)
    writer = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    deadline = time.monotonic() + 300
    while not any(p.stat().st_size > 1_000_000 for p in tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    (held,) = os.listdir(tmp_path)
    assert held.startswith(".x.h5.")
    assert held.endswith(".tlcli-tmp")
    atomic.remove_leftovers(tmp_path / "x.h5")
    assert os.listdir(tmp_path) == [held]
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    (tmp_path / ".x.h5.notes.tlcli-tmp").touch()
    store.write(tmp_path / "x.h5", embeddings)
    assert sorted(os.listdir(tmp_path)) == [".x.h5.notes.tlcli-tmp", "x.h5"]


def test_a_link_is_written_through(dataset: store.Dataset, tmp_path: Path) -> None:
    (tmp_path / "real.h5").touch()
    (tmp_path / "x.h5").symlink_to("real.h5")
    store.write(tmp_path / "x.h5", dataset, force=True)
    assert (tmp_path / "x.h5").is_symlink()
    assert store.verify(tmp_path / "real.h5").ok


def test_a_long_name(dataset: store.Dataset, tmp_path: Path) -> None:
    """As long as the file system allows; the temporary file needs room too."""
    path = tmp_path / ("é" * 126 + ".h5")
    store.write(path, dataset)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("callback", ["seek", "write", "truncate", "flush"])
def test_a_signal_while_hdf5_writes_is_not_lost(
    embeddings: store.Embeddings, tmp_path: Path, callback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception inside a callback of HDF5 would be dropped, and a damaged file written."""

    class Stopped(BaseException):
        pass

    def stop(*_: Any) -> None:
        raise Stopped

    plain, calls = getattr(layout.Sink, callback), [0]

    def interrupted(self: layout.Sink, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == when:
            signal.raise_signal(signal.SIGTERM)
        return plain(self, *arguments)

    path = tmp_path / "x.h5"
    store.write(path, embeddings)
    before = path.read_bytes()
    monkeypatch.setattr(layout.Sink, callback, interrupted)
    handler = signal.signal(signal.SIGTERM, stop)
    try:
        for when in (1, 2, 5, 20):
            calls[0] = 0
            with contextlib.suppress(Stopped):
                store.write(path, embeddings, force=True)
                assert calls[0] < when, "the signal was lost"
            assert signal.getsignal(signal.SIGTERM) is stop
            assert path.read_bytes() == before
            assert os.listdir(tmp_path) == ["x.h5"]
    finally:
        signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize("force", [False, True])
def test_where_there_are_no_locks_the_file_is_closed_before_it_is_renamed(tmp_path, monkeypatch, force):
    """Windows renames and removes no file that is open."""
    publish, told = atomic._publish, []

    def closed(temporary, target, replaces):
        links = [Path(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
        held = [os.readlink(link) for link in links if link.is_symlink()]
        told.append(str(temporary) in held)
        publish(temporary, target, replaces)

    monkeypatch.setattr(atomic, "fcntl", None)
    monkeypatch.setattr(atomic, "_publish", closed)
    with atomic.atomic_file(tmp_path / "a.txt", force=force) as temporary:
        temporary.write_bytes(b"whole")
    assert told == [False]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(ZeroDivisionError), atomic.atomic_file(tmp_path / "b.txt") as temporary:
        raise ZeroDivisionError
    assert not temporary.exists()
