"""The kinds of files behind the published faults of HDF5, with sound checksums, so that they are looked into.

CVE-2025-2923, -6816 and -7067 (also -2926, -6750, -6818, -7069): lengths of addresses, the message about a
file's free space, the sections of free space and times, which HDF5 writes back wrongly; CVE-2025-6856: lists
of free memory that such a file spoils. Files are opened for reading alone, so that nothing is written back.
"""

from __future__ import annotations

import os
import re
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from tlcli import store
from tlcli.errors import TlcliError

MASK = 0xFFFFFFFF


def rotated(x: int, by: int) -> int:
    return ((x << by) | (x >> (32 - by))) & MASK


def lookup3(data: bytes) -> bytes:
    """Bob Jenkins's hash of 2006, the checksum of HDF5's metadata."""
    v = [(0xDEADBEEF + len(data)) & MASK] * 3
    while data:
        block, data = data[:12], data[12:]
        v = [(x + y) & MASK for x, y in zip(v, struct.unpack("<3I", block.ljust(12, b"\0")), strict=True)]
        for n, by in enumerate((4, 6, 8, 16, 19, 4) if data else (14, 11, 25, 16, 4, 14, 24)):
            if data:
                i, j, k = n % 3, (n + 2) % 3, (n + 1) % 3
                v[i] = ((v[i] - v[j]) & MASK) ^ rotated(v[j], by)
                v[j] = (v[j] + v[k]) & MASK
            else:
                i, j = (n + 2) % 3, (n + 1) % 3
                v[i] = ((v[i] ^ v[j]) - rotated(v[j], by)) & MASK
    return struct.pack("<I", v[2])


def with_free_space(path: Path) -> bytes:
    """A file that remembers its free space, in the newest format."""
    with h5py.File(path, "w", libver=("v110", "v110"), fs_strategy="fsm", fs_persist=True) as file:
        file.create_dataset("a", data=np.arange(5000), track_times=True)
        file["b"], file["c"] = np.arange(3000), 1
        del file["b"]
    return path.read_bytes()


def blocks(data: bytes) -> list[tuple[int, int]]:
    """The places of the superblock, the object headers and the lists of free space, and of their
    checksums."""
    starts = [0, *(m.start() for m in re.finditer(b"OHDR|FSHD|FSSE", data))]
    ends = (
        next((e for e in range(s + 12, s + 600) if lookup3(data[s:e]) == data[e : e + 4]), 0) for s in starts
    )
    return [(s, e) for s, e in zip(starts, ends, strict=True) if e]


def forged(data: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """Bytes of each block changed, then numbers and repeated stretches; the sums are right."""
    values = [0, 1, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**63 - 1, len(data)]
    for start, end in blocks(data):
        for place in range(start, end, 2):
            yield summed(data, start, end, place, bytes([data[place] ^ int(rng.choice([1, 2, 0x80, 0xFF]))]))
        for _ in range(15):
            place, width = int(rng.integers(start, end - 8)), int(rng.choice([1, 2, 4, 8]))
            value = int(rng.choice(values)) % 256**width
            yield summed(data, start, end, place, value.to_bytes(width, "little"))
            origin = int(rng.integers(start, end - 8))
            yield summed(data, start, end, place, data[origin : origin + width])


def summed(data: bytes, start: int, end: int, place: int, new: bytes) -> bytes:
    block = bytearray(data[start:end])
    block[place - start : place - start + len(new)] = new
    block = block[: end - start]
    return data[:start] + bytes(block) + lookup3(bytes(block)) + data[end + 4 :]


def look(path: Path) -> str:
    """Open a file as a user does."""
    told = []
    for attempt in (store.describe, store.verify):
        try:
            told.append(str(type(attempt(path)).__name__))
        except TlcliError as error:
            told.append(str(error).splitlines()[0])
    return "; ".join(told)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a crash must not end the tests")
def test_spoilt_free_space_and_headers_end_no_program(tmp_path: Path) -> None:
    data = with_free_space(tmp_path / "sound.h5")
    assert len(blocks(data)) >= 6
    path, log = tmp_path / "x.h5", tmp_path / "log"
    child = os.fork()
    if child == 0:
        signal.alarm(120)
        for number, bad in enumerate(forged(data, np.random.default_rng(0))):
            log.write_text(str(number))
            path.write_bytes(bad)
            look(path)
            if path.read_bytes() != bad:
                os._exit(3)  # written back
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, f"case {log.read_text()}: {code}"
    assert int(log.read_text()) > 700
