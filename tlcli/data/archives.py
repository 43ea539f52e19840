"""Read files from a folder or a tar archive. Nothing is unpacked to disk, so nothing can leave a folder.

Python's `tarfile` is not used: in some supported versions its time grows with the square of an extended
header's size (CVE-2024-6232), and a few bytes of gzip make a large header.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from tlcli.errors import TlcliError
from tlcli.store.budget import OBJECT, Budget


def read_files(container: Path, sizes: Mapping[str, int], budget: Budget) -> dict[str, bytes]:
    """The content of the named files of a folder or of a tar archive (gzipped or not).

    `sizes` gives the most bytes of each; in an archive they may be in any folder. The answer lacks missing
    files. Raises TlcliError for a larger file, and for an archive that cannot be read, unpacks to more than
    the budget allows, or has a member that points outside.
    """
    return (
        _from_folder(container, sizes, budget) if container.is_dir() else _from_tar(container, sizes, budget)
    )


def _from_folder(folder: Path, sizes: Mapping[str, int], budget: Budget) -> dict[str, bytes]:
    found = {}
    for name, limit in sizes.items():
        path = folder / name
        if not path.is_file():
            continue
        size = path.stat().st_size
        if size > limit:
            raise TlcliError(f"{name} has {size} bytes: expected {limit} at most.")
        budget.grow(size)
        budget.take(size, name)
        try:
            found[name] = path.read_bytes()
        except OSError as error:
            raise TlcliError(f"Cannot read {name}: {error.strerror}.") from None
    return found


def _from_tar(path: Path, sizes: Mapping[str, int], budget: Budget) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    budget.grow(path.stat().st_size)
    with tar_stream(path, budget) as stream:
        for member in members(stream):
            check_member(path.name, member.name)
            what = f"{member.name!r:.100}, which declares {member.size:,} bytes,"
            if not budget.allows(member.size):
                raise TlcliError(f"{path.name} is refused: {budget.refusal(what, member.size)}.")
            if member.kind not in FILES + FOLDERS:
                raise TlcliError(f"{path.name} holds {member.name!r:.100}, a link or device: refused.")
            name = PurePosixPath(member.name).name
            if member.kind in FOLDERS or name not in sizes or name in found:
                stream.skip(member.padded_size)
                continue
            if member.size > sizes[name]:
                raise TlcliError(
                    f"{member.name!r:.100} in {path.name} has {member.size} bytes: "
                    f"expected {sizes[name]} at most."
                )
            found[name] = stream.take(member.padded_size)[: member.size]
    return found


@contextmanager
def tar_stream(path: Path, budget: Budget) -> Iterator[UnpackedBytes]:
    """The bytes of a tar archive, gzipped or not. Raises TlcliError if it is damaged."""
    try:
        with open(path, "rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield UnpackedBytes(gzip.GzipFile(fileobj=raw) if gzipped else raw, budget)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise TlcliError(f"{path.name} cannot be read as a tar archive: {error}.") from None


def check_member(archive: str, name: str) -> None:
    """Raise TlcliError for a member of an archive whose name leads out of the folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or (parts and parts[0].endswith(":")):
        raise TlcliError(f"{archive} holds {name!r:.100}, which points outside the archive: refused.")


FILES, FOLDERS = (b"0", b"\0", b"7"), (b"5",)
_LONG_NAME, _EXTENDED = b"L", b"x"
_HEADERS = (_LONG_NAME, _EXTENDED, b"K", b"g")
"""Types of extended headers, which describe the next member. The last two, the target of a link and global
values, do not matter here."""
_BLOCK = 512
_LONGEST_HEADER = 1 << 16
"""The most bytes of an extended header; ordinary ones have some hundreds."""


class Member(NamedTuple):
    """A member of an archive."""

    name: str
    kind: bytes
    size: int

    @property
    def padded_size(self) -> int:
        """Bytes up to the next header."""
        return -(-self.size // _BLOCK) * _BLOCK


def members(stream: UnpackedBytes) -> Iterator[Member]:
    """The members of an archive (POSIX.1-2001 pax, GNU, or older); the caller skips or takes their contents.

    Raises ValueError if it is not an archive.
    """
    changed: dict[str, str] = {}
    block, member = stream.take(_BLOCK, may_end=True), None
    while block.strip(b"\0"):
        member = _header(block)
        if member.kind in _HEADERS:
            if member.size > _LONGEST_HEADER:
                raise ValueError(
                    f"it has a header of {member.size:,} bytes; expected {_LONGEST_HEADER:,} at most"
                )
            content = stream.take(member.padded_size)[: member.size]
            if member.kind == _LONG_NAME:
                changed["path"] = _text(content)
            elif member.kind == _EXTENDED:
                changed |= _records(content)
        else:
            size = changed.get("size", str(member.size))
            if not size.isascii() or not size.isdigit() or len(size) > 20:
                raise ValueError(f"it has a member of the size {size!r:.40}")
            yield Member(changed.get("path", member.name), member.kind, int(size))
            changed = {}
        block = stream.take(_BLOCK, may_end=True)
    if member is None or member.kind in _HEADERS:
        raise ValueError("it ends before its first member" if member is None else "it ends with a header")


def _header(block: bytes) -> Member:
    field = block[148:156].strip(b" \0")
    if not field.isdigit() or int(field, 8) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise ValueError("it has a header with a wrong checksum")
    size, name = block[124:136], _text(block[:100])
    if size[0] & 0x80:  # binary instead of octal: 8 GiB and more
        number = int.from_bytes(size, "big") - (0x80 << 88)
    else:
        number = int(size.strip(b" \0") or b"0", 8)
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return Member(f"{prefix}/{name}" if prefix else name, block[156:157], number)


def _records(content: bytes) -> dict[str, str]:
    """The records `LENGTH KEY=VALUE` of an extended header that change a name or a size."""
    found, place = {}, 0
    while place < len(content) and content[place]:
        length, space, _ = content[place : place + 20].partition(b" ")
        end = place + (int(length) if length.isdigit() else 0)
        key, equals, value = content[place + len(length) + 1 : end - 1].partition(b"=")
        if not space or not equals or content[end - 1 : end] != b"\n" or end <= place:
            raise ValueError("it has an extended header with a damaged record")
        if key.startswith(b"GNU.sparse"):
            raise ValueError("it has a file with holes, which is not read")
        if key in (b"path", b"size"):
            found[key.decode()] = _text(value)
        place = end
    return found


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


class UnpackedBytes:
    """The unpacked bytes of an archive in order, all taken from the budget, even those that are skipped."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def take(self, size: int, *, may_end: bool = False) -> bytes:
        """The next bytes; none at the end, if `may_end`. Raises EOFError."""
        self._budget.take(size + OBJECT if may_end else size, "what it unpacks to")
        found = self._stream.read(size)
        if len(found) < size and not (may_end and not found):
            raise EOFError("unexpected end of data")
        return found

    def skip(self, size: int) -> None:
        """Skip bytes, a block at a time."""
        while size:
            step = min(size, 1 << 20)
            self.take(step)
            self.give_back(step)
            size -= step

    def give_back(self, size: int) -> None:
        """Return bytes that were taken and are released."""
        self._budget.give_back(size)
