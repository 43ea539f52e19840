"""Kinds of files, and mutations of bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MEMORY_LIMIT = 300 << 20
"""Bytes that a case may add to the memory of the process."""
PIXEL_MEMORY = 1700 << 20
"""The same for images, which may have 100 million pixels in colour and be converted."""

Make = Callable[[], list[bytes]]
Open = Callable[[Path], str | None]


@dataclasses.dataclass
class Kind:
    """A kind of file: some good ones, how one is opened, and what a mutation may be."""

    name: str
    suffix: str
    make: Make
    open: Open
    """Returns a digest if the content must be that of a good file or refused; None if it may differ."""
    edits: Callable[[Path, np.random.Generator], None] | None = None
    """A mutation of its own, instead of one of the bytes."""
    memory: int = MEMORY_LIMIT
    hostile: bool = False
    """Whether files without mutation may be refused, too."""


KINDS: dict[str, Kind] = {}


def register(name: str, suffix: str, **options: Any) -> Callable[[Make], Make]:
    """Register a kind with the function that makes good files of it."""

    def add(make: Make) -> Make:
        KINDS[name] = Kind(name, suffix, make, **options)
        return make

    return add


def mutate(files: list[bytes], rng: np.random.Generator) -> bytes:
    """One file with one to four mutations."""
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        BYTE_MUTATIONS[rng.integers(len(BYTE_MUTATIONS))](data, files, rng)
    return bytes(data)


def _span(data: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(2 ** rng.uniform(0, 12)))


def _flip_bits(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    for place in rng.integers(0, len(data), int(rng.integers(1, 17))):
        data[place] ^= 1 << int(rng.integers(8))


def _flip_early(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    """Flip a byte near the beginning, where headers hold the sizes."""
    for place in rng.integers(0, min(len(data), 1024), int(rng.integers(1, 5))):
        data[place] ^= 1 << int(rng.integers(8))


def _truncate(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def _overwrite(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    fill = [rng.bytes(stop - start), bytes(stop - start), b"\xff" * (stop - start)]
    data[start:stop] = fill[rng.integers(3)]


def _number(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    """A number that is often the wrong one, of any width and either order."""
    value = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**62, 2**63 - 1]))
    width = int(rng.choice([1, 2, 4, 8]))
    start = int(rng.integers(len(data)))
    order = "little" if rng.random() < 0.7 else "big"
    data[start : start + width] = (value % 256**width).to_bytes(width, order)  # type: ignore[arg-type]


def _copy_block(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    to = int(rng.integers(len(data)))
    data[to : to + stop - start] = data[start:stop]


def _splice(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    """A block of another file of the kind, in its place."""
    start, stop = _span(data, rng)
    data[start:stop] = files[rng.integers(len(files))][start:stop]


def _swap_blocks(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    size = int(2 ** rng.uniform(2, 10))
    one, other = sorted(int(n) for n in rng.integers(0, len(data), 2))
    size = min(size, other - one, len(data) - other)
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def _remove_block(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    del data[start:stop]


def _insert_block(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    data[start:start] = data[start:stop]


BYTE_MUTATIONS = [
    _flip_bits,
    _flip_bits,
    _flip_early,
    _truncate,
    _overwrite,
    _number,
    _number,
    _copy_block,
    _splice,
    _swap_blocks,
    _remove_block,
    _insert_block,
]


def one_of(paths: list[str], rng: np.random.Generator) -> str:
    return paths[rng.integers(len(paths))]
