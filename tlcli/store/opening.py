"""Open an HDF5 file, from disk or from stdin, and explain in plain words why it cannot be read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from h5py import h5a, h5d, h5f, h5fd, h5g, h5p

from tlcli.errors import TlcliError
from tlcli.store import attributes, digest, gate, stored_images
from tlcli.store.budget import CHUNK, TEXT, TEXT_RATIO, Budget
from tlcli.store.chunks import chunk_places, load_dataset
from tlcli.store.gate import HDF5_ERRORS, Item, UnsafeError
from tlcli.store.heap import RawFile

_BLOCK = 1 << 25
"""Bytes of images that are read at a time, at most."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"


class OpenFile:
    """An open file: `items` lists and checks its objects, `load` reads one dataset that passed."""

    def __init__(self, file: Any, name: str, size: int, raw: BinaryIO, budget: Budget) -> None:
        self._file = file
        self._budget = budget
        self._items: dict[str, Item] | None = None
        self._bytes = raw
        self.name = name
        """Its name in messages."""
        self.size = size
        with self._plain_words():
            properties = file.get_create_plist()
            self._plain_sizes = properties.get_sizes() == (8, 8)
            self._user_block = properties.get_userblock()
            self._raw = RawFile(raw, size, self._user_block, budget)

    def sha256(self) -> str:
        """The digest of all bytes of the file, for files without a digest of their own."""
        if isinstance(self._bytes, io.BytesIO):
            return hashlib.sha256(self._bytes.getbuffer()).hexdigest()
        found = hashlib.sha256()
        self._bytes.seek(0)
        while block := self._bytes.read(2**20):
            found.update(block)
        return found.hexdigest()

    def root_attribute(self, name: str) -> int | float | str | None:
        """One plain attribute of the root; None if it is missing or not plain."""
        with self._plain_words(), contextlib.suppress(UnsafeError):
            root = h5g.open(self._file, b"/")
            if h5a.exists(root, name.encode()):
                return attributes.read_attribute(h5a.open(root, name.encode()))
        return None

    def texts(self, path: str, name: str) -> list[str] | None:
        """An attribute that lists texts, of a group that passed the gate; None if there is none."""
        with self._plain_words():
            group = h5g.open(self._file, f"/{path}".encode())
            if not h5a.exists(group, name.encode()):
                return None
            try:
                return [text.decode() for text in self._list(group, name)]
            except (UnsafeError, UnicodeDecodeError) as error:
                why = error if isinstance(error, UnsafeError) else "text that is not UTF-8"
                where = path or "the root"
                raise UnsafeError(f"the attribute {name!r} of {where!r:.100} is {why}") from error

    def _list(self, group: Any, name: str) -> list[bytes]:
        attribute = h5a.open(group, name.encode())
        count = attributes.list_length(attribute)
        if not count:
            return []
        self._budget.take(count * TEXT, f"the {count:,} texts of {name!r:.80}")
        if not attribute.get_type().is_variable_str():
            return attributes.read_fixed_texts(attribute, count)
        return self._raw.texts(gate.address_of(group), name, count)

    def items(self, strict: bool = True) -> dict[str, Item]:
        """Everything in the file, by path, the root as the empty string.

        strict: Raise TlcliError at the first object that the gate refuses; else list it with its `problem`.
        """
        with self._plain_words():
            if not self._plain_sizes:
                raise UnsafeError("its addresses and lengths do not have 8 bytes")
            if self._items is None:
                walk = gate.Walk(self._file, self.size, strict, self._raw, self._budget)
                self._items = walk.run()
            for item in self._items.values() if strict else ():
                if item.problem or item.flaw:
                    raise UnsafeError(item.problem or item.flaw)
            return self._items

    def load(self, item: Item) -> Any:
        """The data of one dataset: an array, a text or a list of texts. Raises TlcliError."""
        with self._plain_words():
            count = gate.product(item.shape)
            cost = count * item.itemsize + gate.chunk_count(item) * CHUNK
            if item.dtype == "string":
                cost += count * (TEXT + TEXT_RATIO * item.itemsize)
            self._budget.take(cost, f"{item.path!r:.100}")
            array = load_dataset(self._file, item)
            if item.dtype != "string":
                return array
            return [text.decode() for text in array.tolist()] if item.shape else array.item().decode()

    def load_images(self, item: Item) -> Any:
        """As `load`; many images stay in the file and are read when they are asked for."""
        size = gate.product(item.shape) * item.itemsize
        plain = item.chunks is not None and item.dtype == "uint8" and not self._user_block
        on_disk = not isinstance(self._bytes, io.BytesIO) and hasattr(os, "pread")
        if size <= stored_images.IN_MEMORY or not plain or not on_disk:
            return self.load(item)
        with self._plain_words():
            self._budget.take(gate.chunk_count(item) * CHUNK, f"{item.path!r:.100}")
            for _ in range(len(range(0, size, _BLOCK))):  # made in all, but never there at a time
                self._budget.take(_BLOCK, f"{item.path!r:.100}")
                self._budget.give_back(_BLOCK)
            places = chunk_places(h5d.open(self._file, item.path.encode()), item)
        images = stored_images.StoredImages(self._bytes, item, places, self._plain_words)
        images.sha256 = digest.data_digest(images)  # damage is found now
        return images

    @contextlib.contextmanager
    def _plain_words(self) -> Iterator[None]:
        try:
            yield
        except UnsafeError as error:
            raise TlcliError(f"{self.name} is refused: {error}.") from error
        except MemoryError as error:
            raise TlcliError(f"{self.name} holds more data than there is memory for.") from error
        except (*HDF5_ERRORS, zlib.error) as error:
            raise _damage_error(self.name) from error


@contextlib.contextmanager
def open_hdf5(
    path: str | Path,
    user_block: int = 0,
    expected: str = "one that tlcli wrote",
    budget: Budget | None = None,
    called: str | None = None,
) -> Iterator[OpenFile]:
    """Open a file, or stdin for `-`, without reading its data. Raises TlcliError if it is not an HDF5 file.

    user_block: The bytes of another format before HDF5's own; MATLAB has 512.
    expected: The kind of file that messages ask for.
    budget: The budget for all that is made of the file; by default a new one.
    called: The name of the file in messages, if not its path.
    """
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    access.set_file_locking(False, True)  # complete files never change, and not every disk has locks
    raw: BinaryIO
    try:
        if str(path) == "-":
            name = "stdin"
            budget = budget or Budget(name)
            raw, size = _stdin_image(expected, budget)
            access.set_fileobj_driver(h5fd.fileobj_driver, raw)
            file = h5f.open(repr(raw).encode(), h5f.ACC_RDONLY, access)
        else:
            name = called or str(path)
            _check_file(Path(path), user_block, expected)
            file, raw = _open_twice(Path(path), access)
            size = os.fstat(raw.fileno()).st_size
            budget = budget or Budget(name, size)
    except HDF5_ERRORS as error:
        raise _damage_error(name) from error
    finally:
        access.close()  # left to the end of the program, its Python file object crashes it
    try:
        yield OpenFile(file, name, size, raw, budget)
    finally:
        with contextlib.suppress(*HDF5_ERRORS):
            file.close()
        raw.close()


def _open_twice(path: Path, access: Any) -> tuple[Any, BinaryIO]:
    """The file for HDF5, and its raw bytes; opens both again if another file took the name in between."""
    while True:
        raw = path.open("rb")
        try:
            file = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, access)
        except HDF5_ERRORS:
            raw.close()
            raise
        if os.path.samestat(os.fstat(raw.fileno()), os.fstat(file.get_vfd_handle())):
            return file, raw
        file.close()
        raw.close()


def _damage_error(name: str) -> TlcliError:
    return TlcliError(f"{name} is cut short or damaged: HDF5 cannot read it. Copy it or make it again.")


def _stdin_image(expected: str, budget: Budget) -> tuple[io.BytesIO, int]:
    """All of stdin, up to the end that the file's first bytes declare: HDF5 cannot read a pipe."""
    if sys.stdin.isatty():
        raise TlcliError("The input is - (stdin), which is a terminal; pipe a file into it, or name a file.")
    start = sys.stdin.buffer.read(_SUPERBLOCK)
    _check_start("stdin", start[:8], len(start), expected)
    end = _end_of_file(start)
    image = io.BytesIO()
    block = start
    while block:
        if image.tell() + len(block) > end:
            raise TlcliError(f"stdin goes on behind the {end:,} bytes that its header says it has.")
        budget.grow(len(block))
        budget.take(len(block), "the whole of it")
        image.write(block)
        block = sys.stdin.buffer.read(2**20)
    return image, image.tell()


_SUPERBLOCK = 96
"""The first bytes of an HDF5 file, which hold its end address in each version."""


def _end_of_file(start: bytes) -> int:
    """The end of a file by its superblock (HDF5 File Format Specification 3.0, II.A).

    A file whose addresses do not have 8 bytes ends with `start`: it is refused in any case.
    """
    version, widths = start[8:9], start[13:15] if start[8:9] in (b"\0", b"\1") else start[9:11]
    place = {b"\0": 40, b"\1": 44, b"\2": 28, b"\3": 28}.get(version)
    if place is None or widths != b"\x08\x08" or len(start) < place + 8:
        return len(start)
    return int.from_bytes(start[place : place + 8], "little")


def _check_file(path: Path, user_block: int, expected: str) -> None:
    """Refuse all but a regular file that starts like HDF5. Raises TlcliError."""
    try:
        if path.is_dir():
            raise TlcliError(f"{path} is a folder; expected an HDF5 file.")
        if path.exists() and not path.is_file():
            raise TlcliError(f"{path} is not a regular file; to read a pipe give - and redirect it to stdin.")
        with path.open("rb") as file:
            file.seek(user_block)
            start = file.read(8)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise TlcliError(f"{path} does not exist; expected an HDF5 file.") from None
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number).lower() if number else str(error)
        raise TlcliError(f"{path} could not be read: {reason}.") from error
    _check_start(str(path), start, size, expected)


def _check_start(name: str, start: bytes, size: int, expected: str) -> None:
    if not size:
        raise TlcliError(f"{name} is empty (0 bytes); expected an HDF5 file.")
    if start != SIGNATURE:
        raise TlcliError(f"{name} is not an HDF5 file; expected {expected}.")
