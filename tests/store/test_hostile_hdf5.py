"""Hostile files: each attack is refused before data is read, in one or two plain lines."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from fuzzing.attacks import ATTACKS, SECRET, many_objects
from h5py import h5p

from tlcli import store
from tlcli.errors import TlcliError
from tlcli.store import opening


@pytest.fixture
def path(dataset: store.Dataset, tmp_path: Path) -> Path:
    """A sound dataset file, and beside it files that an attack would like to read."""
    store.write(tmp_path / "x.h5", dataset)
    (tmp_path / "secret").write_bytes(SECRET * 1000)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.full((20, 6, 5, 2), 7, np.uint8)
    return tmp_path / "x.h5"


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason, with no memory taken, without another file opened; and `describe` survives it too."""
    attack, words = ATTACKS[name]
    monkeypatch.chdir(path.parent)
    with h5py.File(path, "r+") as file:
        attack(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TlcliError, match=words) as caught:
        store.read(path, store.Dataset)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.count("\n") <= 1
    assert len(message) < 600
    assert "\x1b" not in message
    report = store.verify(path)
    assert not report.ok
    assert report.problems == (message,)
    description = store.describe(path)
    assert description.problems or name in ("deflate_bomb", "short_chunk", "masked_filter")
    assert SECRET.decode() not in repr(description)


@pytest.mark.parametrize("name", ["external_link", "external_storage", "virtual_dataset"])
def test_no_other_file_is_opened(name: str, path: Path) -> None:
    """Another file that was opened would block for ever."""
    with h5py.File(path, "r+") as file:
        ATTACKS[name][0](file)
    for other in ("secret", "other.h5"):
        (path.parent / other).unlink()
        os.mkfifo(path.parent / other)
    code = (
        "from tlcli import store\n"
        "print(store.verify('x.h5').problems)\n"
        "print(store.describe('x.h5').problems)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=path.parent, capture_output=True, text=True, check=True, timeout=200
    )
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.timeout(200)
@pytest.mark.parametrize("group", ["/", "train"])
def test_a_list_of_free_space_in_a_circle(group: str, tmp_path: Path) -> None:
    """HDF5 itself follows it for ever and takes more memory at each turn."""
    with h5py.File(tmp_path / "x.h5", "w", libver="earliest") as file:
        file.create_group("train/labels")
        place = h5py.h5o.get_info(file[group].id).addr
    store.describe(tmp_path / "x.h5")
    content = bytearray((tmp_path / "x.h5").read_bytes())
    heap = content.index(b"HEAP", place)
    size, free, start = (int.from_bytes(content[heap + n : heap + n + 8], "little") for n in (8, 16, 24))
    assert 8 <= free < size - 16
    content[start + free : start + free + 8] = free.to_bytes(8, "little")
    (tmp_path / "x.h5").write_bytes(content)
    described = store.describe(tmp_path / "x.h5")
    assert described.problems
    with pytest.raises(TlcliError, match="none that tlcli wrote"):
        store.read_any(tmp_path / "x.h5")


def test_addresses_of_another_size(path: Path) -> None:
    properties = h5p.create(h5p.FILE_CREATE)
    properties.set_sizes(4, 4)
    h5py.h5f.create(str(path).encode(), h5py.h5f.ACC_TRUNC, properties).close()
    with pytest.raises(TlcliError, match="do not have 8 bytes"):
        store.describe(path)


def test_objects_are_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(path, "r+") as file:
        many_objects(file)
    monkeypatch.setenv("TLCLI_MAX_BYTES", "200000")
    with pytest.raises(TlcliError, match=r"303 objects in 'train' .* 200,000 bytes"):
        store.read(path, store.Dataset)


def test_the_limit_can_be_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLCLI_MAX_BYTES", "1000")
    with pytest.raises(TlcliError, match="1,000 bytes that TLCLI_MAX_BYTES"):
        store.read(path, store.Dataset)
    monkeypatch.setenv("TLCLI_MAX_BYTES", "much")
    with pytest.raises(TlcliError, match="TLCLI_MAX_BYTES is 'much'"):
        store.read(path, store.Dataset)


class Endless(io.RawIOBase):
    """A stream that begins with some bytes and never ends; it counts what is taken of it."""

    def __init__(self, start: bytes) -> None:
        self.left, self.taken = start, 0

    def read(self, size: int = -1) -> bytes:
        start, self.left = self.left[:size], self.left[size:]
        self.taken += size
        assert self.taken < 2**23, "it reads on and on"
        return start.ljust(size, b"\0")


@pytest.mark.parametrize(("start", "words"), [(0, "stdin is not an HDF5 file"), (None, "goes on behind the")])
def test_stdin_without_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, start: int | None, words: str
) -> None:
    """The first bytes say whether it is a file of ours, and where it ends."""
    stdin = SimpleNamespace(buffer=Endless(path.read_bytes()[:start]), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(TlcliError, match=words):
        store.read_any("-")


def test_stdin_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLCLI_MAX_BYTES", "5000")
    stdin = SimpleNamespace(buffer=io.BytesIO(path.read_bytes()), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(TlcliError, match=" 5,000 bytes"):
        store.read_any("-")


def test_a_chunk_larger_than_its_room(tmp_path: Path) -> None:
    """HDF5 1.14 would write the thousand bytes that are too many over whatever lies behind."""
    with h5py.File(tmp_path / "x.mat", "w", libver="earliest") as file:
        file.create_dataset("images", data=np.zeros((20, 6, 10), np.uint8), chunks=(20, 6, 10))
        file["padding"] = np.zeros(5000)
    content = bytearray((tmp_path / "x.mat").read_bytes())
    key = content.index(b"TREE\x01\x00") + 24
    assert content[key : key + 4] == (1200).to_bytes(4, "little")
    content[key : key + 4] = (2200).to_bytes(4, "little")
    (tmp_path / "x.mat").write_bytes(content)
    with opening.open_hdf5(tmp_path / "x.mat") as opened:
        images = opened.items()["images"]
        with pytest.raises(TlcliError, match=r"2,200 bytes.* 1,200 "):
            opened.load(images)


@pytest.mark.parametrize(("mark", "maxshape", "place"), [(b"FAHD", (20,), 8), (b"EAHD", (None,), 44)])
def test_an_index_of_any_number_of_chunks(
    tmp_path: Path, mark: bytes, maxshape: tuple[int | None], place: int
) -> None:
    """HDF5 would look at each entry, though nothing is stored for it."""
    with h5py.File(tmp_path / "x.h5", "w", libver="v110") as file:
        file.create_dataset("a", data=np.zeros(20), chunks=(1,), maxshape=maxshape)
    assert not store.describe(tmp_path / "x.h5").problems
    content = bytearray((tmp_path / "x.h5").read_bytes())
    number = content.index(mark) + place
    assert content[number : number + 8] == (20).to_bytes(8, "little")
    content[number : number + 8] = (10**10).to_bytes(8, "little")
    (tmp_path / "x.h5").write_bytes(content)
    (problem,) = store.describe(tmp_path / "x.h5").problems
    assert problem.startswith("'a' ")
